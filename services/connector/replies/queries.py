"""Reads of replies and their files: the account bounds every one of them, and none of them opens anything.

A list costs the same number of statements whether it has one row or a hundred.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Select, and_, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.blobs import Blob, sealed_or_blob
from shared.crypto.envelope import Sealed
from shared.database import Reader
from shared.tables import Integration, Message, OutboundMessage, ReplyFile, ReplyState, User

# A count goes no further: nobody reads more.
MOST_COUNTED: Final = 1_000


class SealedReply(NamedTuple):
    """A reply as it is read, still sealed, with its writer's name and what its store says of it."""

    id: UUID
    account_id: UUID
    integration_id: UUID
    conversation_id: UUID
    written_by: UUID | None
    body_text: Sealed
    country: str | None
    order_id: str | None
    closes_conversation: bool
    state: str
    state_since: datetime
    due_at: datetime
    attempts: int
    handed_over_at: datetime | None
    confirmed_at: datetime | None
    transport: str | None
    sent_from: str | None
    failure: str | None
    server_words: Sealed | None
    dismissed_at: datetime | None
    created_at: datetime
    writer_name: str | None
    home_country: str
    store_confirmed_at: datetime | None
    store_notice_at: datetime | None


class SealedFile(NamedTuple):
    """A file without its content."""

    id: UUID
    outbound_message_id: UUID | None
    filename: Sealed
    content_type: str
    size: int
    scan: str | None


@dataclass(frozen=True, slots=True)
class SealedContent:
    """A file with its content, or where it lies, and its conversation."""

    row: SealedFile
    conversation_id: UUID
    content: Sealed | Blob


@dataclass(frozen=True, slots=True)
class ReplyFilters:
    """Which replies to list. A filter that is left out filters nothing."""

    state: ReplyState | None = None
    integration_id: UUID | None = None
    conversation_id: UUID | None = None
    is_undismissed: bool = False


@dataclass(frozen=True, slots=True)
class ReplyCounts:
    """How many replies wait for somebody, or for their time; MOST_COUNTED means "or more"."""

    failed: int
    perhaps_sent: int
    scheduled: int
    delayed: int


@dataclass(frozen=True, slots=True)
class News:
    """What came into a conversation since a moment."""

    message_ids: list[UUID]
    reply_ids: list[UUID]


_OWN: Final = SealedReply._fields[: SealedReply._fields.index("writer_name")]
_FILES: Final[tuple[Any, ...]] = tuple(getattr(ReplyFile, name) for name in SealedFile._fields)
_MOST_NEWS: Final = 100


def _replies(account_id: UUID) -> Select[Any]:
    return (
        select(
            *(getattr(OutboundMessage, name) for name in _OWN),
            User.name,
            Integration.home_country,
            Integration.reply_confirmed_at,
            Integration.confirmation_notice_at,
        )
        .join(Integration, Integration.id == OutboundMessage.integration_id)
        .outerjoin(User, User.id == OutboundMessage.written_by)
        .where(OutboundMessage.account_id == account_id)
    )


async def reply_of(reader: Reader, account_id: UUID, reply_id: UUID) -> SealedReply | None:
    """One reply; None if this account has none with that id."""
    row = (await reader.execute(_replies(account_id).where(OutboundMessage.id == reply_id))).one_or_none()
    return None if row is None else SealedReply._make(row)


async def replies_of(
    reader: Reader, account_id: UUID, filters: ReplyFilters, *, limit: int, after: UUID | None
) -> list[SealedReply]:
    """A page of replies, newest first. Those that were taken back are drafts again: they are listed only if they are asked for."""
    statement = _replies(account_id)
    if filters.state is None:
        statement = statement.where(OutboundMessage.state != literal_column("'canceled'"))
    else:
        # Written out as in the partial indexes, of which PostgreSQL sees no parameter's value.
        statement = statement.where(OutboundMessage.state == literal_column(f"'{filters.state.value}'"))
    if filters.integration_id is not None:
        statement = statement.where(OutboundMessage.integration_id == filters.integration_id)
    if filters.conversation_id is not None:
        statement = statement.where(OutboundMessage.conversation_id == filters.conversation_id)
    if filters.is_undismissed:
        statement = statement.where(OutboundMessage.dismissed_at.is_(None))
    if after is not None:
        statement = statement.where(OutboundMessage.id < after)
    rows = await reader.execute(statement.order_by(OutboundMessage.id.desc()).limit(limit))
    return [SealedReply._make(row) for row in rows]


