"""Orders that Amazon has told of by itself, and that are still to be asked for: each once, and of one store no more than a few hundred.

What is told beyond that is found by the search for changes, which goes on whatever is told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.orders.card import Lookup
from services.connector.orders.fetch_service import NamedOrder
from shared.orders import order_row_id
from shared.tables import OrderHint

MOST_OF_A_STORE: Final = 300
# What Amazon tells now may not be in its answers for a moment.
SETTLED_AFTER: Final = timedelta(seconds=30)

_NOTE: Final = text("""
    INSERT INTO order_hints AS known (order_row_id, account_id, integration_id, order_id, told_at, noticed_at)
    SELECT :row, :account, :integration, :order, :told, :now
    WHERE EXISTS (SELECT FROM order_hints WHERE order_row_id = :row)
       OR :most > (SELECT count(*) FROM (SELECT FROM order_hints WHERE integration_id = :integration LIMIT :most) AS few)
    ON CONFLICT (order_row_id) DO UPDATE SET told_at = greatest(known.told_at, excluded.told_at)
    RETURNING true
""")
# Stores in turns: a few of each, whichever has waited longest first.
_DUE: Final = text("""
    SELECT hint.order_row_id, hint.account_id, hint.integration_id, hint.order_id, hint.told_at, orders.fetched_at,
           lookup.outcome, lookup.asked_at,
           store.disconnected_at IS NULL AND store.paused_at IS NULL AS is_active
    FROM integrations AS store
    CROSS JOIN LATERAL (
        SELECT first.*, row_number() OVER (ORDER BY noticed_at, order_row_id) AS turn
        FROM (SELECT * FROM order_hints WHERE integration_id = store.id ORDER BY noticed_at LIMIT :of_each) AS first
    ) AS hint
    LEFT JOIN orders ON orders.id = hint.order_row_id AND orders.account_id = hint.account_id
    LEFT JOIN order_lookups AS lookup ON lookup.order_row_id = hint.order_row_id AND lookup.account_id = hint.account_id
    ORDER BY hint.turn, hint.noticed_at LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class Hint:
    """An order that has changed at `told_at`, as Amazon says."""

    order: NamedOrder
    told_at: datetime
    is_active: bool

    def is_known(self) -> bool:
        """Whether Amazon has said since then how the order is."""
        fetched_at = self.order.fetched_at
        return fetched_at is not None and fetched_at >= self.told_at + SETTLED_AFTER


async def note(
    session: AsyncSession,
    account_id: UUID,
    integration_id: UUID,
    order_id: str,
    *,
    told_at: datetime,
    now: datetime,
    most: int = MOST_OF_A_STORE,
) -> bool:
    """Keep that an order is to be asked for. False: so many of the store are waiting that this one is left to the search for changes."""
    kept = await session.scalar(
        _NOTE,
        {
            "row": order_row_id(integration_id, order_id),
            "account": account_id,
            "integration": integration_id,
            "order": order_id,
            "told": told_at,
            "now": now,
            "most": most,
        },
    )
    return kept is not None


async def due(session: AsyncSession, *, of_each: int, limit: int) -> Sequence[Hint]:
    """The hints whose turn it is."""
    rows = await session.execute(_DUE, {"of_each": of_each, "limit": limit})
    return [
        Hint(
            NamedOrder(
                row.account_id,
                row.integration_id,
                row.order_id,
                row.fetched_at,
                Lookup(row.outcome, row.asked_at) if row.asked_at is not None else None,
            ),
            row.told_at,
            row.is_active,
        )
        for row in rows
    ]


async def drop(session: AsyncSession, hint: Hint) -> None:
    """Forget a hint, unless Amazon has told of a later change meanwhile."""
    await session.execute(
        delete(OrderHint).where(
            OrderHint.order_row_id == hint.order.row_id, OrderHint.told_at <= hint.told_at
        )
    )
