"""Snoozed conversations open again when their time has come, and are unread: somebody wanted to be reminded."""

import asyncio
from datetime import datetime
from typing import Final

from sqlalchemy import select

from services.connector.inbox.changes import announce_changes
from shared.availability import DATABASE
from shared.database import Sessions, is_unavailable
from shared.tables import Conversation, ConversationStatus

_EVERY_SECONDS: Final = 15.0
_BATCH: Final = 500


async def wake_forever(sessions: Sessions) -> None:
    """Every worker may do it: what one has woken is nothing to do for the other."""
    while True:
        woken = 0
        try:
            woken = await wake_due(sessions, await sessions.now())
        except Exception as error:
            if not is_unavailable(error):
                raise
            DATABASE.is_away(error)
        if woken < _BATCH:
            await asyncio.sleep(_EVERY_SECONDS)


async def wake_due(sessions: Sessions, now: datetime, *, batch: int = _BATCH) -> int:
    """Open what is due, and announce it; how many that were."""
    due = (
        select(Conversation)
        .where(Conversation.snoozed_until <= now, Conversation.merged_into.is_(None))
        .order_by(Conversation.snoozed_until)
        .limit(batch)
        # Whatever somebody holds is about to be changed, and has its turn the next time.
        .with_for_update(skip_locked=True)
    )
    async with sessions.begin() as session:
        rows = (await session.scalars(due)).all()
        for row in rows:
            row.status, row.snoozed_until, row.is_unread = ConversationStatus.OPEN.value, None, True
        await announce_changes(session, *rows)
        return len(rows)
