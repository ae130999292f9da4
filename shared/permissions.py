"""What a caller may do. A permission has a level; a higher level includes the lower ones."""

from enum import StrEnum


class Permission(StrEnum):
    """Areas of the product that an account's owner hands out."""

    GENERAL_ADMIN = "general.admin"
    """*Allgemein → Admin*: integrations, API keys, raw mail."""
    INBOX_MESSAGES = "inbox.messages"
    """Conversations and their messages."""


class Level(StrEnum):
    """none < view < edit."""

    NONE = "none"
    VIEW = "view"
    EDIT = "edit"

    def includes(self, needed: "Level") -> bool:
        """Whether somebody who has this level may do what needs the other."""
        order = tuple(Level)
        return order.index(self) >= order.index(needed)
