"""Background entry point: the nightly purge."""

from datetime import time
from typing import Final

from services.connector.job_queue.runner import JobRunner
from services.connector.job_queue.schedules import DailyAt
from services.connector.privacy.deletion_watch import StillTime, time_to_destroy
from services.connector.privacy.purger import Purger
from shared.database import Sessions

# In the night of Europe, where most sellers are.
_NIGHTLY: Final = DailyAt(time(1, 43))


def register(runner: JobRunner, sessions: Sessions, purger: Purger) -> None:
    """Make this room's work known to a worker."""

    async def purge_what_is_over() -> None:
        # What could not be ended counts as a failure, so that it is tried again soon and an alarm tells.
        await purger.purge(await time_to_destroy(sessions), StillTime(sessions))

    runner.add_recurring("purge_what_is_over", _NIGHTLY, purge_what_is_over)
