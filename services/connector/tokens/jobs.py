"""Background entry point: access tokens are renewed before they end, and grants that nobody uses are looked after."""

from typing import Final

import structlog
from pgqueuer import PgQueuer
from pgqueuer.models import Schedule

from services.connector.tokens.service import Vault
from shared.database import is_unavailable

log = structlog.get_logger()

_EVERY_MINUTE: Final = "* * * * *"


def register(queue: PgQueuer, vault: Vault) -> None:
    """Make this room's schedule known to a worker."""

    @queue.schedule("renew_due_tokens", _EVERY_MINUTE)
    async def renew_due_tokens(_schedule: Schedule) -> None:
        try:
            renewed = await vault.renew_due()
        except Exception as error:
            # What was claimed is due again in some minutes.
            if not is_unavailable(error):
                log.exception("renewal_broke_off")
                return
            log.warning("database_unavailable", error=type(error).__name__)
        else:
            if renewed:
                log.info("tokens_renewed", grants=renewed)
