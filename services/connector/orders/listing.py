"""Lists of orders: one statement each, and none opens anything.

An index of its account ends a page after `limit` rows: of all orders or of one integration's by Amazon's last change, and of those that
are still to be shipped by when they must be (`ends_with_its_page`). Everything else is compared on the way along such an index; a value
that is rare in a large account makes that way long. So these are bounded as searches are: few at a time, and LIST_SECONDS end them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Integer,
    Select,
    Text,
    Uuid,
    and_,
    bindparam,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.http.paging import ListTooSlow
from shared.compiled_select import CompiledSelect
from shared.database import Sessions, StatementCancelled, bound_statements
from shared.tables import Integration, Order

# Below the 15 s after which a statement counts as a database that is away.
LIST_SECONDS: Final = 5
# A row is visible at the latest so long after the moment that it carries: a transaction that writes orders is shorter.
VISIBLE_WITHIN: Final = timedelta(seconds=30)


class OrderSort(StrEnum):
    """By Amazon's last change, the latest first; or by when it must be shipped, the earliest first."""

    NEWEST = "newest"
    SHIP_BY = "ship_by"


@dataclass(frozen=True, slots=True)
class OrderFilters:
    """Which orders to list. A filter that is left out filters nothing. `ship_by_before`: only what is still to be shipped."""

    integration_id: UUID | None = None
    country: str | None = None
    status: str | None = None
    program: str | None = None
    ship_by_before: datetime | None = None
    updated_since: datetime | None = None


def ends_with_its_page(filters: OrderFilters, sort: OrderSort) -> bool:
    """Whether one index has just what is asked for, in its order, so that nothing is passed over on the way."""
    if sort is OrderSort.SHIP_BY:
        return replace(filters, ship_by_before=None) == OrderFilters()
    return replace(filters, updated_since=None) in (
        OrderFilters(),
        OrderFilters(integration_id=filters.integration_id),
    )


class ListedOrder(NamedTuple):
    """The columns of an order that lists have."""

    id: UUID
    integration_id: UUID
    order_id: str
    country: str | None
    status: str
    fulfilled_by: str | None
    programs: list[str]
    is_prime: bool
    is_business: bool
    is_gift: bool
    is_pickup: bool
    is_replacement: bool
    is_exchange: bool
    is_cancellation_requested: bool
    purchased_at: datetime | None
    last_updated_at: datetime
    ship_by: datetime | None
    deliver_by: datetime | None
    shipped_at: datetime | None
    delivered_at: datetime | None
    currency: str | None
    total: Decimal | None
    item_count: int
    quantity: int
    problems: list[str]
    gone_at: datetime | None
    fetched_at: datetime | None
    changed_at: datetime
    integration_name: str | None
    home_country: str


LISTED: Final[tuple[Any, ...]] = (
    *(getattr(Order, name) for name in ListedOrder._fields[:-2]),
    Integration.name.label("integration_name"),
    Integration.home_country,
)
# Written out as in the partial index, which is used only if PostgreSQL sees its condition; it sees no parameter's value.
_TO_BE_SHIPPED: Final = and_(
    Order.status.in_(
        [literal_column("'UNSHIPPED'"), literal_column("'PARTIALLY_SHIPPED'")],
    ),
    Order.ship_by.is_not(None),
)


def orders() -> Select[Any]:
    """The orders of `account_id` with their integration, as ListedOrder."""
    return (
        select(*LISTED)
        .join(Integration, Integration.id == Order.integration_id)
        .where(Order.account_id == bindparam("account_id"))
    )


