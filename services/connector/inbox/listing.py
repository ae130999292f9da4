"""The list of conversations, and how many there are: one statement each. Of a row, three short columns are sealed (ADR 15).

An index of its account ends a page after `limit` rows: of all that are shown, of one integration, of one status, of the unread
ones, of those that wait for an answer (`ends_with_its_page`). Kind, country and a second filter are compared on the way along such
an index; a value that is rare in a large account makes that way long. So these are bounded as searches are: few at a time, and
`SEARCH_SECONDS` end them (`ListTooSlow`).
Forged mail lies outside of the indexes of what is shown: a flood of it costs the inbox nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    DateTime,
    Integer,
    Row,
    Select,
    Uuid,
    and_,
    bindparam,
    func,
    literal,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.connector.http.paging import ListTooSlow
from services.connector.inbox.search import Search
from shared.compiled_select import CompiledSelect
from shared.crypto.envelope import Sealed
from shared.database import Sessions, StatementCancelled, bound_statements
from shared.tables import Conversation, ConversationOrder, ConversationStatus, Integration, Message

# Below the 15 s after which a statement counts as a database that is away.
SEARCH_SECONDS: Final = 5
# A count goes no further: nobody reads more, and a count must not grow with the account.
MOST_COUNTED: Final = 1_000


class Sort(StrEnum):
    """By the newest message, newest first; or by when an answer is due, the earliest first."""

    NEWEST = "newest"
    DUE = "due"


@dataclass(frozen=True, slots=True)
class ConversationFilters:
    """Which conversations to list. A filter that is left out filters nothing, but quarantine is listed only if it is asked for."""

    integration_id: UUID | None = None
    status: ConversationStatus | None = None
    kind: str | None = None
    country: str | None = None
    is_unread: bool = False
    is_due: bool = False
    search: Search | None = None


def ends_with_its_page(filters: ConversationFilters, sort: Sort) -> bool:
    """Whether one index has just what is asked for, in its order, so that nothing is passed over on the way."""
    if sort is Sort.DUE:
        return replace(filters, is_due=False) == ConversationFilters()
    alone = (
        ConversationFilters(integration_id=filters.integration_id),
        ConversationFilters(status=filters.status),
        ConversationFilters(is_unread=filters.is_unread),
    )
    return filters in alone


class ListedConversation(NamedTuple):
    """The plain columns of a conversation."""

    id: UUID
    integration_id: UUID
    integration_name: str | None
    order_id: str | None
    asin: str | None
    country: str | None
    status: Literal["open", "closed", "quarantine"]
    kind: str
    is_unread: bool
    answer_due_at: datetime | None
    message_count: int
    last_message_at: datetime
    last_reply_at: datetime | None
    home_country: str


class SealedConversation(NamedTuple):
    """A conversation with what an agent reads of it first, still sealed. The snippet is sealed for the message that it is of."""

    listed: ListedConversation
    buyer_name: Sealed | None
    subject: Sealed | None
    snippet: Sealed | None
    snippet_message_id: UUID | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many conversations wait for somebody; MOST_COUNTED means "or more"."""

    open: int
    unread: int
    due: int
    overdue: int
    quarantine: int


_LISTED: Final = (
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
    Conversation.last_reply_at,
    Integration.home_country,
)
_LISTED_COUNT: Final = len(_LISTED)
_SEALED: Final = (
    Conversation.buyer_name,
    Conversation.subject,
    Conversation.snippet,
    Conversation.snippet_message_id,
)
_COLUMNS: Final[tuple[Any, ...]] = (*_LISTED, *_SEALED)
# Written out as in the partial indexes, which are used only if PostgreSQL sees their conditions; it sees no parameter's value.
_IS_SHOWN: Final = and_(
    Conversation.merged_into.is_(None), Conversation.status != literal_column("'quarantine'")
)
_IS_UNREAD: Final = literal_column("conversations.is_unread", Boolean)


def conversations() -> Select[Any]:
    """The conversations of `account_id` with their integration; those that were merged are among them. For `conversation_of_row`."""
    return (
        select(*_COLUMNS)
        .join(Integration, Integration.id == Conversation.integration_id)
        .where(Conversation.account_id == bindparam("account_id"))
    )


def conversation_of_row(row: Row[Any]) -> SealedConversation:
    """A conversation with its sealed columns, from a row of `conversations`."""
    return SealedConversation(ListedConversation._make(row[:_LISTED_COUNT]), *row[_LISTED_COUNT:])


def _of_record(record: Iterable[Any]) -> SealedConversation:
    """The same from asyncpg's own row, whose sealed columns are bytes."""
    values = tuple(record)
    buyer_name, subject, snippet, snippet_message_id = values[_LISTED_COUNT:]
    return SealedConversation(
        ListedConversation._make(values[:_LISTED_COUNT]),
        None if buyer_name is None else Sealed(buyer_name),
        None if subject is None else Sealed(subject),
        None if snippet is None else Sealed(snippet),
        snippet_message_id,
    )


