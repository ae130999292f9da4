"""What a caller may do. A permission has a level; a higher level includes the lower ones."""

from enum import StrEnum


class Permission(StrEnum):
    """Areas of the product that an account's owner hands out."""

    GENERAL_ADMIN = "general.admin"
    """*Allgemein → Admin*: integrations, users, the account's settings, the audit log."""
    GENERAL_PROGRAMS = "general.programs"
    """What lets programs in and tells them: API keys and webhooks."""
    INBOX_MESSAGES = "inbox.messages"
    """Conversations and their messages: whatever opens mail."""
    INBOX_ORDERS = "inbox.orders"
    """Orders, and the card of the order beside a conversation."""
    INBOX_REPLIES = "inbox.replies"
    """Writing to buyers. People who may edit the inbox may do it; an API key is allowed it by itself."""


class Level(StrEnum):
    """How much a caller may do in an area: none < view < edit."""

    NONE = "none"
    VIEW = "view"
    EDIT = "edit"

    def includes(self, needed: "Level") -> bool:
        """Whether this level is enough for what needs the other."""
        order = tuple(Level)
        return order.index(self) >= order.index(needed)
