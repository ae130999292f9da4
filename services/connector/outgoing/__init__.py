"""Connections to servers that sellers name: SMTP servers and webhooks. Never to our own networks (docs/security.md)."""
