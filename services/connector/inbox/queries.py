"""Reads of the inbox: the account bounds every one of them, and none of them opens anything.

A list costs the same number of statements whether it has one row or a hundred. Message and mail ids are UUIDv7, by which
the tables are partitioned: a look-up by id touches one partition.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from shared.blobs import Blob
from shared.crypto.envelope import Sealed
from shared.tables import AcceptedMail, Attachment, Conversation, Integration, Message


@dataclass(frozen=True, slots=True)
class ListedConversation:
    """A conversation as the list shows it: plain columns."""

    id: UUID
    integration_id: UUID
    integration_name: str | None
    order_id: str | None
    country: str | None
    message_count: int
    last_message_at: datetime


@dataclass(frozen=True, slots=True)
class SealedConversation:
    """A conversation with what is sealed of it."""

    listed: ListedConversation
    buyer_name: Sealed | None
    subject: Sealed | None


@dataclass(frozen=True, slots=True)
class ListedAttachment:
    """An attachment without its content."""

    id: UUID
    message_id: UUID
    filename: Sealed
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class SealedAttachment:
    """An attachment with its content."""

    id: UUID
    filename: Sealed
    content_type: str
    size: int
    content: Sealed


@dataclass(frozen=True, slots=True)
class RawMailKey:
    """What leads from a message to its raw mail."""

    accepted_mail_id: UUID
    raw_key: Sealed


_LISTED = (
    Conversation.id,
    Conversation.integration_id,
    Integration.name,
    Conversation.order_id,
    Conversation.country,
    Conversation.message_count,
    Conversation.last_message_at,
)


def _conversations(account_id: UUID, *columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .join(Integration, Integration.id == Conversation.integration_id)
        .where(Conversation.account_id == account_id, Conversation.merged_into.is_(None))
    )


async def list_conversations(
    session: AsyncSession,
    account_id: UUID,
    *,
    integration_id: UUID | None,
    limit: int,
    after: tuple[datetime, UUID] | None,
) -> list[ListedConversation]:
    """Newest message first, in one statement. Disconnected integrations' conversations stay in the list."""
    statement = _conversations(account_id, *_LISTED)
    if integration_id is not None:
        statement = statement.where(Conversation.integration_id == integration_id)
    if after is not None:
        statement = statement.where(tuple_(Conversation.last_message_at, Conversation.id) < after)
    statement = statement.order_by(Conversation.last_message_at.desc(), Conversation.id.desc()).limit(limit)
    return [ListedConversation(*row) for row in (await session.execute(statement)).all()]


async def conversation_of(
    session: AsyncSession, account_id: UUID, conversation_id: UUID
) -> SealedConversation | None:
    """One conversation, or None if this account has none with that id."""
    statement = _conversations(account_id, *_LISTED, Conversation.buyer_name, Conversation.subject)
    row = (await session.execute(statement.where(Conversation.id == conversation_id))).one_or_none()
    if row is None:
        return None
    *listed, buyer_name, subject = row
    return SealedConversation(ListedConversation(*listed), buyer_name, subject)


async def has_conversation(session: AsyncSession, account_id: UUID, conversation_id: UUID) -> bool:
    """Whether this account has a conversation with that id."""
    statement = select(Conversation.id).where(
        Conversation.id == conversation_id, Conversation.account_id == account_id
    )
    return (await session.execute(statement)).first() is not None


async def messages_of(
    session: AsyncSession, account_id: UUID, conversation_id: UUID, *, limit: int, after: UUID | None
) -> Sequence[Message]:
    """A conversation's messages, sealed, newest first."""
    statement = select(Message).where(
        Message.conversation_id == conversation_id, Message.account_id == account_id
    )
    if after is not None:
        statement = statement.where(Message.id < after)
    return (await session.scalars(statement.order_by(Message.id.desc()).limit(limit))).all()


async def message_of(session: AsyncSession, account_id: UUID, message_id: UUID) -> Message | None:
    """One message, sealed."""
    return await session.scalar(
        select(Message).where(Message.id == message_id, Message.account_id == account_id)
    )


async def attachments_of(
    session: AsyncSession, account_id: UUID, message_ids: Sequence[UUID]
) -> dict[UUID, list[ListedAttachment]]:
    """The attachments of all these messages by message, in the mail's order, in one statement."""
    statement = (
        select(
            Attachment.id,
            Attachment.message_id,
            Attachment.filename,
            Attachment.content_type,
            Attachment.size,
        )
        .where(Attachment.message_id.in_(message_ids), Attachment.account_id == account_id)
        .order_by(Attachment.message_id, Attachment.position)
    )
    found: dict[UUID, list[ListedAttachment]] = {}
    for row in (await session.execute(statement)).all():
        found.setdefault(row.message_id, []).append(ListedAttachment(*row))
    return found


async def attachment_of(
    session: AsyncSession, account_id: UUID, message_id: UUID, attachment_id: UUID
) -> SealedAttachment | None:
    """One attachment with its sealed content."""
    statement = select(
        Attachment.id, Attachment.filename, Attachment.content_type, Attachment.size, Attachment.content
    ).where(
        Attachment.id == attachment_id,
        Attachment.message_id == message_id,
        Attachment.account_id == account_id,
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else SealedAttachment(*row)


async def raw_mail_key_of(session: AsyncSession, account_id: UUID, message_id: UUID) -> RawMailKey | None:
    """Where a message's raw mail lies, and its sealed key."""
    statement = select(Message.accepted_mail_id, Message.raw_key).where(
        Message.id == message_id, Message.account_id == account_id
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else RawMailKey(*row)


async def raw_mail_of(
    session: AsyncSession, account_id: UUID, accepted_mail_id: UUID
) -> Sealed | Blob | None:
    """The sealed raw mail, or where it lies."""
    statement = select(AcceptedMail.raw, AcceptedMail.blob_key, AcceptedMail.blob_digest).where(
        AcceptedMail.id == accepted_mail_id, AcceptedMail.account_id == account_id
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return None
    return row.raw or Blob(row.blob_key or "", row.blob_digest or b"")