async def list_orders(
    source: Sessions | AsyncSession,
    account_id: UUID,
    filters: OrderFilters,
    sort: OrderSort,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None,
    seconds: float = LIST_SECONDS,
) -> list[ListedOrder]:
    """A page of the list. Needs a session unless what is asked for `ends_with_its_page`. Raises ListTooSlow."""
    after_at, after_id = after or (None, None)
    values = {
        "account_id": account_id,
        "integration_id": filters.integration_id,
        "country": filters.country,
        "status": filters.status,
        "program": filters.program,
        "ship_by_before": filters.ship_by_before,
        "updated_since": filters.updated_since,
        "after_at": after_at,
        "after_id": after_id,
        "limit": limit,
    }
    given = {name: value for name, value in values.items() if value is not None}
    statement = _page(sort, frozenset(given))
    if ends_with_its_page(filters, sort):
        return _listed(await statement.all(source, **given))
    assert isinstance(source, AsyncSession)
    await bound_statements(source, seconds)
    try:
        return _listed(await statement.all(source, **given))
    except StatementCancelled as error:
        raise ListTooSlow from error


async def changed_orders(
    sessions: Sessions, account_id: UUID, *, after: tuple[datetime, UUID] | None, limit: int
) -> list[ListedOrder]:
    """Orders in the sequence in which our copies changed, the earliest change first."""
    if after is None:
        return _listed(await _CHANGES.all(sessions, account_id=account_id, limit=limit))
    after_at, after_id = after
    return _listed(
        await _CHANGES_AFTER.all(
            sessions, account_id=account_id, after_at=after_at, after_id=after_id, limit=limit
        )
    )


def resume_at(
    page: Sequence[ListedOrder], after: tuple[datetime, UUID] | None, now: datetime
) -> tuple[datetime, UUID]:
    """Where whoever has this page of changes goes on, so that nothing is missed that is committed later with an earlier moment."""
    safe = now - VISIBLE_WITHIN
    if page and page[-1].changed_at <= safe:
        return page[-1].changed_at, page[-1].id
    return after if after is not None and not page else (safe, UUID(int=0))


def _listed(records: Iterable[Any]) -> list[ListedOrder]:
    return [ListedOrder._make(record) for record in records]


@lru_cache(maxsize=500)
def _page(sort: OrderSort, given: frozenset[str]) -> CompiledSelect:
    """The statement of a page. `given` are the values that it takes. Building it takes longer than reading a page."""
    statement = orders()
    for name, condition in _CONDITIONS.items():
        if name in given:
            statement = statement.where(condition)
    if sort is OrderSort.SHIP_BY or "ship_by_before" in given:
        statement = statement.where(_TO_BE_SHIPPED)
    if sort is OrderSort.SHIP_BY:
        key = (Order.ship_by, Order.id)
        if "after_at" in given:
            statement = statement.where(tuple_(*key) > _AFTER)
        statement = statement.order_by(*key)
    else:
        key = (Order.last_updated_at, Order.id)
        if "after_at" in given:
            statement = statement.where(tuple_(*key) < _AFTER)
        statement = statement.order_by(*(column.desc() for column in key))
    return CompiledSelect(statement.limit(_LIMIT))


_AFTER: Final = tuple_(
    bindparam("after_at", type_=DateTime(timezone=True)), bindparam("after_id", type_=Uuid())
)
_LIMIT: Final = bindparam("limit", type_=Integer())
_AT: Final = DateTime(timezone=True)
# By the names of their values.
_CONDITIONS: Final[dict[str, ColumnElement[bool]]] = {
    "integration_id": Order.integration_id == bindparam("integration_id"),
    "country": Order.country == bindparam("country"),
    "status": Order.status == bindparam("status"),
    "program": bindparam("program", type_=Text()) == Order.programs.any_(),
    "ship_by_before": Order.ship_by < bindparam("ship_by_before", type_=_AT),
    "updated_since": Order.last_updated_at >= bindparam("updated_since", type_=_AT),
}
_BY_CHANGE: Final = orders().order_by(Order.changed_at, Order.id).limit(_LIMIT)
_CHANGES: Final = CompiledSelect(_BY_CHANGE)
_CHANGES_AFTER: Final = CompiledSelect(_BY_CHANGE.where(tuple_(Order.changed_at, Order.id) > _AFTER))
