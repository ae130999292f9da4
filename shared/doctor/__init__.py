"""What the services' `doctor` commands have in common: how a finding is said, and what every role needs of database and blob store.

It changes nothing, and shows no value of a secret.
"""
