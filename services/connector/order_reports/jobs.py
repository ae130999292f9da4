"""Background entry points: a store's order reports followed, all stores' every hour, old ones forgotten."""

from datetime import time, timedelta
from typing import Final
from uuid import UUID

import structlog

from services.connector.amazon.errors import AmazonPaused
from services.connector.integrations import service as integrations
from services.connector.job_queue.runner import JobRunner, TryAgain
from services.connector.job_queue.schedules import DailyAt, Every
from services.connector.order_reports import service
from services.connector.order_reports.service import Follower
from shared.database import Sessions
from shared.errors import Expected
from shared.jobs import Job

log = structlog.get_logger()

# A large one fills a core, and its batches share the database with everything else.
_AT_ONCE: Final = 2
_HOURLY: Final = Every(timedelta(hours=1))
_DAILY: Final = DailyAt(time(3, 47))


def register(runner: JobRunner, sessions: Sessions, follower: Follower) -> None:
    """Make this room's work known to a worker."""

    async def follow_order_reports(integration_id: UUID, _attempts: int) -> None:
        try:
            wait = await follower.follow(integration_id)
        except AmazonPaused:
            raise
        except Expected as failure:
            # It hinders the store as a whole, and its lock says so. Each hour is another chance.
            log.warning("order_reports_hindered", integration_id=str(integration_id), code=failure.code)
            return
        if wait is not None:
            raise TryAgain(wait)

    async def enqueue_order_reports() -> None:
        log.info(
            "order_reports_enqueued",
            integrations=await integrations.enqueue_for_all(sessions, Job.FOLLOW_ORDER_REPORTS),
        )

    async def forget_order_reports() -> None:
        await service.forget_old(sessions)

    runner.add(Job.FOLLOW_ORDER_REPORTS, follow_order_reports, at_once=_AT_ONCE)
    runner.add_recurring("enqueue_order_reports", _HOURLY, enqueue_order_reports)
    runner.add_recurring("forget_order_reports", _DAILY, forget_order_reports)
