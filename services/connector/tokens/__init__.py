"""The sellers' OAuth grants: sealed, opened and renewed here and nowhere else, and what Amazon said of each.

A token never leaves this room but for a call to Amazon, and no error ever empties a grant: only disconnecting does.
"""
