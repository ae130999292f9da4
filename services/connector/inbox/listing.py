"""The list of conversations, and how many there are: one statement each. Of a row, three short columns are sealed (ADR 15).

An index of its account ends a page after `limit` rows: of all that are shown, of one integration, of one status, of the unread
ones, of the open ones of one assignee or of nobody, of those that wait for an answer or are overdue (`ends_with_its_page`). Kind, country,
tag and a second filter are compared on the way along such an index, and those with a failed reply are looked up one by one; a value that is rare in a large account makes that way long. So these are bounded as searches are: few at a time, and
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
    CompoundSelect,
    DateTime,
    Integer,
    Row,
    Select,
    Uuid,
    and_,
    bindparam,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    union,
)
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import aliased

from services.connector.http.paging import ListTooSlow
from services.connector.inbox.search import Search
from shared.compiled_select import CompiledSelect
from shared.crypto.envelope import Sealed
from shared.database import Sessions, StatementCancelled, bound_statements
from shared.tables import (
    Conversation,
    ConversationOrder,
    ConversationStatus,
    Integration,
    Message,
    OutboundMessage,
    RelayAddress,
)

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
    is_overdue: bool = False
    has_failed_reply: bool = False
    assignee_id: UUID | None = None
    is_unassigned: bool = False
    tag_id: UUID | None = None
    search: Search | None = None


def ends_with_its_page(filters: ConversationFilters, sort: Sort) -> bool:
    """Whether one index has just what is asked for, in its order, so that nothing is passed over on the way."""
    if sort is Sort.DUE:
        return replace(filters, is_due=False, is_overdue=False) == ConversationFilters()
    # One after the other: what is asked for most is the first.
    return (
        filters == ConversationFilters(integration_id=filters.integration_id)
        or filters == ConversationFilters(status=filters.status)
        or filters == ConversationFilters(is_unread=filters.is_unread)
        or filters == ConversationFilters(status=ConversationStatus.OPEN, assignee_id=filters.assignee_id)
        or filters == ConversationFilters(status=ConversationStatus.OPEN, is_unassigned=True)
    )


class ListedConversation(NamedTuple):
    """The plain columns of a conversation."""

    id: UUID
    integration_id: UUID
    integration_name: str | None
    order_id: str | None
    asin: str | None
    country: str | None
    status: Literal["open", "snoozed", "closed", "quarantine"]
    kind: str
    is_unread: bool
    answer_due_at: datetime | None
    message_count: int
    last_message_at: datetime
    last_reply_at: datetime | None
    home_country: str
    assignee_id: UUID | None
    tag_ids: list[UUID]
    snoozed_until: datetime | None
    has_files: bool
    has_failed_reply: bool


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
    mine: int
    unassigned: int
    unread: int
    due: int
    overdue: int
    failed: int
    snoozed: int
    quarantine: int


# Written out as in the partial indexes, which are used only if PostgreSQL sees their conditions; it sees no parameter's value.
HAS_FAILED: Final = literal_column(
    "outbound_messages.state IN ('failed', 'perhaps_sent') AND outbound_messages.dismissed_at IS NULL",
    Boolean,
)
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
    Conversation.assignee_id,
    Conversation.tag_ids,
    Conversation.snoozed_until,
    Conversation.has_files,
    # Along an index that has nothing but failed replies.
    exists().where(OutboundMessage.conversation_id == Conversation.id, HAS_FAILED).label("has_failed_reply"),
)
_LISTED_COUNT: Final = len(_LISTED)
_SEALED: Final = (
    Conversation.buyer_name,
    Conversation.subject,
    Conversation.snippet,
    Conversation.snippet_message_id,
)
_COLUMNS: Final[tuple[Any, ...]] = (*_LISTED, *_SEALED)
# As above.
_IS_SHOWN: Final = and_(
    Conversation.merged_into.is_(None), Conversation.status != literal_column("'quarantine'")
)
_IS_OPEN: Final = and_(
    Conversation.merged_into.is_(None), literal_column("conversations.status = 'open'", Boolean)
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
    now: datetime | None = None,
    seconds: float = SEARCH_SECONDS,
) -> list[SealedConversation]:
    """A page of the list. Disconnected integrations' conversations stay in the list. Needs a session unless what is asked for
    `ends_with_its_page`. `now` is needed for what is overdue. Raises ListTooSlow.
    """
    after_at, after_id = after or (None, None)
    values = {
        "account_id": account_id,
        "integration_id": filters.integration_id,
        "kind": filters.kind,
        "country": filters.country,
        **_values_of(filters.search or Search()),
        "assignee_id": filters.assignee_id,
        "tag_id": filters.tag_id,
        "overdue_at": now if filters.is_overdue else None,
        "after_at": after_at,
        "after_id": after_id,
        "limit": limit,
    }
    given = {name: value for name, value in values.items() if value is not None}
    wanted = {
        "unread": filters.is_unread,
        "due": filters.is_due or filters.is_overdue or sort is Sort.DUE,
        "failed": filters.has_failed_reply,
        "unassigned": filters.is_unassigned,
    }
    flags = frozenset(name for name, is_wanted in wanted.items() if is_wanted)
    statement = _page(sort, filters.status, flags, frozenset(given))
    if ends_with_its_page(filters, sort):
        return [_of_record(record) for record in await statement.all(source, **given)]
    assert isinstance(source, AsyncSession)
    await bound_statements(source, seconds)
    try:
        return [_of_record(record) for record in await statement.all(source, **given)]
    except StatementCancelled as error:
        raise ListTooSlow from error


def _values_of(search: Search) -> dict[str, Any]:
    """By the names of `_CONDITIONS`, and what these take besides."""
    words, former = list(search.word_keys) or None, search.former_word_keys
    is_address = search.buyer_key is not None
    return {
        "order_id": search.order_id,
        "local_part": search.local_part,
        "buyer_key": search.buyer_key,
        "address_keys": words if is_address else None,
        "word_keys": None if is_address or former else words,
        "former_word_keys": None if former is None else list(former),
        "new_word_keys": words if former else None,
    }


@lru_cache(maxsize=1_000)
def _page(
    sort: Sort, status: ConversationStatus | None, flags: frozenset[str], given: frozenset[str]
) -> CompiledSelect:
    """The statement of a page. `flags` are conditions without a value; `given`, the values that it takes. Building it takes longer than reading a page."""
    statement = conversations().where(*_of_status(status, is_assigned=bool((flags | given) & _ASSIGNED)))
    for name, condition in _FLAGS.items():
        if name in flags:
            statement = statement.where(condition)
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


def _of_status(status: ConversationStatus | None, *, is_assigned: bool) -> tuple[ColumnElement[bool], ...]:
    """`is_assigned`: somebody's, or nobody's, which the open ones have an index for."""
    if status is ConversationStatus.OPEN and is_assigned:
        return (_IS_SHOWN, _IS_OPEN)
    if status is ConversationStatus.QUARANTINE:
        return (Conversation.merged_into.is_(None), Conversation.status == literal(status.value))
    return (_IS_SHOWN,) if status is None else (_IS_SHOWN, Conversation.status == literal(status.value))


_ASSIGNED: Final = frozenset({"unassigned", "assignee_id"})
_ORDERS: Final = select(ConversationOrder.conversation_id).where(
    ConversationOrder.account_id == bindparam("account_id"),
    ConversationOrder.order_id == bindparam("order_id"),
)
_OWN_ADDRESSES: Final = select(RelayAddress.integration_id).where(
    RelayAddress.account_id == bindparam("account_id"), RelayAddress.local_part == bindparam("local_part")
)
_FAILED: Final = (
    select(OutboundMessage.conversation_id)
    .where(OutboundMessage.account_id == bindparam("account_id"), HAS_FAILED)
    .distinct()
)
_OfBuyer: Final = aliased(Conversation)
_OF_BUYER: Final = select(_OfBuyer.id).where(
    _OfBuyer.account_id == bindparam("account_id"), _OfBuyer.buyer_key == bindparam("buyer_key")
)


def _has_all(name: str) -> ColumnElement[bool]:
    return Message.word_keys.contains(bindparam(name, type_=Message.word_keys.type))


def _messages(condition: ColumnElement[bool]) -> Select[Any]:
    return (
        select(Message.conversation_id)
        .where(Message.account_id == bindparam("account_id"), condition)
        .distinct()
    )


def _is_one_of(ids: Select[Any] | CompoundSelect[Any]) -> ColumnElement[bool]:
    """As an array, the found ones are looked up one by one: how many they are, PostgreSQL cannot guess of hashes, and a wrong guess
    reads the whole table.
    """
    return Conversation.id == func.any(func.array(ids.scalar_subquery()))


_FLAGS: Final[dict[str, ColumnElement[bool]]] = {
    "unread": _IS_UNREAD,
    "due": Conversation.answer_due_at.is_not(None),
    "unassigned": Conversation.assignee_id.is_(None),
    "failed": _is_one_of(_FAILED),
}
# By the names of their values.
_CONDITIONS: Final[dict[str, ColumnElement[bool]]] = {
    "integration_id": Conversation.integration_id == bindparam("integration_id"),
    "kind": Conversation.kind == bindparam("kind"),
    "country": Conversation.country == bindparam("country"),
    "order_id": Conversation.id.in_(_ORDERS),
    "assignee_id": Conversation.assignee_id == bindparam("assignee_id"),
    "tag_id": and_(
        literal_column("conversations.tag_ids <> '{}'", Boolean),
        Conversation.tag_ids.contains(array([bindparam("tag_id", type_=Uuid())])),
    ),
    "overdue_at": Conversation.answer_due_at < bindparam("overdue_at", type_=DateTime(timezone=True)),
    "local_part": Conversation.integration_id.in_(_OWN_ADDRESSES),
    "buyer_key": _is_one_of(union(_OF_BUYER, _messages(_has_all("address_keys")))),
    "word_keys": _is_one_of(_messages(_has_all("word_keys"))),
    "former_word_keys": _is_one_of(_messages(or_(_has_all("new_word_keys"), _has_all("former_word_keys")))),
}


async def count_conversations(
    reader: AsyncSession | AsyncConnection,
    account_id: UUID,
    person_id: UUID | None,
    now: datetime,
    *,
    most: int = MOST_COUNTED,
) -> Counts:
    """How many conversations wait for somebody, in one statement; each number goes up to `most`. `person_id`: whose are `mine`."""
    is_due = and_(_IS_SHOWN, Conversation.answer_due_at.is_not(None))
    in_quarantine = and_(Conversation.merged_into.is_(None), Conversation.status == "quarantine")
    row = await reader.execute(
        select(
            _up_to_most(most, account_id, _IS_OPEN),
            _up_to_most(most, account_id, _IS_OPEN, Conversation.assignee_id == (person_id or account_id)),
            _up_to_most(most, account_id, _IS_OPEN, Conversation.assignee_id.is_(None)),
            _up_to_most(most, account_id, _IS_SHOWN, _IS_UNREAD),
            _up_to_most(most, account_id, is_due),
            _up_to_most(most, account_id, is_due, Conversation.answer_due_at < now),
            _failed_up_to_most(most, account_id),
            _up_to_most(most, account_id, _IS_SHOWN, Conversation.status == "snoozed"),
            _up_to_most(most, account_id, in_quarantine),
        )
    )
    return Counts(*row.one())


def _up_to_most(most: int, account_id: UUID, *conditions: ColumnElement[bool]) -> Any:
    rows = select(Conversation.id).where(Conversation.account_id == account_id, *conditions)
    return select(func.count()).select_from(rows.limit(most).subquery()).scalar_subquery()


def _failed_up_to_most(most: int, account_id: UUID) -> Any:
    rows = (
        select(OutboundMessage.conversation_id)
        .where(OutboundMessage.account_id == account_id, HAS_FAILED)
        .limit(most)
        .subquery()
    )
    return select(func.count(rows.c.conversation_id.distinct())).scalar_subquery()
