"""A worker's part: the nightly purge, and the look at what is over, with what is shown of both."""

import asyncio
import math
from datetime import datetime
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from services.connector.privacy.deletion_watch import GoOn, always
from services.connector.privacy.over import Ending
from services.connector.privacy.purge_service import due, purge
from shared.availability import DATABASE
from shared.blobs import BlobStore
from shared.database import Sessions, is_unavailable

log = structlog.get_logger()

_EVERY_SECONDS: Final = 3600.0
_AGAIN_SECONDS: Final = 60.0


class Purger:
    """Ends what is over, and counts it: from zero, so that what has never happened is seen, too."""

    def __init__(
        self,
        sessions: Sessions,
        blobs: BlobStore,
        registry: CollectorRegistry,
        *,
        messages_end_with_orders: bool,
    ) -> None:
        self._sessions = sessions
        self._blobs = blobs
        self._messages_end_with_orders = messages_end_with_orders
        self._ended = Counter(
            "replyco_data_ended", "What was over and has ended", ["kind"], registry=registry
        )
        self._due = Gauge("replyco_data_due", "What is over and still there", ["kind"], registry=registry)
        self._overdue = Gauge(
            "replyco_data_overdue_seconds",
            "How long the oldest of what is over has been waiting for its end",
            registry=registry,
        )
        self._overdue.set(math.nan)  # not known yet
        for ending in Ending:
            self._ended.labels(ending)
            self._due.labels(ending).set(math.nan)

    async def purge(self, now: datetime, go_on: GoOn = always) -> None:
        """Once. Raises PurgeIncomplete, and what `go_on` raises."""
        ended = await purge(
            self._sessions,
            self._blobs,
            now,
            messages_end_with_orders=self._messages_end_with_orders,
            note=lambda ending, count: self._ended.labels(ending).inc(count),
            go_on=go_on,
        )
        log.info("purged", **{str(ending): count for ending, count in sorted(ended.items())})

    async def watch_forever(self) -> None:
        """Every hour, in every worker: one that has stopped looking must not go on showing what it saw."""
        while True:
            try:
                await self.watch(await self._sessions.now())
            except Exception as error:
                if is_unavailable(error):
                    DATABASE.is_away(error)
                else:
                    log.exception("privacy_watch_failed")
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                await asyncio.sleep(_EVERY_SECONDS)

    async def watch(self, now: datetime) -> None:
        """Look once."""
        found = await due(self._sessions, now, messages_end_with_orders=self._messages_end_with_orders)
        for ending, each in found.items():
            self._due.labels(ending).set(each.count)
        waiting = [(now - each.oldest).total_seconds() for each in found.values() if each.oldest is not None]
        self._overdue.set(max([0.0, *waiting]))
