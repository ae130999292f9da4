"""The rows that say how far stores' orders are known: made, woken, claimed, moved on.

Times are the caller's, so that whoever simulates a week moves one clock. Two workers whose clocks differ at most ask for the same page
twice: a row is moved on only by whoever has claimed it last. What a clock that went ahead has put off, or claimed, until long after is
taken up again when a worker with the right time comes by.
"""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import case, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.orders.model import ORDERS_KEPT
from services.connector.orders.sync_steps import FIRST_WINDOW, Sync
from shared.database import Reader
from shared.marketplaces import Region
from shared.tables import Account, Grant, Integration, OrderSync

# Longer than a call may take with all its repetitions and a new token before; after it the worker counts as dead.
LEASE: Final = timedelta(minutes=5)
# No store is put off for longer than this.
_LONGEST_WAIT: Final = timedelta(hours=2)
# What a store fails with whose orders Amazon does not give this application: it does with some sellers and not with others.
ROLE_MISSING: Final = "role_missing"
# How far back searchOrders goes: two years; in Japan, Australia and Singapore to this day.
_HISTORY: Final = timedelta(days=730)
_HISTORY_OF_FAR_EAST: Final = datetime(2016, 1, 1, tzinfo=UTC)
# The newest end of a search lies two minutes before it; with room for clocks that differ.
_NOT_YET: Final = timedelta(minutes=4)

_NEXT: Final = text("""
    SELECT integration_id FROM order_syncs
    WHERE parked_at IS NULL AND next_at <= :now
        AND (claimed_until IS NULL OR claimed_until <= :now OR claimed_until > :no_lease_ends_later)
    ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED
""")
_COLUMNS: Final = [
    getattr(OrderSync, field.name) for field in fields(Sync) if field.name in OrderSync.__table__.columns
]


async def ensure(
    session: AsyncSession, account_id: UUID, integration_id: UUID, region: Region, now: datetime
) -> None:
    """Have a store's orders asked for from now on, and its history before; one that has a row already goes on with it."""
    began_at = now - _NOT_YET
    await session.execute(
        insert(OrderSync)
        .values(
            integration_id=integration_id,
            account_id=account_id,
            cursor_at=began_at,
            next_at=now,
            look_back_at=now,
            history_from=_HISTORY_OF_FAR_EAST if region is Region.FE else now - _HISTORY,
            history_until=began_at,
            history_after=began_at - FIRST_WINDOW,
        )
        .on_conflict_do_nothing()
    )


async def wake(session: AsyncSession, integration_id: UUID, now: datetime) -> None:
    """Amazon may be asked for this store again: it has a new consent, or is no longer paused. The caller's transaction says so, too."""
    await session.execute(
        update(OrderSync)
        .where(OrderSync.integration_id == integration_id)
        .values(next_at=now, parked_at=None, failing_since=None, failure=None)
    )


async def bring_back(session: AsyncSession, now: datetime) -> int:
    """Have stores asked for that were put off by a clock that went ahead; how many. No clock that is right puts off so far."""
    brought = await session.scalars(
        update(OrderSync)
        .where(OrderSync.parked_at.is_(None), OrderSync.next_at > now + _LONGEST_WAIT)
        .values(next_at=now)
        .returning(OrderSync.integration_id)
    )
    return len(brought.all())


async def claim(session: AsyncSession, now: datetime) -> Sync | None:
    """One store whose turn it is, for this worker alone until the lease ends. None: there is none.

    Stores that rest are met here once, and parked. Whether they rest is read when their rows are locked, so that whoever wakes one
    comes before or after, and is never lost.
    """
    while True:
        integration_id = await session.scalar(_NEXT, {"now": now, "no_lease_ends_later": now + 2 * LEASE})
        if integration_id is None:
            return None
        has_tokens = func.coalesce(func.length(Grant.refresh_token) > 0, False)
        rests, is_revoked, longer_kept_days = (
            await session.execute(
                select(
                    Integration.disconnected_at.is_not(None)
                    | Integration.paused_at.is_not(None)
                    | ~has_tokens,
                    Grant.revoked_at.is_not(None),
                    func.coalesce(Account.longer_kept_days, 0),
                )
                .join(Account, Account.id == Integration.account_id)
                .outerjoin(Grant, Grant.integration_id == Integration.id)
                .where(Integration.id == integration_id)
            )
        ).one()
        row = update(OrderSync).where(OrderSync.integration_id == integration_id)
        if rests:
            await session.execute(row.values(parked_at=now))
            continue
        # What has been kept for long enough is deleted: the history is no longer than that.
        kept_since = now - ORDERS_KEPT - timedelta(days=longer_kept_days)
        is_filled = OrderSync.history_done_at.is_not(None)
        until = case(
            (is_filled, func.greatest(OrderSync.history_until, kept_since)), else_=OrderSync.history_until
        )
        claimed = await session.execute(
            row.values(claimed_until=now + LEASE, history_until=until).returning(*_COLUMNS)
        )
        return Sync(**claimed.mappings().one(), is_revoked=is_revoked)


async def move(session: AsyncSession, sync: Sync, changes: Mapping[str, Any]) -> bool:
    """Change the row and give it back. False: the lease had ended and somebody else has it, or the store is gone; nothing was changed."""
    moved = await session.scalar(
        update(OrderSync)
        .where(OrderSync.integration_id == sync.integration_id, OrderSync.claimed_until == sync.claimed_until)
        .values(**changes, claimed_until=None)
        .returning(OrderSync.integration_id)
    )
    return moved is not None


async def oldest_cursor(reader: Reader) -> datetime | None:
    """Up to when the orders are known of every store that Amazon lets us ask for; None if there is no such store."""
    is_refused = OrderSync.failure == ROLE_MISSING
    return await reader.scalar(
        select(OrderSync.cursor_at)
        .join(Grant, Grant.integration_id == OrderSync.integration_id)
        .where(OrderSync.parked_at.is_(None), Grant.revoked_at.is_(None), is_refused.is_not(True))
        .order_by(OrderSync.cursor_at)
        .limit(1)
    )


async def count_due(reader: Reader, now: datetime) -> int:
    """How many stores wait for their turn."""
    waiting = select(func.count()).where(
        OrderSync.parked_at.is_(None),
        OrderSync.next_at <= now,
        OrderSync.claimed_until.is_(None) | (OrderSync.claimed_until <= now),
    )
    return await reader.scalar(waiting) or 0
