"""A seller's own SMTP server: its configuration, sealed, and the test of it.

A stored password is never sent to another server or user than it was entered for, and what a server says is never shown.
"""
