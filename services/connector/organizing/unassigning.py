"""Who may not read the inbox any more has no conversations: they are nobody's, so that somebody takes them.

A job, because somebody who leaves may have had a hundred thousand: that they leave must not wait for these.
"""

from typing import Final
from uuid import UUID

from sqlalchemy import select

from services.connector.inbox.changes import announce_changes, hold_assignable
from shared.database import Sessions
from shared.tables import Conversation, ConversationStatus, User

_BATCH: Final = 500


async def unassign(sessions: Sessions, user_id: UUID, *, batch: int = _BATCH) -> int:
    """Take what this person has from them, unless they may read the inbox (again); how many conversations that were."""
    count = 0
    while True:
        async with sessions.begin() as session:
            account_id = await session.scalar(select(User.account_id).where(User.id == user_id))
            if account_id is None or await hold_assignable(session, account_id, [user_id]):
                return count
            theirs = (
                select(Conversation)
                .where(Conversation.account_id == account_id, Conversation.assignee_id == user_id)
                # As everywhere, so that two who hold many never wait for each other in a circle.
                .order_by(Conversation.id)
                .limit(batch)
                .with_for_update()
            )
            rows = (await session.scalars(theirs)).all()
            for row in rows:
                row.assignee_id = None
            shown = [
                row for row in rows if row.status != ConversationStatus.CLOSED and row.merged_into is None
            ]
            await announce_changes(session, *shown)
        count += len(rows)
        if len(rows) < batch:
            return count
