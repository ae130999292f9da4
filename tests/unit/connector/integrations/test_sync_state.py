"""What the list says of the synchronization follows from how far orders are known, at the moment of asking."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.connector.integrations.queries import Listed
from services.connector.integrations.sync_state import orders_status, sync_status, synced_at
from shared.driver import new_id
from shared.marketplaces import Region
from shared.tables import Lock, SyncStatus

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MORNING = NOW - timedelta(hours=9)


def listed(
    status: str = "ok",
    *,
    known_until: datetime | None = NOW - 5 * MINUTE,
    completed_at: datetime | None = NOW - 3 * MINUTE,
    paused_at: datetime | None = None,
) -> Listed:
    fields: dict[str, Any] = dict.fromkeys(Listed._fields)
    return Listed(
        **fields
        | {
            "id": new_id(),
            "region": Region.EU,
            "lock": Lock.GREEN,
            "uses_api": True,
            "sync_status": SyncStatus(status),
            "synced_at": MORNING,
            "paused_at": paused_at,
            "orders_known_until": known_until,
            "orders_completed_at": completed_at,
        }
    )


LATE = listed(known_until=NOW - 61 * MINUTE, completed_at=NOW - 60 * MINUTE)
FIRST = listed(completed_at=None)


@pytest.mark.parametrize(
    ("row", "whole", "orders", "at"),
    [
        (listed(), "ok", "ok", NOW - 3 * MINUTE),
        (FIRST, "running", "running", MORNING),
        (LATE, "late", "late", NOW - 60 * MINUTE),
        (listed(known_until=NOW - 60 * MINUTE), "ok", "ok", NOW - 3 * MINUTE),
        # A run that took long is complete, and was so late all the while that it is late still.
        (listed(known_until=NOW - 300 * MINUTE), "late", "late", NOW - 3 * MINUTE),
        (listed("failed"), "failed", "ok", NOW - 3 * MINUTE),
        (listed("late"), "late", "ok", NOW - 3 * MINUTE),
        (
            listed("paused", known_until=NOW - 300 * MINUTE, paused_at=NOW),
            "paused",
            "paused",
            NOW - 3 * MINUTE,
        ),
        (listed("late", known_until=NOW - 300 * MINUTE, completed_at=None), "late", "late", None),
    ],
)
def test_a_store_is_as_well_synchronized_as_its_worst_part(
    row: Listed, whole: str, orders: str, at: datetime | None
):
    assert (sync_status(row, NOW), orders_status(row, NOW), synced_at(row, NOW)) == (whole, orders, at)


def test_of_a_store_whose_orders_were_never_asked_for_only_its_countries_count():
    row = listed(known_until=None, completed_at=None)

    assert (sync_status(row, NOW), synced_at(row, NOW)) == ("ok", MORNING)
