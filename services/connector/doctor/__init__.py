"""What `doctor` reports to an operator: whether settings, database, keys and the way to Amazon are as they must be, and what to do.

It changes nothing, and shows no value of a secret.
"""
