"""Whether what is over may be destroyed now, so that a clock that jumps can be stopped before anything is gone.

What cannot be made undone is done only when PostgreSQL's clock has gone evenly for a day, and the machine's own agrees. Every worker looks again
and again; a jump, or hours in which nobody looked, begin the day anew. Whatever is destroyed in a day's time is listed (`privacy planned`), and an
operator can stop all of it.
"""

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.engine import Row

from services.connector.job_queue.runner import TryAgain
from shared.database import Sessions
from shared.tables import AfterGracePeriod

# An operator who was called has so long to look.
A_DAY: Final = timedelta(days=1)
# Workers look every ten minutes; what restarts, fails over or is upgraded has this long.
_UNSEEN: Final = timedelta(hours=2)
# Transactions begin at other moments than they write.
_BACK: Final = timedelta(minutes=5)
_LOOK_AGAIN: Final = timedelta(minutes=10)
_LOOK_SECONDS: Final = 10.0
# What is printed of stores, and of accounts.
MOST_LISTED: Final = 1000

_SEE: Final = text("""
    INSERT INTO deletion_watch AS w (id) VALUES (1)
    ON CONFLICT (id) DO UPDATE SET
        steady_since = CASE WHEN now() BETWEEN w.seen_at - CAST(:back AS interval) AND w.seen_at + CAST(:unseen AS interval) THEN w.steady_since ELSE now() END,
        seen_at = now()
    RETURNING now() AS now, steady_since, stopped_at, stopped_by, stop_reason
""")
_READ: Final = text(
    "SELECT now() AS now, steady_since, stopped_at, stopped_by, stop_reason FROM deletion_watch"
    " UNION ALL SELECT now(), now(), NULL, NULL, NULL WHERE NOT EXISTS (SELECT FROM deletion_watch)"
)
_STOP: Final = text("""
    INSERT INTO deletion_watch AS w (id, stopped_at, stopped_by, stop_reason) VALUES (1, now(), CAST(:by AS text), CAST(:reason AS text))
    ON CONFLICT (id) DO UPDATE SET stopped_at = coalesce(w.stopped_at, now()), stopped_by = CAST(:by AS text), stop_reason = CAST(:reason AS text)
""")
_RESUME: Final = text(
    "UPDATE deletion_watch SET stopped_at = NULL, stopped_by = NULL, stop_reason = NULL WHERE stopped_at IS NOT NULL"
)
_STORES: Final = text("""
    SELECT i.rests_until AS at, i.id, i.account_id, i.data_after_rest, a.local_part
    FROM integrations i LEFT JOIN relay_addresses a ON a.integration_id = i.id AND a.retired_at IS NULL
    WHERE i.disconnected_at IS NOT NULL AND i.erased_at IS NULL AND i.rests_until <= CAST(:until AS timestamptz)
        AND (i.removed_at IS NULL OR i.data_after_rest = 'delete')
    ORDER BY i.rests_until LIMIT :most
""")
_ACCOUNTS: Final = text(
    "SELECT erase_after AS at, id FROM accounts WHERE erase_after <= CAST(:until AS timestamptz) AND erased_at IS NULL ORDER BY erase_after LIMIT :most"
)


GoOn = Callable[[], Awaitable[None]]
"""Asked before the next thing is destroyed. Raises what ends the work there."""


class DeletionWaits(TryAgain):
    """Nothing is destroyed now; whoever wanted to looks again."""


@dataclass(frozen=True, slots=True)
class Watch:
    """By PostgreSQL's clock, which tells `now` and has gone evenly since `steady_since`."""

    now: datetime
    steady_since: datetime
    stopped_at: datetime | None
    stopped_by: str | None
    stop_reason: str | None

    @property
    def waits_until(self) -> datetime | None:
        """From when on something may be destroyed again, if nobody stops it; None if it may be now."""
        goes_on_at = self.steady_since + A_DAY
        return goes_on_at if goes_on_at > self.now else None

    @property
    def may_destroy(self) -> bool:
        """Whether something may be destroyed now."""
        return self.stopped_at is None and self.waits_until is None


@dataclass(frozen=True, slots=True)
class Planned:
    """What ends for good at a moment, and why."""

    at: datetime
    what: str
    why: str


async def see(sessions: Sessions) -> Watch:
    """Look at the clock, for all. Raises ClocksDiffer."""
    await sessions.agreed_now()
    async with sessions.begin() as session:
        return _watch((await session.execute(_SEE, {"back": _BACK, "unseen": _UNSEEN})).one())


async def time_to_destroy(sessions: Sessions) -> datetime:
    """The time by which something that is over is destroyed for good. Raises ClocksDiffer, and DeletionWaits."""
    watch = await see(sessions)
    if not watch.may_destroy:
        raise DeletionWaits(_LOOK_AGAIN)
    return watch.now


class StillTime:
    """For whoever destroys one after the other, before each: whether that may go on. It looks every ten seconds. Raises as `time_to_destroy`."""

    def __init__(self, sessions: Sessions, *, every_seconds: float = _LOOK_SECONDS) -> None:
        self._sessions = sessions
        self._every_seconds = every_seconds
        self._look_at = -math.inf

    async def __call__(self) -> None:
        if time.monotonic() >= self._look_at:
            await time_to_destroy(self._sessions)
            self._look_at = time.monotonic() + self._every_seconds


async def always() -> None:
    """In place of StillTime, for an operator who has asked for it by hand."""


async def read(sessions: Sessions) -> Watch:
    """What the workers have seen."""
    async with sessions.reading() as reader:
        return _watch((await reader.execute(_READ)).one())


async def stop(sessions: Sessions, *, by: str, reason: str | None) -> None:
    """Nothing that is over is destroyed any more, in any process, from the next store, account or step on."""
    async with sessions.begin() as session:
        await session.execute(_STOP, {"by": by, "reason": reason})


async def resume(sessions: Sessions) -> bool:
    """Whether it was stopped."""
    async with sessions.begin() as session:
        connection = await session.connection()
        return bool((await connection.execute(_RESUME)).rowcount)


async def planned(sessions: Sessions, until: datetime) -> list[Planned]:
    """The stores that are removed and the accounts that are erased until then, first those that are first."""
    asked = {"until": until, "most": MOST_LISTED}
    async with sessions.reading() as reader:
        stores = (await reader.execute(_STORES, asked)).all()
        accounts = (await reader.execute(_ACCOUNTS, asked)).all()
    ends = [
        Planned(
            row.at,
            f"store {row.id} of account {row.account_id}: "
            + (
                "it is removed"
                if row.local_part is None
                else f"the address {row.local_part}@… is retired for good"
            )
            + (", its data are deleted" if row.data_after_rest == AfterGracePeriod.DELETE else ""),
            "30 days after it was disconnected",
        )
        for row in stores
    ]
    ends += [
        Planned(row.at, f"account {row.id}: everything is erased", "30 days after it was closed")
        for row in accounts
    ]
    return sorted(ends, key=lambda each: each.at)


def _watch(row: Row[tuple[object, ...]]) -> Watch:
    return Watch(row.now, row.steady_since, row.stopped_at, row.stopped_by, row.stop_reason)
