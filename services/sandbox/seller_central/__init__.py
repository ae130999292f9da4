"""The pages on which sellers connect a helpdesk by hand: addresses, profile, report columns, authorized apps.

No page may show or change anything of a seller who is not signed in at its host.
"""
