"""The relay as processes of an operating system: ports, rights, children that accept mail, their supervision and their end.

A mail in progress is not cut off by a restart that can wait for it, and the supervisor never reads a byte from a client.
"""
