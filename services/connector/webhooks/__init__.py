"""Accounts' own programs that are sent events: who may register them, how deliveries are signed, tried again and given up.

What is sent holds ids only, and nothing of which the person who made the webhook may not know. No transaction is open while
a receiver is asked.
"""
