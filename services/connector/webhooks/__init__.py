"""Webhooks, an account's programs that receive events: who may register them, how deliveries are signed, tried again and given up.

What is sent holds ids only, and nothing that the person who made the webhook may not view. No transaction is open while
a receiver is asked.
"""
