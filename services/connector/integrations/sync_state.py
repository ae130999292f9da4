"""What the list says of how far a store is synchronized: from columns, at the moment of asking. Pure.

That orders are late is not stored, but follows from how far they are known, so that it is true even if nobody works at it.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final

from services.connector.integrations.queries import Listed
from services.connector.orders.sync_steps import late_since
from shared.tables import Lock, SyncStatus

# Without these, Amazon answers nothing, whatever the last answer was.
_ENDS_SYNC: Final = frozenset({"grant_missing", "grant_revoked", "consent_expiring"})


class OrdersStatus(StrEnum):
    """`running`: they have never been complete yet."""

    RUNNING = "running"
    OK = "ok"
    LATE = "late"
    PAUSED = "paused"


def orders_late_since(row: Listed, now: datetime) -> datetime | None:
    """Since when orders are missing, if that is too long ago and nobody has paused them."""
    if row.orders_known_until is None or row.paused_at is not None:
        return None
    return late_since(row.orders_known_until, now)


def orders_status(row: Listed, now: datetime) -> OrdersStatus:
    """Of a store whose orders are asked for."""
    if row.paused_at is not None:
        return OrdersStatus.PAUSED
    if orders_late_since(row, now) is not None:
        return OrdersStatus.LATE
    return OrdersStatus.RUNNING if row.orders_completed_at is None else OrdersStatus.OK


def sync_status(row: Listed, now: datetime) -> SyncStatus:
    """The store as a whole: as good as its worst part. Nothing is fetched by a consent that has ended."""
    if not row.uses_api:
        return SyncStatus.NEVER if row.paused_at is None else SyncStatus.PAUSED
    if row.lock == Lock.RED and row.worst_check in _ENDS_SYNC and row.paused_at is None:
        return SyncStatus.FAILED
    if row.sync_status != SyncStatus.OK or row.orders_known_until is None:
        return row.sync_status
    return SyncStatus(orders_status(row, now).value)


def synced_at(row: Listed, now: datetime) -> datetime | None:
    """The last success; of orders that are late, theirs."""
    known = [at for at in (row.synced_at, row.orders_completed_at) if at is not None]
    if orders_late_since(row, now) is not None:
        return row.orders_completed_at
    return max(known, default=None)
