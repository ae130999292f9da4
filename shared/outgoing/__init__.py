"""Connections to servers that sellers name: SMTP servers and webhooks.

Every address is checked, and the checked one is connected to: never one of our own networks (docs/security.md).
"""
