"""Background entry point: access tokens are renewed before they end, and grants that nobody uses are looked after."""

from datetime import timedelta
from typing import Final

import structlog

from services.connector.job_queue.runner import JobRunner
from services.connector.job_queue.schedules import Every
from services.connector.tokens.service import Vault

log = structlog.get_logger()

_EACH_MINUTE: Final = Every(timedelta(minutes=1))


def register(runner: JobRunner, vault: Vault) -> None:
    """Make this room's work known to a worker."""

    async def renew_due_tokens() -> None:
        # What was claimed when this breaks off is due again in some minutes.
        if renewed := await vault.renew_due():
            log.info("tokens_renewed", grants=renewed)

    runner.add_recurring("renew_due_tokens", _EACH_MINUTE, renew_due_tokens)
