"""Reads the events that a listener has missed from their rows, so that a broken connection costs nobody a full reading."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select

from services.connector.accounts.callers import Caller
from services.connector.events.kinds import kinds_for
from shared.database import Sessions
from shared.events import Event, EventKind
from shared.tables import EventRow

# Housekeeping deletes none that is younger than twice this.
_RESUMABLE: Final = timedelta(hours=12)
# An id is made before its transaction commits, so that an event with a smaller id may become visible later. No transaction
# lasts longer than this.
_OVERLAP: Final = timedelta(seconds=30)


async def missed_events(
    sessions: Sessions, caller: Caller, last_id: UUID, now: datetime, *, most: int
) -> list[Event] | None:
    """What the caller may know of and may not have been told since this event, oldest first; some of it may be known already.

    None if that cannot be said: the event is unknown or too old, or there are more than `most`.
    """
    last_at = _milliseconds_of(last_id)
    if last_at < _milliseconds(now - _RESUMABLE):
        return None
    since = UUID(int=max(0, last_at - int(_OVERLAP.total_seconds() * 1000)) << 80)
    mine = EventRow.account_id == caller.account_id
    async with sessions.begin() as session:
        if await session.scalar(select(EventRow.id).where(mine, EventRow.id == last_id)) is None:
            return None
        rows = await session.execute(
            select(EventRow.id, EventRow.account_id, EventRow.kind, EventRow.ids)
            .where(mine, EventRow.id >= since, EventRow.kind.in_([kind.value for kind in kinds_for(caller)]))
            .order_by(EventRow.id)
            .limit(most + 1)
        )
        events = [Event(row.id, row.account_id, EventKind(row.kind), row.ids) for row in rows]
    return None if len(events) > most else events


def _milliseconds_of(event_id: UUID) -> int:
    """When a UUIDv7 was made."""
    return event_id.int >> 80


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
