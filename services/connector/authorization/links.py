"""Links by which somebody asks a colleague, such as Amazon's primary user, to authorize a store. Nothing is read or written here.

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
MAX_LINK: Final = 600
_PURPOSE: Final = "authorization_link"
_SEAL: Final = 32
_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)


class LinkUnknown(Expected):
    """This is no link of the account's."""

    code = "link_unknown"


class LinkExpired(Expected):
    """The link was good for seven days."""

    code = "link_expired"


class LinkSpent(Expected):
    """What the link asks for was authorized."""

    code = "link_spent"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a colleague is asked for: a store of `country`, or the integration to authorize again."""

    asked_by: UUID
    country: str | None
    integration_id: UUID | None
    expires_at: datetime

    @property
    def made_at(self) -> datetime:
        """Since then, the wish may have come true."""
        return self.expires_at - LINK_LIFETIME


def link_of(account_keys: AccountKeys, wish: Wish) -> str:
    """The link's last part."""
    text = json.dumps(
        [
            str(wish.asked_by),
            wish.country,
            str(wish.integration_id) if wish.integration_id is not None else None,
            (wish.expires_at - _EPOCH) // _TICK,
        ]
    ).encode()
    seal = account_keys.lookup_hash(_PURPOSE, text)
    return urlsafe_b64encode(seal + text).decode().rstrip("=")


def wish_of(account_keys: AccountKeys, link: str, now: datetime) -> Wish:
    """What the link asks for. Raises LinkUnknown, LinkExpired."""
    try:
        raw = urlsafe_b64decode(link + "=" * (-len(link) % 4))
    except (NotBase64, ValueError) as error:
        raise LinkUnknown from error
    seal, text = raw[:_SEAL], raw[_SEAL:]
    if not hmac.compare_digest(seal, account_keys.lookup_hash(_PURPOSE, text)):
        raise LinkUnknown
    asked_by, country, integration_id, expires_at = json.loads(text)
    wish = Wish(
        UUID(asked_by),
        country,
        UUID(integration_id) if integration_id is not None else None,
        _EPOCH + expires_at * _TICK,
    )
    if now >= wish.expires_at:
        raise LinkExpired
    return wish
