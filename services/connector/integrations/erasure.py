"""What is left of a removed store whose owner wants its data gone: conversations, messages, attachments, mail and blobs.

In small transactions that may be cut off anywhere: what is not deleted yet is found again. The integration and its address
stay, because an address is never given out twice; the audit log stays, too.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import delete, select, tuple_, update

from shared.blobs import BlobStore
from shared.database import Sessions
from shared.tables import (
    AcceptedMail,
    AfterGracePeriod,
    Attachment,
    Conversation,
    ConversationOrder,
    ConversationThread,
    Integration,
    Message,
    MessageDigest,
    RelayAddress,
)

log = structlog.get_logger()

# What a relay accepted in the last moment, not knowing yet, is in the tables by then.
_WAIT: Final = timedelta(hours=1)
_BATCH: Final = 500


async def erase_removed(sessions: Sessions, blobs: BlobStore, now: datetime) -> int:
    """Delete the data of every store that is due. How many. Raises BlobsUnavailable; then it goes on the next time."""
    statement = select(Integration.id).where(
        Integration.removed_at <= now - _WAIT,
        Integration.data_after_rest == AfterGracePeriod.DELETE,
        Integration.erased_at.is_(None),
    )
    async with sessions.begin() as session:
        due = (await session.scalars(statement.order_by(Integration.removed_at).limit(_BATCH))).all()
    for integration_id in due:
        # Mail first: what still waits could become a message behind the one that was deleted last.
        await _erase_mail(sessions, blobs, integration_id)
        await _erase_messages(sessions, integration_id)
        await _erase_digests(sessions, integration_id)
        async with sessions.begin() as session:
            await session.execute(
                update(Integration).where(Integration.id == integration_id).values(erased_at=now)
            )
        log.info("integration_erased", integration_id=str(integration_id))
    return len(due)


async def _erase_messages(sessions: Sessions, integration_id: UUID) -> None:
    conversations = select(Conversation.id).where(Conversation.integration_id == integration_id)
    found: Sequence[UUID] = [integration_id]
    while found:
        async with sessions.begin() as session:
            found = (
                await session.scalars(
                    select(Message.id).where(Message.conversation_id.in_(conversations)).limit(_BATCH)
                )
            ).all()
            await session.execute(delete(Attachment).where(Attachment.message_id.in_(found)))
            await session.execute(delete(Message).where(Message.id.in_(found)))
    found = [integration_id]
    while found:
        async with sessions.begin() as session:
            found = (await session.scalars(conversations.limit(_BATCH))).all()
            await session.execute(
                delete(ConversationOrder).where(ConversationOrder.conversation_id.in_(found))
            )
            await session.execute(
                delete(ConversationThread).where(ConversationThread.conversation_id.in_(found))
            )
            await session.execute(
                update(Conversation).where(Conversation.merged_into.in_(found)).values(merged_into=None)
            )
            await session.execute(delete(Conversation).where(Conversation.id.in_(found)))


async def _erase_mail(sessions: Sessions, blobs: BlobStore, integration_id: UUID) -> None:
    addresses = select(RelayAddress.id).where(RelayAddress.integration_id == integration_id)
    mail = select(AcceptedMail.id, AcceptedMail.blob_key).where(AcceptedMail.relay_address_id.in_(addresses))
    while True:
        async with sessions.begin() as session:
            rows = (await session.execute(mail.limit(_BATCH))).all()
            ids = [row.id for row in rows]
            keys = {row.blob_key for row in rows if row.blob_key is not None}
            # A mail for several recipients is one blob.
            shared = select(AcceptedMail.blob_key).where(
                AcceptedMail.blob_key.in_(keys), AcceptedMail.id.not_in(ids)
            )
            keys -= set(await session.scalars(shared))
        # The blobs first: as long as its row is there, a blob that was left behind is found again.
        for blob_key in sorted(keys):
            await blobs.remove(blob_key)
        async with sessions.begin() as session:
            await session.execute(delete(AcceptedMail).where(AcceptedMail.id.in_(ids)))
        if not rows:
            break


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
