"""How conversations and mail are deleted: messages, attachments, replies, notes, raw mail and blobs, whoever wants them gone and why.

In small transactions that wait for nobody long and may be cut off anywhere: what is not deleted yet is found again. Blobs go first: as
long as its row is there, a blob that was left behind is found again. What came after `before` stays, for nobody has decided about it.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select, text, union, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared import conversations
from shared.blobs import BlobStore
from shared.database import Sessions
from shared.tables import (
    AcceptedMail,
    Attachment,
    Conversation,
    ConversationOrder,
    ConversationThread,
    MailState,
    Message,
    MessageDigest,
    Note,
    OutboundMessage,
    ReplyDraft,
    ReplyFile,
)

BATCH: Final = 500
_CONCURRENT_REMOVALS: Final = 16
_LOCK_TIMEOUT: Final = text("SET LOCAL lock_timeout = '2s'")


@asynccontextmanager
async def brief(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    """A transaction that deletes. It gives up before anybody who queues behind it notices."""
    async with sessions.begin() as session:
        await session.execute(_LOCK_TIMEOUT)
        yield session


async def delete_conversations(
    sessions: Sessions, blobs: BlobStore, conversation_ids: Sequence[UUID], *, before: datetime
) -> int:
    """Delete some conversations, each with all that it has. One in which something was said since `before` stays with what is younger.

    The answer is how many are gone. Raises BlobsUnavailable; then what is left is found again.
    """
    of_these = Message.conversation_id.in_(conversation_ids), Message.received_at < before
    while found := await _some(sessions, select(Message.id).where(*of_these).limit(BATCH)):
        await delete_messages(sessions, blobs, found)
    ending = await _silent(sessions, conversation_ids, before)

    def over(
        table: type[ReplyFile | OutboundMessage | ReplyDraft | Note], written_at: ColumnElement[datetime]
    ) -> ColumnElement[bool]:
        of_these = table.conversation_id.in_(conversation_ids)
        return of_these & (table.conversation_id.in_(ending) | (written_at < before))

    of_young = ReplyFile.outbound_message_id.in_(
        select(OutboundMessage.id).where(
            OutboundMessage.conversation_id.in_(conversation_ids), OutboundMessage.created_at >= before
        )
    )
    await delete_files(
        sessions, blobs, over(ReplyFile, ReplyFile.created_at.expression) & of_young.is_not(True)
    )
    await _delete_some(
        sessions,
        OutboundMessage,
        OutboundMessage.conversation_id.in_(conversation_ids),
        OutboundMessage.created_at < before,
    )
    await _delete_some(sessions, ReplyDraft, over(ReplyDraft, ReplyDraft.updated_at.expression))
    await _delete_some(sessions, Note, over(Note, Note.created_at.expression))
    async with brief(sessions) as session:
        return await _delete_empty(session, conversation_ids)


async def _silent(sessions: Sessions, conversation_ids: Sequence[UUID], before: datetime) -> Sequence[UUID]:
    """Those in which nobody has said anything since then: neither a mail has come nor an agent has answered."""
    said = union(
        select(Message.conversation_id).where(
            Message.conversation_id.in_(conversation_ids), Message.received_at >= before
        ),
        select(OutboundMessage.conversation_id).where(
            OutboundMessage.conversation_id.in_(conversation_ids), OutboundMessage.created_at >= before
        ),
    )
    async with sessions.begin() as session:
        go_on = set(await session.scalars(said))
    return [each for each in conversation_ids if each not in go_on]


async def delete_messages(
    sessions: Sessions, blobs: BlobStore, message_ids: Sequence[UUID], *, recounted: Collection[UUID] = ()
) -> None:
    """Delete some messages with their attachments and raw mail. `recounted`: the conversations that go on without them."""
    of_these = Attachment.message_id.in_(message_ids)
    async with sessions.begin() as session:
        mail_ids = (
            await session.scalars(select(Message.accepted_mail_id).where(Message.id.in_(message_ids)))
        ).all()
        keys = set(
            await session.scalars(
                select(Attachment.blob_key).where(of_these, Attachment.blob_key.is_not(None))
            )
        )
        keys |= await _blobs_of_mail(session, mail_ids)
    await remove_blobs(blobs, keys)
    async with brief(sessions) as session:
        if recounted:
            await conversations.lock(session, *recounted)
        await session.execute(delete(Attachment).where(of_these))
        await session.execute(delete(MessageDigest).where(MessageDigest.message_id.in_(message_ids)))
        await session.execute(delete(Message).where(Message.id.in_(message_ids)))
        await session.execute(
            delete(AcceptedMail).where(
                AcceptedMail.id.in_(mail_ids), AcceptedMail.state == MailState.DELIVERED
            )
        )
        for conversation_id in sorted(recounted):
            await conversations.recount(session, conversation_id)


async def delete_files(sessions: Sessions, blobs: BlobStore, which: ColumnElement[bool]) -> None:
    """Delete files that agents have chosen, sent or not."""
    statement = select(ReplyFile.id, ReplyFile.blob_key).where(which).limit(BATCH)
    while True:
        async with sessions.begin() as session:
            found = (await session.execute(statement)).all()
        if not found:
            return
        await remove_blobs(blobs, {row.blob_key for row in found if row.blob_key is not None})
        async with brief(sessions) as session:
            await session.execute(delete(ReplyFile).where(ReplyFile.id.in_([row.id for row in found])))


async def delete_replies(sessions: Sessions, blobs: BlobStore, reply_ids: Sequence[UUID]) -> None:
    """Delete some replies with their files."""
    await delete_files(sessions, blobs, ReplyFile.outbound_message_id.in_(reply_ids))
    async with brief(sessions) as session:
        await session.execute(delete(OutboundMessage).where(OutboundMessage.id.in_(reply_ids)))


async def delete_mail(sessions: Sessions, blobs: BlobStore, *which: ColumnElement[bool]) -> int:
    """Delete accepted mail; how much that was."""
    count = 0
    while mail_ids := await _some(sessions, select(AcceptedMail.id).where(*which).limit(BATCH)):
        async with sessions.begin() as session:
            keys = await _blobs_of_mail(session, mail_ids)
        await remove_blobs(blobs, keys)
        async with brief(sessions) as session:
            await session.execute(delete(AcceptedMail).where(AcceptedMail.id.in_(mail_ids)))
        count += len(mail_ids)
    return count


async def remove_blobs(blobs: BlobStore, keys: Collection[str | None]) -> None:
    """Raises BlobsUnavailable; then the rows of all of them are still there."""
    ordered = sorted(key for key in keys if key is not None)
    for begin in range(0, len(ordered), _CONCURRENT_REMOVALS):
        await asyncio.gather(*(blobs.remove(key) for key in ordered[begin : begin + _CONCURRENT_REMOVALS]))


async def _blobs_of_mail(session: AsyncSession, mail_ids: Sequence[UUID]) -> set[str | None]:
    """The blobs that only these mails have: a mail for several recipients is one blob."""
    of_these = select(AcceptedMail.blob_key).where(
        AcceptedMail.id.in_(mail_ids), AcceptedMail.blob_key.is_not(None)
    )
    keys = set(await session.scalars(of_these))
    if keys:
        shared = select(AcceptedMail.blob_key).where(
            AcceptedMail.blob_key.in_(keys), AcceptedMail.id.not_in(mail_ids)
        )
        keys -= set(await session.scalars(shared))
    return keys


async def _some(sessions: Sessions, statement: Any) -> Sequence[UUID]:
    async with sessions.begin() as session:
        found: Sequence[UUID] = (await session.scalars(statement)).all()
    return found


async def _delete_some(
    sessions: Sessions, table: type[OutboundMessage | ReplyDraft | Note], *which: ColumnElement[bool]
) -> None:
    """Some at a time, however many one conversation has."""
    some = select(table.id).where(*which).limit(BATCH)
    while True:
        async with brief(sessions) as session:
            gone = (await session.scalars(delete(table).where(table.id.in_(some)).returning(table.id))).all()
        if len(gone) < BATCH:
            return


async def _delete_empty(session: AsyncSession, conversation_ids: Sequence[UUID]) -> int:
    await conversations.lock(session, *conversation_ids)
    used = union(
        select(Message.conversation_id).where(Message.conversation_id.in_(conversation_ids)),
        select(OutboundMessage.conversation_id).where(OutboundMessage.conversation_id.in_(conversation_ids)),
    )
    has_come = set(await session.scalars(used))
    gone = [each for each in conversation_ids if each not in has_come]
    for table in (ConversationOrder, ConversationThread):
        await session.execute(delete(table).where(table.conversation_id.in_(gone)))
    await session.execute(
        update(Conversation).where(Conversation.merged_into.in_(gone)).values(merged_into=None)
    )
    deleted = await session.scalars(
        delete(Conversation).where(Conversation.id.in_(gone)).returning(Conversation.id)
    )
    count = len(deleted.all())
    for conversation_id in sorted(has_come):
        await conversations.recount(session, conversation_id)
    return count
