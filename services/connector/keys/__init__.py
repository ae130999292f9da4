"""The operators' commands for keys: key-encryption keys made, rotated, retired; accounts' data keys replaced and everything sealed anew.

A key that still wraps or seals something is never removed, and no key and no secret is ever printed.
"""
