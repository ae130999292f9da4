"""The one reader of Amazon's queue: each notice goes to what it concerns, and is removed once that is committed."""

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter
from pydantic import SecretStr

from services.connector.amazon.notice_queue import NoticeQueue
from services.connector.amazon_notices import queries
from services.connector.amazon_notices.notices import (
    AccountStatus,
    OrderChanged,
    ReportFinished,
    Told,
    happened_at,
    read_envelope,
    read_told,
)
from services.connector.orders import hints
from shared.database import Sessions
from shared.jobs import Job, enqueue

log = structlog.get_logger()

# What is left waits for the next round.
_ROUND_SECONDS: Final = 40.0
_LEFT: Final = "left"
_UNKNOWN: Final = "unknown"

TakeBody = Callable[[SecretStr], Awaitable[str | None]]
"""Takes a notice of the application itself, and says what became of it; None if it is for somebody else, and stays in the queue."""


class NoticeReader:
    """Takes Amazon's notices out of their queue. Any number may run.

    `of_application` are the kinds that concern the application and no store.
    """

    def __init__(
        self,
        sessions: Sessions,
        queue: NoticeQueue,
        of_application: Mapping[str, TakeBody],
        registry: CollectorRegistry,
    ) -> None:
        self._sessions = sessions
        self._queue = queue
        self._of_application = of_application
        self._notices = Counter(
            "replyco_amazon_notices",
            "Notices in Amazon's queue, by what became of them; queue_failed: the queue could not be read",
            ["outcome"],
            registry=registry,
        )
        for outcome in (
            "new_secret",
            "secret_expiry",
            "repeated",
            "order",
            "order_left_to_sync",
            "report",
            "account_status",
            "of_no_store",
            _UNKNOWN,
            _LEFT,
            "queue_failed",
        ):
            self._notices.labels(outcome)

    async def read_all(self, *, seconds: float = _ROUND_SECONDS) -> None:
        """Read until the queue is empty, or for so long. Each notice is removed after the commit of what it tells.

        Raises AmazonUnavailable, ClientMisconfigured, AmazonPaused.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            received = await self._queue.receive()
            for message in received:
                outcome = await self._take(message.body)
                self._notices.labels(outcome).inc()
                if outcome == _LEFT:
                    log.warning("notice_left_in_queue", message_id=message.message_id)
                else:
                    await self._queue.remove(message)
            if not received:
                return

    def failed(self) -> None:
        """Count that the queue could not be read."""
        self._notices.labels("queue_failed").inc()

    async def _take(self, body: SecretStr) -> str:
        """Hand a notice on; what became of it. What nobody knows is of no use to anybody, and would come again for days."""
        notice = read_envelope(body)
        if notice is None:
            return _UNKNOWN
        if (take := self._of_application.get(notice.kind)) is not None:
            return await take(body) or _LEFT
        told = read_told(notice)
        if told is None:
            log.info("notice_unknown", kind=notice.kind)
            return _UNKNOWN
        now = await self._sessions.now()
        return await self._tell_stores(
            notice.kind, notice.subscription_id, told, happened_at(notice, now), now
        )

    async def _tell_stores(
        self, kind: str, subscription_id: str, told: Told, at: datetime, now: datetime
    ) -> str:
        outcome = "of_no_store"
        async with self._sessions.begin() as session:
            for store in await queries.stores_told_of(session, kind, subscription_id, told.seller_id):
                match told:
                    case OrderChanged(order_id=order_id):
                        is_kept = await hints.note(
                            session, store.account_id, store.integration_id, order_id, told_at=at, now=now
                        )
                        outcome = "order" if is_kept else "order_left_to_sync"
                    case ReportFinished(report_id=report_id):
                        if await queries.is_awaited(session, store, report_id):
                            await enqueue(session, Job.FOLLOW_ORDER_REPORTS, store.integration_id)
                        outcome = "report"
                    case AccountStatus(marketplace_id=marketplace_id, status=status):
                        if await queries.write_account_status(session, store, marketplace_id, status, at):
                            await enqueue(session, Job.REFRESH_PARTICIPATIONS, store.integration_id)
                            await enqueue(session, Job.RECOMPUTE_LOCK, store.integration_id)
                        outcome = "account_status"
        return outcome
