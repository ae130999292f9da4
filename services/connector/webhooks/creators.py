"""What may be sent to a webhook: what the person who made it may see, and, if they made it with an API key, the key as well."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.connector.events.kinds import PERMISSION_OF
from shared.events import EventKind
from shared.permissions import Level, Permission

Levels = Mapping[Permission, Level]


@dataclass(frozen=True, slots=True)
class Creator:
    """Who made a webhook. `is_active`: the user is not disabled, and the key, if there is one, is neither revoked nor expired."""

    is_active: bool
    user_levels: Levels
    key_levels: Levels | None

    def may_know(self, kind: str) -> bool:
        """Whether an event of this kind may be sent. A test tells nothing, so that it needs no permission."""
        if not self.is_active:
            return False
        if kind not in set(EventKind):
            return True
        permission = PERMISSION_OF[EventKind(kind)]
        levels = [self.user_levels] if self.key_levels is None else [self.user_levels, self.key_levels]
        return all(each.get(permission, Level.NONE).includes(Level.VIEW) for each in levels)


def levels(general_admin: str | None, inbox_messages: str | None) -> Levels:
    """The levels of a user's or a key's row."""
    return {
        Permission.GENERAL_ADMIN: Level(general_admin or Level.NONE),
        Permission.INBOX_MESSAGES: Level(inbox_messages or Level.NONE),
    }
