"""What may be sent to a webhook: what the person who made it may see, and, if they made it with an API key, the key as well."""

from dataclasses import dataclass

from services.connector.accounts.levels import Levels
from services.connector.events.kinds import PERMISSION_OF
from shared.events import EventKind
from shared.permissions import Level


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
