"""Reads of the inbox: the account bounds every one of them, and none of them opens anything.

A list costs the same number of statements whether it has one row or a hundred. Message and mail ids are UUIDv7, by which
the tables are partitioned: a look-up by id touches one partition.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Select, Uuid, bindparam, case, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.connector.inbox.listing import SealedConversation, conversation_of_row, conversations
from shared.blobs import Blob, sealed_or_blob
from shared.crypto.envelope import Sealed
from shared.tables import AcceptedMail, Attachment, Conversation, ConversationStatus, Integration, Message


class SealedMessage(NamedTuple):
    """A message as it is read, still sealed: without its HTML, which is read when it is shown, and without the words by which it is
    found.
    """

    id: UUID
    conversation_id: UUID
    kind: str
    received_at: datetime
    sent_at: datetime | None
    subject: Sealed | None
    sender_name: Sealed | None
    sender_address: Sealed | None
    body_text: Sealed
    quoted_text: Sealed | None
    is_excerpt: bool
    authenticity: str
    authenticity_reason: str | None
    authentication_results: Sealed | None
    sent_to: Sealed | None
    from_amazon_domain: bool
    order_ids: list[str]
    asin: str | None
    country: str | None
    language: str | None
    failure_reason: str | None
    answer_due_at: datetime | None
    answer_settled_at: datetime | None
    truncated: bool
    size: int
    has_html: bool
    has_formatting: bool


class SealedVerificationMail(NamedTuple):
    """What Amazon wrote to prove an address."""

    id: UUID
    received_at: datetime
    subject: Sealed | None
    body_text: Sealed
    verification_code: Sealed | None


_HAS_HTML: Final = Message.body_html.is_not(None)
# Built once: building a statement takes longer than reading a message.
_MESSAGES: Final = select(
    *(getattr(Message, name) for name in SealedMessage._fields if not name.startswith("has_")),
    _HAS_HTML.label("has_html"),
    # Of what came before this was looked at, nobody knows: it may.
    func.coalesce(Message.has_formatting, _HAS_HTML).label("has_formatting"),
).where(Message.account_id == bindparam("account_id"))
_MESSAGE: Final = _MESSAGES.where(Message.id == bindparam("message_id"))
_OF_CONVERSATION: Final = (
    _MESSAGES.where(Message.conversation_id == bindparam("conversation_id"))
    .order_by(Message.id.desc())
    .limit(bindparam("limit", type_=Integer))
)
_OF_CONVERSATION_BEFORE: Final = _OF_CONVERSATION.where(Message.id < bindparam("after"))
_ATTACHMENTS: Final = (
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
    .where(
        Attachment.message_id == func.any(bindparam("message_ids", type_=ARRAY(Uuid))),
        Attachment.account_id == bindparam("account_id"),
    )
    .order_by(Attachment.message_id, Attachment.position)
)


class ListedAttachment(NamedTuple):
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
    """An attachment with its content, and in which conversation it is."""

    id: UUID
    conversation_id: UUID
    filename: Sealed
    content_type: str
    sniffed_type: str | None
    scan: str | None
    size: int
    content: Sealed | Blob


@dataclass(frozen=True, slots=True)
class SealedHtml:
    """A message's HTML, None if it is too large; its text; its conversation, and whether that is in quarantine."""

    conversation_id: UUID
    html: Sealed | None
    text: Sealed
    is_quarantined: bool


@dataclass(frozen=True, slots=True)
class RawMailKey:
    """What leads from a message to its raw mail, and its conversation."""

    conversation_id: UUID
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


async def shown_id_of(
    reader: AsyncSession | AsyncConnection, account_id: UUID, conversation_id: UUID
) -> UUID | None:
    """The id of this conversation, or of the one that it was merged into; None if this account has no such conversation."""
    return await reader.scalar(_shown(account_id, conversation_id))


