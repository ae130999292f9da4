"""What an order was when a message came: a few fields, none of them personal, for ticket systems, which keep what they were told.

Taken once, when the order has been fetched for the message: from a copy that Amazon gave after the message had come, or shortly before. What
could not be fetched within a day has none; nothing is passed off as what was true then.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.orders.card import FRESH
from shared.database import Reader
from shared.events import EventKind, announce_all, event_of
from shared.orders import order_row_id
from shared.tables import OrderSnapshot

# Whatever could not be fetched so long after the message says nothing of its moment any more.
TAKEN_WITHIN: Final = timedelta(days=1)
_TAKE: Final = text("""
    WITH taken AS (
    INSERT INTO order_snapshots (message_id, order_id, account_id, fields)
    SELECT m.id, o.order_id, o.account_id, jsonb_build_object(
        'status', o.status, 'fulfilled_by', o.fulfilled_by, 'currency', o.currency, 'total', CAST(o.total AS text),
        'item_count', o.item_count, 'quantity', o.quantity, 'purchased_at', o.purchased_at, 'ship_by', o.ship_by,
        'deliver_by', o.deliver_by, 'shipped_at', o.shipped_at, 'delivered_at', o.delivered_at, 'carrier', p.carrier,
        'tracking_number', p.tracking_number, 'is_prime', o.is_prime, 'is_business', o.is_business, 'is_gift', o.is_gift,
        'is_pickup', o.is_pickup, 'is_replacement', o.is_replacement, 'is_cancellation_requested', o.is_cancellation_requested)
    FROM messages m
    JOIN conversation_orders c ON c.account_id = :account_id AND c.conversation_id = :conversation_id AND c.is_proven
    JOIN orders o ON o.account_id = :account_id AND o.integration_id = m.integration_id AND o.order_id = c.order_id
        AND o.fetched_at > m.received_at - CAST(:fresh AS interval)
    LEFT JOIN LATERAL (SELECT carrier, tracking_number FROM order_packages
        WHERE account_id = :account_id AND order_row_id = o.id ORDER BY position, id LIMIT 1) p ON true
    WHERE m.account_id = :account_id AND m.conversation_id = :conversation_id AND m.received_at > :since
        AND m.id >= CAST(:first AS uuid) AND m.authenticity = 'authentic'
    ON CONFLICT DO NOTHING RETURNING message_id, order_id)
    SELECT DISTINCT integration_id, taken.order_id FROM taken, conversations WHERE id = :conversation_id ORDER BY taken.order_id
""")
_OF_MESSAGES: Final = (
    select(OrderSnapshot.message_id, OrderSnapshot.order_id, OrderSnapshot.taken_at, OrderSnapshot.fields)
    .where(
        OrderSnapshot.message_id == func.any(bindparam("message_ids", type_=ARRAY(Uuid))),
        OrderSnapshot.account_id == bindparam("account_id"),
    )
    .order_by(OrderSnapshot.message_id, OrderSnapshot.order_id)
)


class Snapshot(NamedTuple):
    """An order as of a message; `fields` are JSON."""

    message_id: UUID
    order_id: str
    taken_at: datetime
    fields: Mapping[str, Any]


async def take_snapshots(
    session: AsyncSession, account_id: UUID, conversation_id: UUID, *, now: datetime
) -> None:
    """Keep what is known now of a conversation's orders for its new messages, once they have been fetched.

    Of each an event tells, `order.changed`: who reads a message as soon as it has come reads it before this, and comes again.
    """
    since = now - TAKEN_WITHIN
    # Ids begin with the moment at which they were made (UUIDv7): older partitions are not touched.
    first = UUID(int=int(since.timestamp() * 1000) << 80)
    taken = await session.execute(
        _TAKE,
        {
            "account_id": account_id,
            "conversation_id": conversation_id,
            "since": since,
            "first": first,
            "fresh": FRESH,
        },
    )
    await announce_all(
        session,
        [
            event_of(
                account_id,
                EventKind.ORDER_CHANGED,
                integration_id=row.integration_id,
                order_row_id=order_row_id(row.integration_id, row.order_id),
            )
            for row in taken
        ],
    )


async def snapshots_of(
    reader: Reader, account_id: UUID, message_ids: Sequence[UUID]
) -> dict[UUID, list[Snapshot]]:
    """The snapshots of all these messages by message, in one statement."""
    found: dict[UUID, list[Snapshot]] = {}
    values = {"account_id": account_id, "message_ids": list(message_ids)}
    for row in await reader.execute(_OF_MESSAGES, values):
        found.setdefault(row.message_id, []).append(Snapshot._make(row))
    return found
