"""What waits for the connector's worker, shown as metrics by each worker."""

import asyncio
import math
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Gauge

from shared.database import Sessions, is_unavailable
from shared.status import queries

log = structlog.get_logger()

# As often as metrics are usually asked for.
_EVERY_SECONDS: Final = 15.0
# The mail worker shows mail and replies itself, and the runner of jobs its jobs.
_SHOWN: Final = (
    "webhook_deliveries",
    "webhook_deliveries_of_failing",
    "events",
    "stores_to_erase",
    "accounts_to_erase",
)


class Backlog:
    """Looks again and again at what waits. What is not known, because the database does not answer, is not a number."""

    def __init__(self, sessions: Sessions, registry: CollectorRegistry) -> None:
        self._sessions = sessions
        self._waiting = Gauge("replyco_waiting", "What waits now", ["queue"], registry=registry)
        self._age = Gauge(
            "replyco_waiting_age_seconds",
            "How long the first of what waits has waited",
            ["queue"],
            registry=registry,
        )
        self._forget()

    async def watch_forever(self) -> None:
        """Every worker tells the same."""
        while True:
            try:
                await self.watch()
            except Exception as error:  # a figure is missing; the work goes on
                self._forget()
                if not is_unavailable(error):  # else others have logged it
                    log.exception("backlog_not_known")
            await asyncio.sleep(_EVERY_SECONDS)

    async def watch(self) -> None:
        """Look once."""
        async with self._sessions.begin() as session:
            for queue in _SHOWN:
                waiting = await queries.read_waiting(session, queue)
                self._waiting.labels(queue).set(waiting.count)
                self._age.labels(queue).set(waiting.oldest_seconds or 0)

    def _forget(self) -> None:
        for queue in _SHOWN:
            self._waiting.labels(queue).set(math.nan)
            self._age.labels(queue).set(math.nan)
