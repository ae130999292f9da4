"""Which DNS records and which MTA-STS policy the operator has to publish, and whether they are published.

It only looks: it changes no record, and nothing that mail is accepted or proven by is decided here.
"""
