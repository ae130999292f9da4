"""Amazon's Data Protection Policy, line by line: what the software does for each, what this installation shows of it, and what its operator has to show.

What must never happen here: a line is called fulfilled because nobody has looked; what is printed holds a secret, a name or an address.
"""