async def list_conversations(
    source: Sessions | AsyncSession,
    account_id: UUID,
    filters: ConversationFilters,
    sort: Sort,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None,
    seconds: float = SEARCH_SECONDS,
) -> list[SealedConversation]:
    """A page of the list. Disconnected integrations' conversations stay in the list. Needs a session unless what is asked for
    `ends_with_its_page`. Raises ListTooSlow.
    """
    after_at, after_id = after or (None, None)
    search = filters.search or Search()
    values = {
        "account_id": account_id,
        "integration_id": filters.integration_id,
        "kind": filters.kind,
        "country": filters.country,
        "order_id": search.order_id,
        "buyer_key": search.buyer_key,
        "word_keys": list(search.word_keys) or None,
        "after_at": after_at,
        "after_id": after_id,
        "limit": limit,
    }
    given = {name: value for name, value in values.items() if value is not None}
    statement = _page(sort, filters.status, filters.is_unread, filters.is_due, frozenset(given))
    if ends_with_its_page(filters, sort):
        return [_of_record(record) for record in await statement.all(source, **given)]
    assert isinstance(source, AsyncSession)
    await bound_statements(source, seconds)
    try:
        return [_of_record(record) for record in await statement.all(source, **given)]
    except StatementCancelled as error:
        raise ListTooSlow from error


@lru_cache(maxsize=1_000)
def _page(
    sort: Sort, status: ConversationStatus | None, is_unread: bool, is_due: bool, given: frozenset[str]
) -> CompiledSelect:
    """The statement of a page. `given` are the values that it takes. Building it takes longer than reading a page."""
    statement = conversations()
    if status is ConversationStatus.QUARANTINE:
        statement = statement.where(
            Conversation.merged_into.is_(None), Conversation.status == literal(status.value)
        )
    else:
        statement = statement.where(_IS_SHOWN)
        if status is not None:
            statement = statement.where(Conversation.status == literal(status.value))
    if is_unread:
        statement = statement.where(_IS_UNREAD)
    if is_due or sort is Sort.DUE:
        statement = statement.where(Conversation.answer_due_at.is_not(None))
    for name, condition in _CONDITIONS.items():
        if name in given:
            statement = statement.where(condition)
    after = tuple_(bindparam("after_at", type_=DateTime(timezone=True)), bindparam("after_id", type_=Uuid()))
    if sort is Sort.DUE:
        due = (Conversation.answer_due_at, Conversation.id)
        if "after_at" in given:
            statement = statement.where(tuple_(*due) > after)
        statement = statement.order_by(*due)
    else:
        newest = (Conversation.last_message_at, Conversation.id)
        if "after_at" in given:
            statement = statement.where(tuple_(*newest) < after)
        statement = statement.order_by(*(column.desc() for column in newest))
    return CompiledSelect(statement.limit(bindparam("limit", type_=Integer())))


_ORDERS: Final = select(ConversationOrder.conversation_id).where(
    ConversationOrder.account_id == bindparam("account_id"),
    ConversationOrder.order_id == bindparam("order_id"),
)
_MESSAGES: Final = (
    select(Message.conversation_id)
    .where(
        Message.account_id == bindparam("account_id"),
        Message.word_keys.contains(bindparam("word_keys", type_=Message.word_keys.type)),
    )
    .distinct()
)
# By the names of their values.
_CONDITIONS: Final[dict[str, ColumnElement[bool]]] = {
    "integration_id": Conversation.integration_id == bindparam("integration_id"),
    "kind": Conversation.kind == bindparam("kind"),
    "country": Conversation.country == bindparam("country"),
    "order_id": Conversation.id.in_(_ORDERS),
    "buyer_key": Conversation.buyer_key == bindparam("buyer_key"),
    # As an array, the found ones are looked up one by one: how many they are, PostgreSQL cannot guess of hashes, and a wrong guess
    # reads the whole table.
    "word_keys": Conversation.id == func.any(func.array(_MESSAGES.scalar_subquery())),
}


async def count_conversations(
    reader: AsyncSession | AsyncConnection, account_id: UUID, now: datetime, *, most: int = MOST_COUNTED
) -> Counts:
    """How many conversations wait for somebody, in one statement; each number goes up to `most`."""
    is_due = and_(_IS_SHOWN, Conversation.answer_due_at.is_not(None))
    in_quarantine = and_(Conversation.merged_into.is_(None), Conversation.status == "quarantine")
    row = await reader.execute(
        select(
            _up_to_most(most, account_id, _IS_SHOWN, Conversation.status == "open"),
            _up_to_most(most, account_id, _IS_SHOWN, _IS_UNREAD),
            _up_to_most(most, account_id, is_due),
            _up_to_most(most, account_id, is_due, Conversation.answer_due_at < now),
            _up_to_most(most, account_id, in_quarantine),
        )
    )
    return Counts(*row.one())


def _up_to_most(most: int, account_id: UUID, *conditions: ColumnElement[bool]) -> Any:
    rows = select(Conversation.id).where(Conversation.account_id == account_id, *conditions)
    return select(func.count()).select_from(rows.limit(most).subquery()).scalar_subquery()
