"""Conversations and mail that an account no longer keeps.

A conversation ends as a whole, when the last that was said in it is too old: no half thread stays. One that goes on for years loses what
is too old in it. A reply that is still on its way ends nothing.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import TextClause, delete, select

from services.connector.privacy import deletion
from services.connector.privacy.accounts import Kept
from services.connector.privacy.over import Ending, ids_statement, values_of
from shared.blobs import BlobStore
from shared.database import Sessions
from shared.tables import AcceptedMail, Conversation, Note, ReplyDraft

_BATCH: Final = 200


async def end_conversations(sessions: Sessions, blobs: BlobStore, kept: Kept, *, batch: int = _BATCH) -> int:
    """Delete the account's conversations that are over, with those that were merged into them; how many."""

    async def delete_some(ids: Sequence[UUID]) -> int:
        async with sessions.begin() as session:
            merged = await session.scalars(select(Conversation.id).where(Conversation.merged_into.in_(ids)))
            # They are empty, and still name the buyer.
            both = [*merged, *ids]
        return await deletion.delete_conversations(sessions, blobs, both, before=kept.answered_since)

    return await _while_some(sessions, kept, Ending.CONVERSATIONS, delete_some, batch)


async def end_messages(sessions: Sessions, blobs: BlobStore, kept: Kept, *, batch: int = _BATCH) -> int:
    """Delete messages that are too old in conversations that go on; how many."""
    over = ids_statement(Ending.MESSAGES, more=", m.conversation_id", most=batch)
    count = 0
    while True:
        async with sessions.reading() as reader:
            found = (await reader.execute(over, values_of(kept))).all()
        in_conversation: Mapping[UUID, list[UUID]] = defaultdict(list)
        for row in found:
            in_conversation[row.conversation_id].append(row.id)
        # One after the other: each is locked while its columns are counted anew.
        for conversation_id, ids in sorted(in_conversation.items()):
            await deletion.delete_messages(sessions, blobs, ids, recounted=[conversation_id])
        count += len(found)
        if len(found) < batch:
            return count


async def end_replies(sessions: Sessions, blobs: BlobStore, kept: Kept, *, batch: int = _BATCH) -> int:
    """Delete replies that are too old in conversations that go on; how many."""

    async def delete_some(ids: Sequence[UUID]) -> int:
        await deletion.delete_replies(sessions, blobs, ids)
        return len(ids)

    return await _while_some(sessions, kept, Ending.REPLIES, delete_some, batch)


async def end_notes(sessions: Sessions, kept: Kept, *, batch: int = _BATCH) -> int:
    """Delete notes that are too old; how many."""
    return await _end_rows(sessions, kept, Ending.NOTES, Note, batch)


async def end_drafts(sessions: Sessions, kept: Kept, *, batch: int = _BATCH) -> int:
    """Delete drafts that nobody has touched for so long; how many. Files that were chosen for them are housekeeping's."""
    return await _end_rows(sessions, kept, Ending.DRAFTS, ReplyDraft, batch)


async def end_raw_mail(sessions: Sessions, blobs: BlobStore, kept: Kept, *, batch: int = _BATCH) -> int:
    """Delete accepted mail that no message was made of, because it came twice; how much."""

    async def delete_some(ids: Sequence[UUID]) -> int:
        return await deletion.delete_mail(sessions, blobs, AcceptedMail.id.in_(ids))

    return await _while_some(sessions, kept, Ending.RAW_MAIL, delete_some, batch)


async def _end_rows(
    sessions: Sessions, kept: Kept, ending: Ending, table: type[Note | ReplyDraft], batch: int
) -> int:
    async def delete_some(ids: Sequence[UUID]) -> int:
        async with deletion.brief(sessions) as session:
            await session.execute(delete(table).where(table.id.in_(ids)))
        return len(ids)

    return await _while_some(sessions, kept, ending, delete_some, batch)


async def _while_some(
    sessions: Sessions,
    kept: Kept,
    ending: Ending,
    delete_some: Callable[[Sequence[UUID]], Awaitable[int]],
    batch: int,
) -> int:
    """Delete batch after batch. What could not be deleted, because something has come to it, ends the round if there is nothing else."""
    over: TextClause = ids_statement(ending, most=batch)
    count = 0
    while True:
        async with sessions.reading() as reader:
            found = (await reader.scalars(over, values_of(kept))).all()
        gone = await delete_some(found) if found else 0
        count += gone
        if len(found) < batch or gone == 0:
            return count
