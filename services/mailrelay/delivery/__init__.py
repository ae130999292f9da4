"""Accepted mail becomes messages in conversations: each exactly once, and none is ever lost."""
