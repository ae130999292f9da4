"""Events out: what happened, told to whoever listens, at the moment the transaction that did it commits.

An event carries ids only; who receives it re-reads what he may see. PostgreSQL's NOTIFY is the wire: it is
transactional, and every replica hears it.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

CHANNEL: Final = "replyco_events"
# Tells the mail workers that the relay has committed mail, and every relay that the addresses have changed.
MAIL_CHANNEL: Final = "replyco_accepted_mail"
ADDRESS_CHANNEL: Final = "replyco_relay_addresses"


class EventKind(StrEnum):
    AUTHORIZATION_CHANGED = "authorization.changed"
    INTEGRATION_CHANGED = "integration.changed"
    MESSAGE_RECEIVED = "message.received"


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened in an account; `ids` name what, such as `{"integration_id": …}`."""

    account_id: UUID
    kind: EventKind
    ids: dict[str, str]

    def to_json(self) -> str:
        return json.dumps({"account_id": str(self.account_id), "kind": self.kind, "ids": self.ids})

    @classmethod
    def from_json(cls, payload: str) -> Self:
        content = json.loads(payload)
        return cls(UUID(content["account_id"]), EventKind(content["kind"]), content["ids"])


async def announce(session: AsyncSession, account_id: UUID, kind: EventKind, **ids: UUID) -> None:
    """Tell an event when, and only if, the caller's transaction commits."""
    event = Event(account_id, kind, {name: str(value) for name, value in ids.items()})
    await session.execute(
        text("SELECT pg_notify(:channel, :payload)"), {"channel": CHANNEL, "payload": event.to_json()}
    )
