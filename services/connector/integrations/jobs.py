"""Background entry points: read a store's countries again, one store on demand and all of them once a day."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from pgqueuer import PgQueuer
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job as QueuedJob
from pgqueuer.models import Schedule

from services.connector.amazon.access import Amazon
from services.connector.amazon.errors import AmazonUnavailable
from services.connector.integrations import service
from services.connector.tokens.service import RenewalBusy
from shared.database import Sessions, is_unavailable
from shared.errors import Expected
from shared.jobs import Job
from shared.keyring import Keyring

log = structlog.get_logger()

# Amazon allows about one call a minute and store; what is still wrong after these waits for the next day.
_RETRIES: Final = tuple(timedelta(minutes=minutes) for minutes in (2, 10, 60))
# In the night of Europe, where most sellers are.
_DAILY: Final = "17 3 * * *"


class RefreshFailed(Exception):
    """A bug; its text is the kind of failure, and no more."""


def register(queue: PgQueuer, *, sessions: Sessions, keyring: Keyring, amazon: Amazon) -> None:
    """Make this room's jobs known to a worker."""

    @queue.entrypoint(Job.REFRESH_PARTICIPATIONS.value, on_failure="hold", concurrency_limit=5)
    async def refresh_participations(job: QueuedJob) -> None:
        assert job.payload is not None
        integration_id = UUID(bytes=job.payload)
        try:
            await service.refresh_participations(sessions, keyring, amazon, integration_id, datetime.now(UTC))
        except (AmazonUnavailable, RenewalBusy) as failure:
            if job.attempts < len(_RETRIES):
                raise RetryRequested(_RETRIES[job.attempts], failure.code) from None
            log.warning("refresh_given_up", integration_id=str(integration_id), code=failure.code)
        except Expected as failure:
            # The sync status tells the seller, the log the operator; a second try would be answered the same.
            log.warning("refresh_refused", integration_id=str(integration_id), code=failure.code)
        except Exception as bug:
            if is_unavailable(bug) and job.attempts < len(_RETRIES):
                log.warning("database_unavailable", error=type(bug).__name__)
                raise RetryRequested(_RETRIES[job.attempts], "database_unavailable") from None
            # The queue keeps the text of what a job raises, and this one's may hold a value.
            log.exception("refresh_failed", integration_id=str(integration_id))
            raise RefreshFailed(type(bug).__name__) from None

    @queue.schedule("refresh_all_participations", _DAILY)
    async def refresh_all_participations(_schedule: Schedule) -> None:
        log.info("daily_refresh_enqueued", integrations=await service.refresh_all(sessions))
