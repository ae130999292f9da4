"""Events out: what happened, told to whoever listens, at the moment the transaction that did it commits.

An event carries ids only; who receives it re-reads what he may see. It is a row, from which webhooks are fanned out and a
listener who was away resumes, and a NOTIFY, which every replica hears. Both belong to the transaction that they tell of.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.database import new_id

CHANNEL: Final = "replyco_events"
# Tells the mail workers that the relay has committed mail, and every relay that the addresses have changed.
MAIL_CHANNEL: Final = "replyco_accepted_mail"
ADDRESS_CHANNEL: Final = "replyco_relay_addresses"


# One statement, because the mail worker tells an event for each mail.
_ANNOUNCE: Final = text(
    "WITH stored AS (INSERT INTO events (id, account_id, at, kind, ids)"
    " VALUES (:id, :account_id, clock_timestamp(), :kind, CAST(:ids AS jsonb)))"
    " SELECT pg_notify(:channel, :payload)"
)


class EventKind(StrEnum):
    """Everything that is told. The names are part of the public interface."""

    AUTHORIZATION_CHANGED = "authorization.changed"
    CONVERSATION_CHANGED = "conversation.changed"
    INTEGRATION_CHANGED = "integration.changed"
    MESSAGE_RECEIVED = "message.received"
    WEBHOOK_DISABLED = "webhook.disabled"


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened in an account; `ids` name what, such as `{"integration_id": …}`."""

    id: UUID
    account_id: UUID
    kind: EventKind
    ids: dict[str, str]

    def to_json(self) -> str:
        return json.dumps(
            {"id": str(self.id), "account_id": str(self.account_id), "kind": self.kind, "ids": self.ids}
        )

    @classmethod
    def from_json(cls, payload: str) -> Self:
        content = json.loads(payload)
        return cls(
            UUID(content["id"]), UUID(content["account_id"]), EventKind(content["kind"]), content["ids"]
        )


async def announce(session: AsyncSession, account_id: UUID, kind: EventKind, **ids: UUID) -> None:
    """Tell an event when, and only if, the caller's transaction commits."""
    event = Event(new_id(), account_id, kind, {name: str(value) for name, value in ids.items()})
    await session.execute(
        _ANNOUNCE,
        {
            "id": event.id,
            "account_id": account_id,
            "kind": kind.value,
            "ids": json.dumps(event.ids),
            "channel": CHANNEL,
            "payload": event.to_json(),
        },
    )
