"""Background entry point: the nightly purge."""

from datetime import UTC, datetime, time
from typing import Final

from services.connector.job_queue.runner import JobRunner
from services.connector.job_queue.schedules import DailyAt
from services.connector.privacy.purger import Purger

# In the night of Europe, where most sellers are.
_NIGHTLY: Final = DailyAt(time(1, 43))


def register(runner: JobRunner, purger: Purger) -> None:
    """Make this room's work known to a worker."""

    async def purge_what_is_over() -> None:
        # What could not be ended counts as a failure, so that it is tried again soon and an alarm tells.
        await purger.purge(datetime.now(UTC))

    runner.add_recurring("purge_what_is_over", _NIGHTLY, purge_what_is_over)
