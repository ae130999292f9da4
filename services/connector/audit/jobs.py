"""Background entry point: the look for what administrators should be told of."""

from datetime import timedelta
from typing import Final

from services.connector.audit.alarm_service import Alarms
from services.connector.job_queue.runner import JobRunner
from services.connector.job_queue.schedules import Every
from shared.database import Sessions

_OFTEN: Final = Every(timedelta(minutes=5))


def register(runner: JobRunner, sessions: Sessions, alarms: Alarms) -> None:
    """Make this room's work known to a worker."""

    async def watch_the_logs() -> None:
        await alarms.watch(await sessions.now())

    runner.add_recurring("watch_the_logs", _OFTEN, watch_the_logs)
