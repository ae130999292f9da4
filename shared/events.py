"""Events: what happened in an account, announced at the moment when the transaction that did it commits.

An event carries ids only; its receivers read again what they may see. It is a row, from which webhooks are fanned out and a
listener who was away resumes, and a NOTIFY, which every replica hears. Both belong to the transaction that they report.

Whoever may connect to the database may listen, and may notify whatever they like: so a notification says no more than an id, and who hears
one believes none of it, but reads the row again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.channels import EVENT_CHANNEL
from shared.driver import new_id

_ANNOUNCE: Final = text(
    "WITH announced AS (SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:accounts AS uuid[]), CAST(:kinds AS text[]),"
    " CAST(:named AS text[])) AS t (id, account_id, kind, named)),"
    " stored AS (INSERT INTO events (id, account_id, at, kind, ids)"
    " SELECT id, account_id, clock_timestamp(), kind, CAST(named AS jsonb) FROM announced)"
    " SELECT pg_notify(:channel, CAST(id AS text)) FROM announced"
)


class EventKind(StrEnum):
    """Every kind of event. The names are part of the public interface."""

    AUTHORIZATION_CHANGED = "authorization.changed"
    CONVERSATION_CHANGED = "conversation.changed"
    INTEGRATION_CHANGED = "integration.changed"
    MESSAGE_RECEIVED = "message.received"
    ORDER_CHANGED = "order.changed"
    REPLY_CHANGED = "reply.changed"
    REPLY_CONFIRMED = "reply.confirmed"
    REPLY_FAILED = "reply.failed"
    REPLY_HANDED_OVER = "reply.handed_over"
    REPLY_PERHAPS_SENT = "reply.perhaps_sent"
    REPLY_TYPED = "reply.typed"
    WEBHOOK_DISABLED = "webhook.disabled"


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened in an account; `ids` name what, such as `{"integration_id": …}`."""

    id: UUID
    account_id: UUID
    kind: EventKind
    ids: dict[str, str]


async def announce(session: AsyncSession, account_id: UUID, kind: EventKind, **ids: UUID) -> None:
    """Announce an event when, and only if, the caller's transaction commits."""
    await announce_all(session, [event_of(account_id, kind, **ids)])


def event_of(account_id: UUID, kind: EventKind, **ids: UUID) -> Event:
    """A new event, to be announced with `announce_all`."""
    return Event(new_id(), account_id, kind, {name: str(value) for name, value in ids.items()})


async def announce_all(session: AsyncSession, events: Sequence[Event]) -> None:
    """Announce several events when, and only if, the caller's transaction commits."""
    if not events:
        return
    await session.execute(
        _ANNOUNCE,
        {
            "ids": [event.id for event in events],
            "accounts": [event.account_id for event in events],
            "kinds": [event.kind.value for event in events],
            "named": [json.dumps(event.ids) for event in events],
            "channel": EVENT_CHANNEL,
        },
    )
