"""Orders of connected stores: read from what Amazon says, stored, kept up to date, and shown.

What is older never overwrites what is newer, and what cannot be read costs its own field alone. No order is shown beside a conversation
that no proven mail of Amazon's has named there.
"""