def _shown(account_id: UUID, conversation_id: UUID) -> Select[UUID]:
    return select(func.coalesce(Conversation.merged_into, Conversation.id)).where(
        Conversation.id == conversation_id, Conversation.account_id == account_id
    )


async def messages_of(
    reader: AsyncConnection, account_id: UUID, conversation_id: UUID, *, limit: int, after: UUID | None
) -> list[SealedMessage]:
    """A conversation's messages, sealed, newest first."""
    values = {"account_id": account_id, "conversation_id": conversation_id, "limit": limit}
    if after is None:
        rows = await reader.execute(_OF_CONVERSATION, values)
    else:
        rows = await reader.execute(_OF_CONVERSATION_BEFORE, values | {"after": after})
    return [SealedMessage._make(row) for row in rows]


async def message_of(reader: AsyncConnection, account_id: UUID, message_id: UUID) -> SealedMessage | None:
    """One message, sealed."""
    values = {"account_id": account_id, "message_id": message_id}
    row = (await reader.execute(_MESSAGE, values)).one_or_none()
    return None if row is None else SealedMessage._make(row)


async def attachments_of(
    reader: AsyncSession | AsyncConnection, account_id: UUID, message_ids: Sequence[UUID]
) -> dict[UUID, list[ListedAttachment]]:
    """The attachments of all these messages by message, in the mail's order, in one statement."""
    values = {"account_id": account_id, "message_ids": list(message_ids)}
    found: dict[UUID, list[ListedAttachment]] = {}
    for row in await reader.execute(_ATTACHMENTS, values):
        found.setdefault(row.message_id, []).append(ListedAttachment._make(row))
    return found


async def html_of(
    session: AsyncSession, account_id: UUID, message_id: UUID, *, most_bytes: int
) -> SealedHtml | None:
    """A message's HTML, if it has any; of more than `most_bytes` not even the bytes are read."""
    is_small = func.octet_length(Message.body_html) <= most_bytes
    statement = (
        select(
            case((is_small, Message.body_html)).label("html"),
            Message.body_text,
            Conversation.id,
            Conversation.status,
        )
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(Message.id == message_id, Message.account_id == account_id, Message.body_html.is_not(None))
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return None
    return SealedHtml(row.id, row.html, row.body_text, row.status == ConversationStatus.QUARANTINE)


async def verification_mails_of(
    session: AsyncSession, account_id: UUID, integration_id: UUID, *, limit: int
) -> list[SealedVerificationMail] | None:
    """Amazon's mails with a code, newest first, without forged ones; None if there is no such integration."""
    statement = select(Integration.id).where(
        Integration.id == integration_id, Integration.account_id == account_id
    )
    if (await session.execute(statement)).first() is None:
        return None
    mails = (
        select(Message.id, Message.received_at, Message.subject, Message.body_text, Message.verification_code)
        .join(Conversation, Conversation.id == Message.conversation_id)
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
    return [SealedVerificationMail._make(row) for row in await session.execute(mails)]


async def attachment_of(
    session: AsyncSession, account_id: UUID, message_id: UUID, attachment_id: UUID
) -> SealedAttachment | None:
    """One attachment with its sealed content."""
    columns = select(
        Attachment.id,
        Message.conversation_id,
        Attachment.filename,
        Attachment.content_type,
        Attachment.sniffed_type,
        Attachment.scan,
        Attachment.size,
        Attachment.content,
        Attachment.blob_key,
        Attachment.blob_digest,
    )
    statement = columns.join(Message, Message.id == Attachment.message_id).where(
        Attachment.id == attachment_id,
        Attachment.message_id == message_id,
        Attachment.account_id == account_id,
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return None
    content = sealed_or_blob(row.content, row.blob_key, row.blob_digest)
    return SealedAttachment(
        row.id,
        row.conversation_id,
        row.filename,
        row.content_type,
        row.sniffed_type,
        row.scan,
        row.size,
        content,
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
    statement = select(Message.conversation_id, Message.accepted_mail_id, Message.raw_key).where(
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
