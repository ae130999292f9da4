"""What is left of a removed store whose owner wants its data gone: conversations, messages, attachments, replies, mail and blobs.

In small transactions that may be cut off anywhere: what is not deleted yet is found again. A store that cannot be erased now (the
blob store is away, a statement takes too long) holds up no other one. The integration and its address stay, because an address is never given out twice; the
audit log stays, too.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared.blobs import BlobStore
from shared.database import Sessions, database_answers, is_unavailable
from shared.errors import Expected
from shared.tables import (
    AcceptedMail,
    AfterGracePeriod,
    Attachment,
    Conversation,
    ConversationOrder,
    ConversationThread,
    ForwardedMailbox,
    Integration,
    Message,
    MessageDigest,
    Note,
    OutboundMessage,
    RelayAddress,
    ReplyDraft,
    ReplyFile,
)

log = structlog.get_logger()

# What a relay accepted in the last moment, not knowing yet, is in the tables by then.
_WAIT: Final = timedelta(hours=1)
_BATCH: Final = 500
_CONCURRENT_REMOVALS: Final = 16


class ErasureIncomplete(Exception):
    """Some stores could not be erased. What is left of them is found again the next time."""

    def __init__(self, *, erased: int, left: int) -> None:
        super().__init__()
        self.erased = erased
        self.left = left


async def erase_removed(sessions: Sessions, blobs: BlobStore, now: datetime) -> int:
    """Delete the data of every store that is due, and return how many these were.

    Raises ErasureIncomplete if some could not be erased: after all the others.
    """
    erased = left = 0
    async for integration_id in _due(sessions, now):
        try:
            await _erase(sessions, blobs, integration_id, now)
        except Expected as failure:
            log.warning("erasure_put_off", integration_id=str(integration_id), code=failure.code)
            left += 1
        except Exception as error:
            # A statement that takes too long looks like a database that is away; only the latter concerns the stores behind.
            if is_unavailable(error) and not await database_answers(sessions):
                raise
            log.exception("erasure_failed", integration_id=str(integration_id))
            left += 1
        else:
            erased += 1
            log.info("integration_erased", integration_id=str(integration_id))
    if left:
        raise ErasureIncomplete(erased=erased, left=left)
    return erased


async def _due(sessions: Sessions, now: datetime) -> AsyncIterator[UUID]:
    statement = (
        select(Integration.id)
        .where(
            Integration.removed_at <= now - _WAIT,
            Integration.data_after_rest == AfterGracePeriod.DELETE,
            Integration.erased_at.is_(None),
        )
        .order_by(Integration.id)
        .limit(_BATCH)
    )
    after = UUID(int=0)
    while True:
        async with sessions.begin() as session:
            found = (await session.scalars(statement.where(Integration.id > after))).all()
        for integration_id in found:
            yield integration_id
        if len(found) < _BATCH:
            return
        after = found[-1]


async def _erase(sessions: Sessions, blobs: BlobStore, integration_id: UUID, now: datetime) -> None:
    # Mail first: what still waits could become a message behind the one that was deleted last.
    await _erase_mail(sessions, blobs, integration_id)
    await _erase_conversations(sessions, blobs, integration_id)
    await _erase_digests(sessions, integration_id)
    async with sessions.begin() as session:
        await session.execute(
            delete(ForwardedMailbox).where(ForwardedMailbox.integration_id == integration_id)
        )
        await session.execute(
            update(Integration).where(Integration.id == integration_id).values(erased_at=now)
        )


async def _erase_conversations(sessions: Sessions, blobs: BlobStore, integration_id: UUID) -> None:
    """Some conversations at a time, each with all that it has. Where it was cut off there is nothing to look through again."""
    statement = select(Conversation.id).where(Conversation.integration_id == integration_id).limit(_BATCH)
    while True:
        async with sessions.begin() as session:
            found = (await session.scalars(statement)).all()
        if not found:
            return
        await _erase_messages(sessions, blobs, found)
        await _erase_files(sessions, blobs, found)
        await _erase_written(sessions, found)
        async with sessions.begin() as session:
            await _delete_conversations(session, found)


async def _erase_messages(sessions: Sessions, blobs: BlobStore, conversation_ids: Sequence[UUID]) -> None:
    statement = select(Message.id).where(Message.conversation_id.in_(conversation_ids)).limit(_BATCH)
    while True:
        async with sessions.begin() as session:
            found = (await session.scalars(statement)).all()
            of_these = Attachment.message_id.in_(found)
            keys = await session.scalars(
                select(Attachment.blob_key).where(of_these, Attachment.blob_key.is_not(None))
            )
            named = {key for key in keys if key is not None}
        if not found:
            return
        # The blobs first: as long as its row is there, a blob that was left behind is found again.
        await _remove(blobs, named)
        async with sessions.begin() as session:
            await session.execute(delete(Attachment).where(of_these))
            await session.execute(delete(Message).where(Message.id.in_(found)))


async def _erase_files(sessions: Sessions, blobs: BlobStore, conversation_ids: Sequence[UUID]) -> None:
    """The files that agents have chosen, sent or not."""
    statement = (
        select(ReplyFile.id, ReplyFile.blob_key)
        .where(ReplyFile.conversation_id.in_(conversation_ids))
        .limit(_BATCH)
    )
    while True:
        async with sessions.begin() as session:
            found = (await session.execute(statement)).all()
        if not found:
            return
        # The blobs first: as above.
        await _remove(blobs, {row.blob_key for row in found if row.blob_key is not None})
        async with sessions.begin() as session:
            await session.execute(delete(ReplyFile).where(ReplyFile.id.in_([row.id for row in found])))


async def _erase_written(sessions: Sessions, conversation_ids: Sequence[UUID]) -> None:
    """Replies, drafts and notes: some at a time, however many one conversation has."""
    for table in (OutboundMessage, ReplyDraft, Note):
        some = select(table.id).where(table.conversation_id.in_(conversation_ids)).limit(_BATCH)
        while True:
            async with sessions.begin() as session:
                gone = (
                    await session.scalars(delete(table).where(table.id.in_(some)).returning(table.id))
                ).all()
            if not gone:
                break


async def _delete_conversations(session: AsyncSession, conversation_ids: Sequence[UUID]) -> None:
    for table in (ConversationOrder, ConversationThread):
        await session.execute(delete(table).where(table.conversation_id.in_(conversation_ids)))
    await session.execute(
        update(Conversation).where(Conversation.merged_into.in_(conversation_ids)).values(merged_into=None)
    )
    await session.execute(delete(Conversation).where(Conversation.id.in_(conversation_ids)))


async def _erase_mail(sessions: Sessions, blobs: BlobStore, integration_id: UUID) -> None:
    mail = select(AcceptedMail.id, AcceptedMail.blob_key).where(await _addresses(sessions, integration_id))
    while True:
        async with sessions.begin() as session:
            rows = (await session.execute(mail.limit(_BATCH))).all()
            ids = [row.id for row in rows]
            keys = {row.blob_key for row in rows if row.blob_key is not None}
            # A mail for several recipients is one blob.
            shared = select(AcceptedMail.blob_key).where(
                AcceptedMail.blob_key.in_(keys), AcceptedMail.id.not_in(ids)
            )
            if keys:
                keys -= set(await session.scalars(shared))
        if not rows:
            return
        # The blobs first: as above.
        await _remove(blobs, keys)
        async with sessions.begin() as session:
            await session.execute(delete(AcceptedMail).where(AcceptedMail.id.in_(ids)))


async def _addresses(sessions: Sessions, integration_id: UUID) -> ColumnElement[bool]:
    """That a mail was sent to one of the store's addresses."""
    async with sessions.begin() as session:
        statement = select(RelayAddress.id).where(RelayAddress.integration_id == integration_id)
        return AcceptedMail.relay_address_id.in_((await session.scalars(statement)).all())


async def _remove(blobs: BlobStore, keys: Collection[str]) -> None:
    """Raises BlobsUnavailable; then the rows of all of them are still there."""
    ordered = sorted(keys)
    for begin in range(0, len(ordered), _CONCURRENT_REMOVALS):
        await asyncio.gather(*(blobs.remove(key) for key in ordered[begin : begin + _CONCURRENT_REMOVALS]))


async def _erase_digests(sessions: Sessions, integration_id: UUID) -> None:
    addresses = select(RelayAddress.id).where(RelayAddress.integration_id == integration_id)
    key = tuple_(MessageDigest.relay_address_id, MessageDigest.digest)
    digests = select(MessageDigest.relay_address_id, MessageDigest.digest).where(
        MessageDigest.relay_address_id.in_(addresses)
    )
    while True:
        async with sessions.begin() as session:
            found = (await session.execute(digests.limit(_BATCH))).all()
            await session.execute(delete(MessageDigest).where(key.in_([tuple(row) for row in found])))
        if not found:
            break
