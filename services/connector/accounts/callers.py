"""Who is asking, and the one place where it is decided whether they may."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from shared.errors import Expected
from shared.permissions import Level, Permission

# For so long after somebody has proved who they are, they need not do it again.
RECENT: Final = timedelta(minutes=10)


class NotSignedIn(Expected):
    """No session and no API key, or one that is not valid any more."""

    code = "not_signed_in"


class AccountClosed(Expected):
    """Nobody gets in, and nothing is added to it."""

    code = "account_closed"


class PermissionMissing(Expected):
    """The caller is known but may not do this."""

    code = "permission_missing"


class CsrfTokenWrong(Expected):
    """A change was asked for with a cookie but without the token that only our pages know."""

    code = "csrf_token_wrong"


class BrowserRequired(Expected):
    """Only a person who is signed in may do this, not a program with an API key."""

    code = "browser_required"


class ReauthenticationNeeded(Expected):
    """Whoever does this has to prove who they are first: an unlocked screen or a stolen cookie is not enough."""

    code = "reauthentication_needed"


class SecondFactorNeeded(Expected):
    """The account demands a second factor, and this user has none yet: they may set one up, and nothing else."""

    code = "second_factor_needed"


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in user, or a program with an API key. `account_id` bounds everything that they can see.

    `authenticated_at`: when the person last proved who they are. `lacks_second_factor`: their account demands one, and they have none.
    """

    account_id: UUID
    user_id: UUID
    levels: Mapping[Permission, Level]
    session_id: UUID | None = None
    api_key_id: UUID | None = None
    authenticated_at: datetime | None = None
    lacks_second_factor: bool = False

    @property
    def id(self) -> UUID:
        """The program or the person, whatever the session."""
        return self.api_key_id or self.user_id

    @property
    def log_fields(self) -> dict[str, str]:
        """Who asks, as the request's line in the log says it: ids alone."""
        who = {"account_id": self.account_id, "user_id": self.person_id, "api_key_id": self.api_key_id}
        return {name: str(value) for name, value in who.items() if value is not None}

    @property
    def is_browser(self) -> bool:
        """Whether a signed-in person asks, rather than a program with an API key."""
        return self.session_id is not None

    @property
    def person_id(self) -> UUID | None:
        """The user, if they ask themselves; None for a program with an API key."""
        return self.user_id if self.is_browser else None

    def may(self, permission: Permission, level: Level) -> bool:
        return self.levels.get(permission, Level.NONE).includes(level)

    def require(self, permission: Permission, level: Level) -> None:
        """Require a permission. Raises PermissionMissing, which names it and the level."""
        if not self.may(permission, level):
            raise PermissionMissing(permission=permission.value, level=level.value)

    def require_browser(self) -> UUID:
        """The id of the session. Raises BrowserRequired if there is none, that is, for an API key."""
        if self.session_id is None:
            raise BrowserRequired
        return self.session_id

    def require_recent(self, now: datetime) -> None:
        """Require that a person has proved lately who they are. Raises ReauthenticationNeeded. A program with an API key is let through."""
        if not self.is_browser:
            return
        if self.authenticated_at is None or now - self.authenticated_at > RECENT:
            raise ReauthenticationNeeded
