"""What waits for a webhook that is disabled goes on waiting, for a week: whoever enables it again by then misses nothing of it."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from services.connector.webhooks import queries
from services.connector.webhooks.retries import PAUSED_AT_MOST
from shared.database import Sessions

log = structlog.get_logger()

_EVERY: Final = timedelta(minutes=10)
_BATCH: Final = 1_000


async def end_pauses_forever(sessions: Sessions) -> None:
    """Every worker may do it: what one has ended is nothing to end for the other."""
    while True:
        if await end_pauses(sessions) < _BATCH:
            await asyncio.sleep(_EVERY.total_seconds())


async def end_pauses(sessions: Sessions, *, batch: int = _BATCH) -> int:
    """What has waited for too long is dead, by the database's clock; how many that were. They can be sent again as long as they are kept."""
    async with sessions.begin() as session:
        count = await queries.end_pauses(session, longest=PAUSED_AT_MOST, limit=batch)
    if count:
        log.info("webhook_pauses_ended", deliveries=count)
    return count
