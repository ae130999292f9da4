"""Background entry points: what Amazon has put into the queue, and whether it is still asked to tell of every store."""

from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from services.connector.amazon.errors import AmazonPaused, AmazonUnavailable, ClientMisconfigured
from services.connector.amazon_notices.service import NoticeReader
from services.connector.amazon_notices.subscription_service import Subscriber
from services.connector.integrations import service as integrations
from services.connector.job_queue.runner import JobRunner, TryAgain
from services.connector.job_queue.schedules import Every
from services.connector.tokens.service import RenewalBusy
from shared.availability import DATABASE
from shared.database import Sessions, is_unavailable
from shared.errors import Expected
from shared.jobs import Job

log = structlog.get_logger()

_OFTEN: Final = Every(timedelta(seconds=15))
_DAILY: Final = Every(timedelta(days=1))
_RETRIES: Final = tuple(timedelta(minutes=minutes) for minutes in (2, 10, 60))


def register(
    runner: JobRunner, sessions: Sessions, reader: NoticeReader | None, subscriber: Subscriber | None
) -> None:
    """Make this room's work known to a worker. Without a queue there is none, and nothing to subscribe to."""

    async def subscribe_to_notices(integration_id: UUID, attempts: int) -> None:
        if subscriber is not None:
            await _subscribe(sessions, subscriber, integration_id, attempts)

    async def subscribe_all() -> None:
        if subscriber is not None:
            await integrations.enqueue_for_all(sessions, Job.SUBSCRIBE_TO_NOTICES)

    async def read_amazons_notices() -> None:
        if reader is not None:
            await read_notices(reader)

    runner.add(Job.SUBSCRIBE_TO_NOTICES, subscribe_to_notices, at_once=2)
    runner.add_recurring("subscribe_all", _DAILY, subscribe_all)
    runner.add_recurring("read_amazons_notices", _OFTEN, read_amazons_notices)


async def _subscribe(sessions: Sessions, subscriber: Subscriber, integration_id: UUID, attempts: int) -> None:
    try:
        await subscriber.subscribe_store(integration_id, await sessions.now())
    except AmazonPaused:
        raise
    except (AmazonUnavailable, RenewalBusy) as failure:
        if attempts <= len(_RETRIES):
            raise TryAgain(_RETRIES[attempts - 1]) from None
        log.warning("subscribing_given_up", integration_id=str(integration_id), code=failure.code)
    except Expected as failure:
        # Tomorrow it is tried again; until then the store is asked for, as it is anyway.
        log.warning("subscribing_refused", integration_id=str(integration_id), code=failure.code)


async def read_notices(reader: NoticeReader) -> None:
    """Raises AmazonPaused, and nothing else: what was received and not removed is given out again in some minutes."""
    try:
        await reader.read_all()
    except AmazonPaused:
        raise
    except (AmazonUnavailable, ClientMisconfigured) as failure:
        reader.failed()
        log.warning("notice_queue_failed", code=failure.code, **failure.fields)
    except Exception as error:
        if not is_unavailable(error):
            log.exception("notices_broke_off")
            return
        DATABASE.is_away(error)
