"""Background entry point: accounts whose grace period is over are erased."""

from datetime import timedelta
from typing import Final

import structlog

from services.connector.account_closing.erasure import erase_closed
from services.connector.job_queue.runner import JobRunner
from services.connector.job_queue.schedules import Every
from services.connector.privacy.deletion_watch import StillTime, time_to_destroy
from shared.blobs import BlobStore
from shared.database import Sessions

log = structlog.get_logger()

_HOURLY: Final = Every(timedelta(hours=1))


def register(runner: JobRunner, sessions: Sessions, blobs: BlobStore) -> None:
    """Make this room's work known to a worker."""

    async def erase_closed_accounts() -> None:
        # What could not be erased counts as a failure, so that it is tried again soon and an alarm tells.
        now = await time_to_destroy(sessions)
        log.info(
            "closed_accounts_erased", accounts=await erase_closed(sessions, blobs, now, StillTime(sessions))
        )

    runner.add_recurring("erase_closed_accounts", _HOURLY, erase_closed_accounts)
