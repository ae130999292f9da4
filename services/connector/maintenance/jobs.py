"""Housekeeping: partitions ahead of time, and the removal of expired rows.

Each job stands alone: one that fails is logged and counted, and the others go on. None works longer than its batches, so that a table
of which millions of rows have expired holds up no other; the next round goes on with it.
"""

import asyncio
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import text

from services.connector.privacy import deletion_watch
from shared.availability import DATABASE
from shared.clock import ClocksDiffer
from shared.database import Sessions, is_unavailable

log = structlog.get_logger()

_EVERY_SECONDS: Final = 600.0
# What could not be done is tried again soon: a partition that waits for a reader, a database that was away.
_AGAIN_SECONDS: Final = 60.0
_BATCH: Final = 5_000
_BATCHES_A_ROUND: Final = 100
_PARTITIONS: Final = "partitions"
_READ_LOG: Final = "read_log"
# Strangers make its rows, so that it never waits. A full bucket is the same as none: nothing is lost with it, whatever a clock says.
_BUCKETS: Final = "throttle_buckets"
# Which rows of which table have expired, by conditions that an index serves: no other rows are read.
_OVER: Final[Mapping[str, str]] = {
    "login_requests": "expires_at < :now",
    "sessions": "expires_at < :now",
    "known_browsers": "expires_at < :now",
    "sign_in_challenges": "expires_at < :now",
    "password_resets": "expires_at < :now",
    "oidc_attempts": "expires_at < :now",
    # Until then they may be sent again.
    "invitations": "expires_at < :now - interval '30 days'",
    "idempotency_keys": "expires_at < :now",
    "sign_in_failures": "window_ends_at < :now",
    # The page of an attempt stays readable for so long; the audit log keeps its outcome.
    "authorization_attempts": "expires_at < :now - interval '30 days'",
    # A full bucket is the same as none, and one that nobody has used for a day is full.
    _BUCKETS: "updated_at < :now - interval '1 day' OR updated_at < now() - interval '1 hour'"
    " AND tokens + rate * extract(epoch FROM now() - updated_at) >= burst",
    # From these a listener resumes that was cut off.
    "events": "id < uuid_at(:now - interval '24 hours') AND fanned_out_at < :now - interval '24 hours'",
    # Whoever sends on a mail that is older finds its recipient in its signed To all the same.
    "seen_signatures": "seen_at < :now - interval '30 days'",
    # Nobody looks after them any more; their blobs are swept.
    "reply_files": "outbound_message_id IS NULL AND created_at < :now - interval '30 days' AND NOT EXISTS (SELECT FROM reply_drafts"
    " WHERE reply_drafts.conversation_id = reply_files.conversation_id AND reply_drafts.user_id = reply_files.uploaded_by)",
    "conversation_merges": "merged_at < :now - interval '30 days'",
    "reply_drafts": "updated_at < :now - interval '1 year'",
    # Who has not undone it by then lives with it.
    "conversations_changes": "made_at < :now - interval '1 hour'",
    # Whoever looks at an order after a quarter of an hour asks again.
    "order_lookups": "asked_at < :now - interval '30 days'",
    "webhook_deliveries": "id < uuid_at(:now - interval '30 days') AND state <> 'waiting'",
}


class HousekeepingMetrics:
    """What a worker shows of its housekeeping."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.failures = Counter(
            "replyco_housekeeping_failures", "Jobs of housekeeping that failed", ["job"], registry=registry
        )
        for job in (_PARTITIONS, _READ_LOG, *_OVER):
            self.failures.labels(job)
        self.partitions_missing = Gauge(
            "replyco_partitions_missing",
            "Partitions of this month and the three to come that could not be made yet",
            registry=registry,
        )
        self.partitions_missing.set(math.nan)  # not known yet
        self.deletion_waits = Gauge(
            "replyco_deletion_waits",
            "1 while nothing that is over is destroyed for good: a clock has jumped, nobody looked for hours, or an operator stopped it",
            registry=registry,
        )
        self.deletion_waits.set(math.nan)


async def keep_house_forever(sessions: Sessions, metrics: HousekeepingMetrics) -> None:
    """Every ten minutes. Every worker may do it: what one has done is nothing to do for the other."""
    while True:
        is_done = False
        try:
            is_done = await keep_house_by_clock(sessions, metrics)
        except Exception as error:
            if is_unavailable(error):
                DATABASE.is_away(error)
            else:
                log.exception("housekeeping_failed")
        await asyncio.sleep(_EVERY_SECONDS if is_done else _AGAIN_SECONDS)


async def keep_house_by_clock(sessions: Sessions, metrics: HousekeepingMetrics) -> bool:
    """As `keep_house`, but nothing while this machine's clock and PostgreSQL's differ, and no deletion but of full buckets in the first day after
    PostgreSQL's has jumped."""
    try:
        watch = await deletion_watch.see(sessions)
    except ClocksDiffer:
        metrics.deletion_waits.set(1)
        return False
    metrics.deletion_waits.set(not watch.may_destroy)
    return await keep_house(sessions, watch.now, metrics, deletes=watch.may_destroy)


async def keep_house(
    sessions: Sessions,
    now: datetime,
    metrics: HousekeepingMetrics | None = None,
    *,
    deletes: bool = True,
    batch: int = _BATCH,
    batches: int = _BATCHES_A_ROUND,
) -> bool:
    """Do everything once. Whether nothing is left to be tried again soon."""
    metrics = metrics or HousekeepingMetrics(CollectorRegistry())
    is_done = True
    for job in (_PARTITIONS, _READ_LOG, *_OVER) if deletes else (_PARTITIONS, _BUCKETS):
        try:
            if job == _PARTITIONS:
                is_done &= await _make_partitions(sessions, now, metrics)
            elif job == _READ_LOG:
                is_done &= await _end_read_months(sessions)
            else:
                await _delete_over(sessions, job, now, batch, batches)
        except Exception as error:  # whatever it is, the other jobs are not to blame
            is_done = False
            metrics.failures.labels(job).inc()
            if is_unavailable(error):
                DATABASE.is_away(error)
            else:
                log.exception("housekeeping_failed", job=job)
    return is_done


async def _make_partitions(sessions: Sessions, now: datetime, metrics: HousekeepingMetrics) -> bool:
    """Three months ahead, so that it may wait for weeks until nobody is in the way."""
    async with sessions.begin() as session:
        missing = await session.scalar(text("SELECT ensure_partitions(:now)"), {"now": now})
    metrics.partitions_missing.set(missing or 0)
    if missing:
        log.warning("partitions_missing", count=missing)
    return not missing


async def _end_read_months(sessions: Sessions) -> bool:
    """The owner's function knows their age. One that somebody reads waits for the next round."""
    async with sessions.begin() as session:
        waiting = await session.scalar(text("SELECT end_read_months()"))
    return not waiting


async def _delete_over(sessions: Sessions, table: str, now: datetime, batch: int, batches: int) -> None:
    """Delete a batch a transaction, and in one round no more than some batches."""
    over = _OVER[table].replace(":now", "CAST(:now AS timestamptz)")
    statement = text(
        f"DELETE FROM {table} WHERE ctid = ANY (ARRAY (SELECT ctid FROM {table} WHERE {over} LIMIT {batch}))"  # noqa: S608 - our own names
    )
    for _ in range(batches):
        async with sessions.begin() as session:
            gone = await session.connection()
            count = (await gone.execute(statement, {"now": now})).rowcount
        if count < batch:
            return
    log.info("housekeeping_goes_on_next_time", job=table)
