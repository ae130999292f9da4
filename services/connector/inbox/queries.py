"""Reads of the inbox: the account bounds every one of them, and none of them opens anything.

A list costs the same number of statements whether it has one row or a hundred. Message and mail ids are UUIDv7, by which
the tables are partitioned: a look-up by id touches one partition.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Select, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from services.connector.inbox.listing import SealedConversation, conversation_of_row, conversations
from shared.blobs import Blob, sealed_or_blob
from shared.crypto.envelope import Sealed
from shared.tables import AcceptedMail, Attachment, Conversation, ConversationStatus, Integration, Message

# By its words a message is found, not read; there are up to a thousand. Its HTML is read when it is shown.
_MESSAGE: Final = select(Message).options(
    defer(Message.word_keys, raiseload=True),
    defer(Message.snippet, raiseload=True),
    defer(Message.body_html, raiseload=True),
)
_HAS_HTML: Final = Message.body_html.is_not(None)


@dataclass(frozen=True, slots=True)
class SealedMessage:
    """A message without its HTML."""

    row: Message
    has_html: bool


@dataclass(frozen=True, slots=True)
class ListedAttachment:
    """An attachment without its content."""

    id: UUID
    message_id: UUID
    filename: Sealed
    content_type: str
    sniffed_type: str | None
    content_id: Sealed | None
    scan: str | None
    size: int


@dataclass(frozen=True, slots=True)
class SealedAttachment:
    """An attachment with its content."""

    id: UUID
    filename: Sealed
    content_type: str
    sniffed_type: str | None
    scan: str | None
    size: int
    content: Sealed | Blob


@dataclass(frozen=True, slots=True)
class SealedHtml:
    """A message's HTML, and whether the message is in quarantine."""

    html: Sealed
    is_quarantined: bool


@dataclass(frozen=True, slots=True)
class RawMailKey:
    """What leads from a message to its raw mail."""

    accepted_mail_id: UUID
    raw_key: Sealed


async def conversation_of(
    session: AsyncSession, account_id: UUID, conversation_id: UUID
) -> SealedConversation | None:
    """One conversation, or what it was merged into; None if this account has none with that id."""
    shown = _shown(account_id, conversation_id).scalar_subquery()
    statement = conversations().where(Conversation.id == shown)
    row = (await session.execute(statement, {"account_id": account_id})).one_or_none()
    return None if row is None else conversation_of_row(row)


async def shown_id_of(session: AsyncSession, account_id: UUID, conversation_id: UUID) -> UUID | None:
    """The id of this conversation, or of the one that it was merged into; None if this account has no such conversation."""
    return await session.scalar(_shown(account_id, conversation_id))


def _shown(account_id: UUID, conversation_id: UUID) -> Select[UUID]:
    return select(func.coalesce(Conversation.merged_into, Conversation.id)).where(
        Conversation.id == conversation_id, Conversation.account_id == account_id
    )


async def messages_of(
    session: AsyncSession, account_id: UUID, conversation_id: UUID, *, limit: int, after: UUID | None
) -> list[SealedMessage]:
    """A conversation's messages, sealed, newest first."""
    statement = _MESSAGE.add_columns(_HAS_HTML).where(
        Message.conversation_id == conversation_id, Message.account_id == account_id
    )
    if after is not None:
        statement = statement.where(Message.id < after)
    rows = await session.execute(statement.order_by(Message.id.desc()).limit(limit))
    return [SealedMessage(*row) for row in rows]


async def message_of(session: AsyncSession, account_id: UUID, message_id: UUID) -> SealedMessage | None:
    """One message, sealed."""
    statement = _MESSAGE.add_columns(_HAS_HTML).where(
        Message.id == message_id, Message.account_id == account_id
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else SealedMessage(*row)


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
            Attachment.sniffed_type,
            Attachment.content_id,
            Attachment.scan,
            Attachment.size,
        )
        .where(Attachment.message_id.in_(message_ids), Attachment.account_id == account_id)
        .order_by(Attachment.message_id, Attachment.position)
    )
    found: dict[UUID, list[ListedAttachment]] = {}
    for row in (await session.execute(statement)).all():
        found.setdefault(row.message_id, []).append(ListedAttachment(*row))
    return found


async def html_of(session: AsyncSession, account_id: UUID, message_id: UUID) -> SealedHtml | None:
    """A message's HTML, if it has any."""
    statement = (
        select(Message.body_html, Conversation.status)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(Message.id == message_id, Message.account_id == account_id, Message.body_html.is_not(None))
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else SealedHtml(row.body_html, row.status == ConversationStatus.QUARANTINE)


async def verification_mails_of(
    session: AsyncSession, account_id: UUID, integration_id: UUID, *, limit: int
) -> Sequence[Message] | None:
    """Amazon's mails with a code, newest first, without forged ones; None if there is no such integration."""
    statement = select(Integration.id).where(
        Integration.id == integration_id, Integration.account_id == account_id
    )
    if (await session.execute(statement)).first() is None:
        return None
    mails = (
        _MESSAGE.join(Conversation, Conversation.id == Message.conversation_id)
        .where(
            Message.integration_id == integration_id,
            Message.account_id == account_id,
            # Written out, so that PostgreSQL sees that the index has all of them.
            Message.kind == literal_column("'verification'"),
            Conversation.status != ConversationStatus.QUARANTINE,
        )
        .order_by(Message.id.desc())
        .limit(limit)
    )
    return (await session.scalars(mails)).all()


async def attachment_of(
    session: AsyncSession, account_id: UUID, message_id: UUID, attachment_id: UUID
) -> SealedAttachment | None:
    """One attachment with its sealed content."""
    statement = select(
        Attachment.id,
        Attachment.filename,
        Attachment.content_type,
        Attachment.sniffed_type,
        Attachment.scan,
        Attachment.size,
        Attachment.content,
        Attachment.blob_key,
        Attachment.blob_digest,
    ).where(
        Attachment.id == attachment_id,
        Attachment.message_id == message_id,
        Attachment.account_id == account_id,
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return None
    content = sealed_or_blob(row.content, row.blob_key, row.blob_digest)
    return SealedAttachment(
        row.id, row.filename, row.content_type, row.sniffed_type, row.scan, row.size, content
    )


async def contents_of(
    session: AsyncSession, account_id: UUID, message_id: UUID, attachment_ids: Sequence[UUID]
) -> dict[UUID, Sealed | Blob]:
    """The sealed contents of these attachments of a message, or where they lie."""
    statement = select(Attachment.id, Attachment.content, Attachment.blob_key, Attachment.blob_digest).where(
        Attachment.message_id == message_id,
        Attachment.id.in_(attachment_ids),
        Attachment.account_id == account_id,
    )
    return {
        row.id: sealed_or_blob(row.content, row.blob_key, row.blob_digest)
        for row in await session.execute(statement)
    }


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
    return sealed_or_blob(row.raw, row.blob_key, row.blob_digest)
