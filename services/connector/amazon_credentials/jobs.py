"""Background entry point: each minute, what Amazon has put into the application's queue."""

from datetime import timedelta
from typing import Final

import structlog

from services.connector.amazon.errors import AmazonPaused, AmazonUnavailable, ClientMisconfigured
from services.connector.amazon_credentials.secrets import ClientSecrets
from services.connector.amazon_credentials.service import NoticeReader
from services.connector.job_queue.runner import JobRunner
from services.connector.job_queue.schedules import Every
from shared.database import is_unavailable

log = structlog.get_logger()

_EACH_MINUTE: Final = Every(timedelta(minutes=1))


def register(runner: JobRunner, secrets: ClientSecrets, reader: NoticeReader | None) -> None:
    """Make this room's work known to a worker. Without a reader only the end of the client secret is looked at."""

    async def read_amazons_notices() -> None:
        # For the metric: a worker without stores asks for no token, and its secret ends all the same.
        await secrets.newest_first()
        if reader is not None:
            await read_notices(reader)

    runner.add_recurring("read_amazons_notices", _EACH_MINUTE, read_amazons_notices)


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
        log.warning("database_unavailable", error=type(error).__name__)
