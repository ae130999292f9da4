"""Stores that are connected: their names, addresses, setup steps, grace period, mails to their owners, and the lock.

Facts are stored by whoever learns them; `health` alone decides from them what the lock is. Nothing sealed is opened here, and
an address that was given out is never given out again.
"""