async def count_replies(reader: Reader, account_id: UUID) -> ReplyCounts:
    """How many there are, in one statement; failures that somebody has left at that are not counted."""

    def up_to_most(state: ReplyState) -> Any:
        is_it = OutboundMessage.state == literal_column(f"'{state.value}'")
        if state in {ReplyState.FAILED, ReplyState.PERHAPS_SENT}:
            is_it = and_(is_it, OutboundMessage.dismissed_at.is_(None))
        rows = select(OutboundMessage.id).where(OutboundMessage.account_id == account_id, is_it)
        # In order, for which an index is asked: without, the whole table may be read in the hope to find enough of them soon.
        rows = rows.order_by(OutboundMessage.id.desc()).limit(MOST_COUNTED)
        return select(func.count()).select_from(rows.subquery()).scalar_subquery()

    row = await reader.execute(
        select(
            up_to_most(ReplyState.FAILED),
            up_to_most(ReplyState.PERHAPS_SENT),
            up_to_most(ReplyState.SCHEDULED),
            up_to_most(ReplyState.DELAYED),
        )
    )
    return ReplyCounts(*row.one())


async def files_of_replies(
    reader: Reader, account_id: UUID, reply_ids: Sequence[UUID]
) -> dict[UUID, list[SealedFile]]:
    """The files of all these replies by reply, in one statement."""
    found: dict[UUID, list[SealedFile]] = {}
    if not reply_ids:
        return found
    rows = await reader.execute(
        select(*_FILES)
        .where(ReplyFile.account_id == account_id, ReplyFile.outbound_message_id.in_(reply_ids))
        .order_by(ReplyFile.outbound_message_id, ReplyFile.position, ReplyFile.id)
    )
    for row in rows:
        found.setdefault(row.outbound_message_id, []).append(SealedFile._make(row))
    return found


async def files_of_draft(
    reader: Reader, account_id: UUID, conversation_id: UUID, user_id: UUID | None
) -> list[SealedFile]:
    """The files that a user has uploaded in a conversation and that no reply has yet, in their order; None: an API key has."""
    rows = await reader.execute(
        select(*_FILES)
        .where(*is_of_draft(account_id, conversation_id, user_id))
        .order_by(ReplyFile.position, ReplyFile.id)
    )
    return [SealedFile._make(row) for row in rows]


def is_of_draft(account_id: UUID, conversation_id: UUID, user_id: UUID | None) -> tuple[Any, ...]:
    """The conditions for the files of a draft."""
    return (
        ReplyFile.account_id == account_id,
        ReplyFile.conversation_id == conversation_id,
        ReplyFile.uploaded_by.is_not_distinct_from(user_id),
        ReplyFile.outbound_message_id.is_(None),
    )


async def file_of(reader: Reader, account_id: UUID, file_id: UUID) -> SealedContent | None:
    """One file with its sealed content."""
    row = (
        await reader.execute(
            select(
                *_FILES,
                ReplyFile.conversation_id,
                ReplyFile.content,
                ReplyFile.blob_key,
                ReplyFile.blob_digest,
            ).where(ReplyFile.id == file_id, ReplyFile.account_id == account_id)
        )
    ).one_or_none()
    if row is None:
        return None
    content = sealed_or_blob(row.content, row.blob_key, row.blob_digest)
    return SealedContent(SealedFile._make(row[: len(_FILES)]), row.conversation_id, content)


async def language_of_message(reader: Reader, account_id: UUID, message_id: UUID) -> str | None:
    """The language in which the buyer wrote, if it is certain."""
    found: str | None = await reader.scalar(
        select(Message.language).where(Message.id == message_id, Message.account_id == account_id)
    )
    return found


async def orders_of_message(session: AsyncSession, account_id: UUID, message_id: UUID) -> list[str]:
    """The orders that a buyer's message names."""
    found: list[str] | None = await session.scalar(
        select(Message.order_ids).where(Message.id == message_id, Message.account_id == account_id)
    )
    return found or []


async def news_since(session: AsyncSession, account_id: UUID, conversation_id: UUID, since: datetime) -> News:
    """What others have written in a conversation since a moment, the newest first."""
    messages = await session.scalars(
        select(Message.id)
        .where(
            Message.account_id == account_id,
            Message.conversation_id == conversation_id,
            Message.received_at > since,
        )
        .order_by(Message.id.desc())
        .limit(_MOST_NEWS)
    )
    replies = await session.scalars(
        select(OutboundMessage.id)
        .where(
            OutboundMessage.account_id == account_id,
            OutboundMessage.conversation_id == conversation_id,
            OutboundMessage.created_at > since,
            OutboundMessage.state != ReplyState.CANCELED.value,
        )
        .order_by(OutboundMessage.id.desc())
        .limit(_MOST_NEWS)
    )
    return News(list(messages), list(replies))
