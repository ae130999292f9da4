"""Removes blobs that no row names: what is left when a process ends between a blob and its row, before or after."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from services.mailrelay.delivery import queue
from services.mailrelay.delivery.metrics import DeliveryMetrics
from shared.availability import DATABASE
from shared.blobs import BlobsForbidden, BlobStore, day_of
from shared.clock import ClocksDiffer
from shared.database import Sessions, is_unavailable
from shared.errors import Expected

log = structlog.get_logger()

_EVERY_SECONDS: Final = 3600.0
_BATCH: Final = 500
# Rows go long after their day: erased with their store, or made anew of another blob. What they leave is found this late at most.
_ALL_AGAIN: Final = timedelta(days=7)
# Only whole days that ended at least so long ago.
_AGE: Final = timedelta(hours=24)
# A relay gives up on a row after a minute at most. A mail worker puts a mail's hundred attachments one after the other, each within
# ten seconds, before their rows. Clocks may jump; this is waited for, so no row can still be coming.
CONFIRM_SECONDS: Final = 1800.0


class RowsUncertain(Expected):
    """The database was restored: a blob without a row may be one of after the point, and be needed when it is restored to a later one."""

    code = "rows_uncertain"


async def sweep_forever(
    blobs: BlobStore,
    sessions: Sessions,
    metrics: DeliveryMetrics,
    *,
    every_seconds: float = _EVERY_SECONDS,
    confirm_seconds: float = CONFIRM_SECONDS,
    all_again: timedelta = _ALL_AGAIN,
) -> None:
    """Sweep once an hour the days that have ended since, to which nothing is added, and once a week all days.

    A blob store that is away is logged once, until it is back. While this machine's clock and PostgreSQL's differ, nothing is swept.
    """
    swept_before = ""
    is_away = False
    all_due_at = datetime.min.replace(tzinfo=UTC)
    while True:
        try:
            now = await sessions.agreed_now()
            if now >= all_due_at:
                swept_before = ""
            await sweep(
                blobs, sessions, metrics, now=now, from_day=swept_before, confirm_seconds=confirm_seconds
            )
            if not swept_before:
                all_due_at = now + all_again
            swept_before = day_of(now - _AGE)
            is_away = False
            metrics.sweep_put_off.set(0)
        except ClocksDiffer:  # told by whoever found it
            metrics.sweep_put_off.set(1)
        except Expected as error:
            # After a restore the operators want it so.
            metrics.sweep_put_off.set(not isinstance(error, RowsUncertain))
            if not is_away:
                log.warning("sweep_put_off", code=error.code, is_forbidden=isinstance(error, BlobsForbidden))
            is_away = True
        except Exception as error:  # waste that lies a while longer; delivering goes on
            metrics.sweep_put_off.set(1)
            if is_unavailable(error):
                DATABASE.is_away(error)
            else:
                log.exception("sweep_failed")
        await asyncio.sleep(every_seconds)


async def sweep(
    blobs: BlobStore,
    sessions: Sessions,
    metrics: DeliveryMetrics,
    *,
    now: datetime,
    from_day: str = "",
    confirm_seconds: float = CONFIRM_SECONDS,
) -> None:
    """Remove the blobs that have no row on two checks, of the days `from_day` to the last that is old enough.

    Raises BlobsForbidden after all other days, if one is closed to us.
    """
    end = day_of(now - _AGE)
    forbidden: BlobsForbidden | None = None
    for day in await blobs.days():
        if not from_day <= day < end:
            continue
        try:
            await _sweep_day(blobs, sessions, metrics, day, confirm_seconds)
        except BlobsForbidden as error:
            forbidden = error
    if forbidden is not None:
        raise forbidden


async def _sweep_day(
    blobs: BlobStore, sessions: Sessions, metrics: DeliveryMetrics, day: str, confirm_seconds: float
) -> None:
    after = ""
    while keys := await blobs.list_day(day, after=after, limit=_BATCH):
        after = keys[-1]
        if not await _without_row(sessions, keys):
            continue
        await asyncio.sleep(confirm_seconds)
        for key in await _without_row(sessions, keys):
            await blobs.remove(key)
            metrics.blobs_swept.inc()


async def _without_row(sessions: Sessions, keys: list[str]) -> list[str]:
    """Raises RowsUncertain."""
    async with sessions.begin() as session:
        if await queue.is_uncertain_after_restore(session):
            raise RowsUncertain
        named = await queue.referenced_blobs(session, keys)
    return [key for key in keys if key not in named]
