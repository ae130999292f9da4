"""Background entry point: when the client secret ends is looked at each minute."""

from datetime import timedelta
from typing import Final

from services.connector.amazon_credentials.secrets import ClientSecrets
from services.connector.job_queue.runner import JobRunner
from services.connector.job_queue.schedules import Every

_EACH_MINUTE: Final = Every(timedelta(minutes=1))


def register(runner: JobRunner, secrets: ClientSecrets) -> None:
    """Make this room's work known to a worker."""

    async def look_at_client_secret() -> None:
        # For the metric: a worker without stores asks for no token, and its secret ends all the same.
        await secrets.newest_first()

    runner.add_recurring("look_at_client_secret", _EACH_MINUTE, look_at_client_secret)
