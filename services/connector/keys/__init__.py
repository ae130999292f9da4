"""The operators' commands for the key-encryption keys: made, rotated, wrapped anew, retired.

A key that still wraps something is never removed, and no key and no secret is ever printed.
"""
