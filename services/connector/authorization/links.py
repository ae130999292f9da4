"""Links by which somebody asks a colleague, such as Amazon's primary user, to authorize a store, or a program asks whoever sits before it.

Nothing is read or written here.

A link says what is to be authorized and until when it is good, sealed with the account's key: it is of no use in another account, and
to nobody who may not authorize stores there. It holds no secret of Amazon's or ours.
"""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from shared.crypto.envelope import AccountKeys
from shared.errors import Expected

LINK_LIFETIME: Final = timedelta(days=7)
# A program makes one when somebody clicks, and sends their browser to it at once.
PROGRAM_LINK_LIFETIME: Final = timedelta(minutes=15)
MAX_LINK: Final = 600
_PURPOSE: Final = "authorization_link"
_PROGRAM: Final = "program"
_SEAL: Final = 32
_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)


class LinkUnknown(Expected):
    """This is no link of the account's."""

    code = "link_unknown"


class LinkExpired(Expected):
    """The link's time is over, or that of the API key that has made it, and nothing was authorized by it."""

    code = "link_expired"


class LinkSpent(Expected):
    """What the link asks for was authorized."""

    code = "link_spent"


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody is asked for: a store of `country`, or the integration to authorize again.

    `asked_by` is a user, or, `by_program`, an API key.
    """

    asked_by: UUID
    country: str | None
    integration_id: UUID | None
    expires_at: datetime
    by_program: bool = False

    @property
    def made_at(self) -> datetime:
        """Since then, the wish may have come true."""
        return self.expires_at - (PROGRAM_LINK_LIFETIME if self.by_program else LINK_LIFETIME)

    def refuse_if_over(self, now: datetime) -> None:
        """Raises LinkExpired."""
        if now >= self.expires_at:
            raise LinkExpired


def link_of(account_keys: AccountKeys, wish: Wish) -> str:
    """The link's last part."""
    text = json.dumps(
        [
            str(wish.asked_by),
            wish.country,
            str(wish.integration_id) if wish.integration_id is not None else None,
            (wish.expires_at - _EPOCH) // _TICK,
            *([_PROGRAM] if wish.by_program else []),
        ]
    ).encode()
    seal = account_keys.lookup_hash(_PURPOSE, text)
    return urlsafe_b64encode(seal + text).decode().rstrip("=")


def wish_of(account_keys: AccountKeys, link: str) -> Wish:
    """What the link asks for, or has asked for. Raises LinkUnknown."""
    try:
        raw = urlsafe_b64decode(link + "=" * (-len(link) % 4))
    except (NotBase64, ValueError) as error:
        raise LinkUnknown from error
    seal, text = raw[:_SEAL], raw[_SEAL:]
    if not hmac.compare_digest(seal, account_keys.lookup_hash(_PURPOSE, text)):
        raise LinkUnknown
    asked_by, country, integration_id, expires_at, *by = json.loads(text)
    return Wish(
        UUID(asked_by),
        country,
        UUID(integration_id) if integration_id is not None else None,
        _EPOCH + expires_at * _TICK,
        by_program=by == [_PROGRAM],
    )
