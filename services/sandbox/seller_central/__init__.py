"""The pages on which sellers connect a helpdesk by hand and ship orders: addresses, profile, report columns, apps.

No page may show or change anything of a seller who is not signed in at its host.
"""
