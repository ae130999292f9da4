"""The list of conversations, and how many there are: plain columns, one statement each, nothing sealed.

An index of its account ends a page after `limit` rows: of all that are shown, of one integration, of one status, of the unread
ones, of those that wait for an answer. Kind, country and a second filter are compared on the way along such an index; a value that
is rare in a large account makes that way long, and `SEARCH_SECONDS` end it (`ListTooSlow`).
Forged mail lies outside of the indexes of what is shown: a flood of it costs the inbox nothing.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, Select, and_, func, literal_column, select, text, tuple_
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.inbox.search import Search
from shared.errors import Expected
from shared.tables import Conversation, ConversationOrder, ConversationStatus, Integration, Message

# Below the 15 s after which a statement counts as a database that is away.
SEARCH_SECONDS: Final = 5
# A count goes no further: nobody reads more, and a count must not grow with the account.
MOST_COUNTED: Final = 1_000
_QUERY_CANCELED: Final = "57014"


class ListTooSlow(Expected):
    """What was asked for has to be looked for in too much."""

    code = "list_too_slow"


class Sort(StrEnum):
    """By the newest message, newest first; or by when an answer is due, the earliest first."""

    NEWEST = "newest"
    DUE = "due"


@dataclass(frozen=True, slots=True)
class Filters:
    """Which conversations to list. A filter that is left out filters nothing, but what is in quarantine is seen only by who asks for it."""

    integration_id: UUID | None = None
    status: ConversationStatus | None = None
    kind: str | None = None
    country: str | None = None
    is_unread: bool = False
    is_due: bool = False
    search: Search | None = None


@dataclass(frozen=True, slots=True)
class ListedConversation:
    """A conversation as the list shows it: plain columns."""

    id: UUID
    integration_id: UUID
    integration_name: str | None
    order_id: str | None
    asin: str | None
    country: str | None
    status: str
    kind: str
    is_unread: bool
    answer_due_at: datetime | None
    message_count: int
    last_message_at: datetime


@dataclass(frozen=True, slots=True)
class Counts:
    """How many conversations wait for somebody; MOST_COUNTED means "or more"."""

    open: int
    unread: int
    due: int
    overdue: int
    quarantine: int


LISTED: Final = (
    Conversation.id,
    Conversation.integration_id,
    Integration.name,
    Conversation.order_id,
    Conversation.asin,
    Conversation.country,
    Conversation.status,
    Conversation.kind,
    Conversation.is_unread,
    Conversation.answer_due_at,
    Conversation.message_count,
    Conversation.last_message_at,
)
# Written out as in the partial indexes, which are used only if PostgreSQL sees their conditions; it sees no parameter's value.
_IS_SHOWN: Final = and_(
    Conversation.merged_into.is_(None), Conversation.status != literal_column("'quarantine'")
)
_IS_UNREAD: Final = literal_column("conversations.is_unread", Boolean)


def conversations(account_id: UUID, *columns: Any) -> Select[Any]:
    """An account's conversations with their integration; those that were merged are among them."""
    return (
        select(*columns)
        .join(Integration, Integration.id == Conversation.integration_id)
        .where(Conversation.account_id == account_id)
    )


async def list_conversations(
    session: AsyncSession,
    account_id: UUID,
    filters: Filters,
    sort: Sort,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None,
) -> list[ListedConversation]:
    """Disconnected integrations' conversations stay in the list. Raises ListTooSlow."""
    statement = conversations(account_id, *LISTED).where(*_conditions(filters))
    if filters.search is not None:
        statement = statement.where(_is_found(account_id, filters.search))
    if sort is Sort.DUE:
        key = tuple_(Conversation.answer_due_at, Conversation.id)
        statement = statement.where(Conversation.answer_due_at.is_not(None))
        if after is not None:
            statement = statement.where(key > after)
        statement = statement.order_by(Conversation.answer_due_at, Conversation.id)
    else:
        key = tuple_(Conversation.last_message_at, Conversation.id)
        if after is not None:
            statement = statement.where(key < after)
        statement = statement.order_by(Conversation.last_message_at.desc(), Conversation.id.desc())
    # Whatever is narrowed down may have to pass over rows without end: how common a value is in one account, PostgreSQL cannot know.
    async with _bounded(session, is_bounded=filters != Filters()):
        rows = (await session.execute(statement.limit(limit))).all()
    return [ListedConversation(*row) for row in rows]


async def count_conversations(session: AsyncSession, account_id: UUID, now: datetime) -> Counts:
    """In one statement; each number goes up to MOST_COUNTED."""
    is_due = and_(_IS_SHOWN, Conversation.answer_due_at.is_not(None))
    in_quarantine = and_(Conversation.merged_into.is_(None), Conversation.status == "quarantine")
    row = await session.execute(
        select(
            _up_to_most(account_id, _IS_SHOWN, Conversation.status == "open"),
            _up_to_most(account_id, _IS_SHOWN, _IS_UNREAD),
            _up_to_most(account_id, is_due),
            _up_to_most(account_id, is_due, Conversation.answer_due_at < now),
            _up_to_most(account_id, in_quarantine),
        )
    )
    return Counts(*row.one())


def _up_to_most(account_id: UUID, *conditions: ColumnElement[bool]) -> Any:
    rows = select(Conversation.id).where(Conversation.account_id == account_id, *conditions)
    return select(func.count()).select_from(rows.limit(MOST_COUNTED).subquery()).scalar_subquery()


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    if filters.status is ConversationStatus.QUARANTINE:
        conditions = [Conversation.merged_into.is_(None), Conversation.status == filters.status.value]
    else:
        conditions = [_IS_SHOWN]
        if filters.status is not None:
            conditions.append(Conversation.status == filters.status.value)
    if filters.is_unread:
        conditions.append(_IS_UNREAD)
    if filters.is_due:
        conditions.append(Conversation.answer_due_at.is_not(None))
    for column, value in (
        (Conversation.integration_id, filters.integration_id),
        (Conversation.kind, filters.kind),
        (Conversation.country, filters.country),
    ):
        if value is not None:
            conditions.append(column == value)
    return conditions


def _is_found(account_id: UUID, search: Search) -> ColumnElement[bool]:
    if search.order_id is not None:
        orders = select(ConversationOrder.conversation_id).where(
            ConversationOrder.account_id == account_id, ConversationOrder.order_id == search.order_id
        )
        return Conversation.id.in_(orders)
    if search.buyer_key is not None:
        return Conversation.buyer_key == search.buyer_key
    messages = (
        select(Message.conversation_id)
        .where(Message.account_id == account_id, Message.word_keys.contains(search.word_keys))
        .distinct()
    )
    # As an array, the found ones are looked up one by one: how many they are, PostgreSQL cannot guess of hashes, and a wrong guess
    # reads the whole table.
    return Conversation.id == func.any(func.array(messages.scalar_subquery()))


@asynccontextmanager
async def _bounded(session: AsyncSession, *, is_bounded: bool) -> AsyncIterator[None]:
    """Statements inside of this block end after SEARCH_SECONDS. Raises ListTooSlow."""
    if not is_bounded:
        yield
        return
    await session.execute(text(f"SET LOCAL statement_timeout = '{SEARCH_SECONDS}s'"))
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _QUERY_CANCELED:
            raise
        raise ListTooSlow from error
