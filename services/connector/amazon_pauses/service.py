"""Pausing and resuming the calls to Amazon, and the switch through which every process learns of it."""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from services.connector.amazon.errors import AmazonPaused
from shared.availability import DATABASE
from shared.database import Sessions, is_unavailable
from shared.tables import AmazonPause

log = structlog.get_logger()

# How long a process may go on after the operators have paused the calls.
_KEPT_SECONDS: Final = 1.0
_WATCH_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Pause:
    """That the calls are paused. `reason` and `paused_by` are the operators' own words, and for nobody else."""

    paused_at: datetime
    reason: str | None
    paused_by: str | None


async def pause(sessions: Sessions, client_id: str, *, reason: str | None, paused_by: str | None) -> Pause:
    """Stop all calls to Amazon of the application with this client id. If they are stopped already, since when counts as it was."""
    async with sessions.begin() as session:
        await session.execute(
            insert(AmazonPause)
            .values(client_id=client_id, reason=reason, paused_by=paused_by)
            .on_conflict_do_nothing()
        )
        row = (await session.scalars(select(AmazonPause).where(AmazonPause.client_id == client_id))).one()
        found = Pause(row.paused_at, row.reason, row.paused_by)
    log.warning("amazon_paused", since=found.paused_at.isoformat())
    return found


async def resume(sessions: Sessions, client_id: str) -> bool:
    """Let the calls go out again. Whether they were paused."""
    async with sessions.begin() as session:
        gone = await session.scalar(
            delete(AmazonPause).where(AmazonPause.client_id == client_id).returning(AmazonPause.client_id)
        )
    if gone is not None:
        log.warning("amazon_resumed")
    return gone is not None


async def read_pause(sessions: Sessions, client_id: str) -> Pause | None:
    """The pause that holds, if one does."""
    async with sessions.begin() as session:
        row = await session.get(AmazonPause, client_id)
        return Pause(row.paused_at, row.reason, row.paused_by) if row is not None else None


class PauseSwitch:
    """What a process knows of the pause: never older than a second when it is asked. While the database is away, what was known last.

    One a process. Nothing is asked of Amazon without it (`amazon.access.create_amazon`, `amazon.notice_queue.open_notice_queue`).
    """

    def __init__(
        self,
        sessions: Sessions,
        client_id: str,
        registry: CollectorRegistry | None = None,
        *,
        kept_seconds: float = _KEPT_SECONDS,
    ) -> None:
        self._sessions = sessions
        self._client_id = client_id
        self._kept_seconds = kept_seconds
        self._since: datetime | None = None
        self._read_at: float | None = None
        self._reading = asyncio.Lock()
        if registry is not None:
            Gauge(
                "replyco_amazon_paused",
                "1 while the operators have stopped all calls to Amazon",
                registry=registry,
            ).set_function(lambda: self._since is not None)

    async def refuse_if_paused(self) -> None:
        if await self.paused_since() is not None:
            raise AmazonPaused

    async def paused_since(self) -> datetime | None:
        """Since when the calls are paused; None if they go out."""
        if not self._is_fresh():
            async with self._reading:
                if not self._is_fresh():
                    await self._read()
        return self._since

    async def watch(self) -> None:
        """Keep looking, so that the metric is right in a process that has nothing to ask of Amazon."""
        while True:
            await self.paused_since()
            await asyncio.sleep(_WATCH_SECONDS)

    def _is_fresh(self) -> bool:
        return self._read_at is not None and time.monotonic() - self._read_at < self._kept_seconds

    async def _read(self) -> None:
        # From before the question: what is committed while it is answered is seen by the next one.
        asked_at = time.monotonic()
        try:
            found = await read_pause(self._sessions, self._client_id)
        except Exception as error:
            if not is_unavailable(error):
                raise
            DATABASE.is_away(error)
        else:
            if (found is not None) != (self._since is not None):
                log.warning("amazon_calls", paused=found is not None)
            self._since = found.paused_at if found is not None else None
        self._read_at = asked_at
