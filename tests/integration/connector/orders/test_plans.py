"""How PostgreSQL finds orders: in the one partition of the account, along an index that ends with the page, however many others there are."""

import re
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.orders import hints, listing, queries, snapshots
from services.connector.orders.card import StoreFacts
from services.connector.orders.listing import OrderFilters, OrderSort
from services.connector.orders.queries import ConversationFacts
from shared.database import Sessions
from tests.integration.connector.inbox.test_plans import plan_of
from tests.integration.connector.orders.conftest import Shop

pytestmark = pytest.mark.usefixtures("short_tables")

# One in a hundred is still to be shipped, each buyer has ten, and every second is of this store.
_MANY = text(
    "INSERT INTO orders (id, account_id, integration_id, order_id, country, status, purchased_at, last_updated_at, ship_by,"
    " buyer_key, changed_at, fetched_at)"
    " SELECT gen_random_uuid(), :account_id, CASE WHEN n % 2 = 0 THEN CAST(:integration_id AS uuid) ELSE CAST(:other_id AS uuid) END,"
    " lpad(n::text, 3, '0') || '-' || lpad(n::text, 7, '0') || '-' || lpad(n::text, 7, '0'), 'DE',"
    " CASE WHEN n % 100 = 1 THEN 'UNSHIPPED' ELSE 'SHIPPED' END, now() - make_interval(mins => n), now() - make_interval(mins => n),"
    " now() + make_interval(mins => n), sha256(CAST((n / 10)::text AS bytea)), now() - make_interval(mins => n), now()"
    " FROM generate_series(1, 3000) n"
)
_MANY_CONVERSATIONS = text(
    "INSERT INTO conversations (id, account_id, integration_id, message_count, last_message_at, status, buyer_key)"
    " SELECT gen_random_uuid(), :account_id, :integration_id, 1, now() - make_interval(mins => n), 'closed',"
    " sha256(CAST((n / 10)::text AS bytea)) FROM generate_series(1, 3000) n"
)
_PARTS = text(
    "INSERT INTO order_items (id, account_id, order_row_id, item_id, position)"
    " SELECT gen_random_uuid(), account_id, id, '1', 0 FROM orders"
)
_PACKAGES = text(
    "INSERT INTO order_packages (id, account_id, order_row_id, reference, position)"
    " SELECT gen_random_uuid(), account_id, id, '1', 0 FROM orders"
)
_SNAPSHOTS = text(
    "INSERT INTO order_snapshots (message_id, order_id, account_id, fields) SELECT uuidv7(), order_id, account_id, '{}' FROM orders"
)
_FAR = datetime.now(UTC) + timedelta(days=60)


@pytest.fixture
async def many(shop, foreign_shop, owner_sessions):
    async with owner_sessions.begin() as session:
        for one in (shop, foreign_shop):
            other = await _other_store(session, one)
            ids = {"account_id": one.account.id, "integration_id": one.integration.id, "other_id": other}
            await session.execute(_MANY, ids)
            await session.execute(_MANY_CONVERSATIONS, ids)
        await session.execute(_PARTS)
        await session.execute(_PACKAGES)
        # Their messages are not there: nobody reads them here.
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        await session.execute(_SNAPSHOTS)
        await session.execute(
            text("ANALYZE orders, order_items, order_packages, order_snapshots, conversations")
        )
    return shop


async def _other_store(session: AsyncSession, shop: Shop) -> UUID:
    statement = text(
        "INSERT INTO integrations (id, account_id, region, home_country, seller_id)"
        " VALUES (gen_random_uuid(), :account_id, 'na', 'US', gen_random_uuid()::text) RETURNING id"
    )
    other: UUID = (await session.execute(statement, {"account_id": shop.account.id})).scalar_one()
    return other


def _partitions(plan: str) -> set[str]:
    """Those that the plan reads, of any of the three tables."""
    return set(re.findall(r"on (order\w*_h\d+)", plan))


async def _list(
    many: Shop,
    filters: OrderFilters,
    sort: OrderSort,
    after: tuple[datetime, UUID] | None,
    session: AsyncSession,
) -> None:
    await listing.list_orders(session, many.account.id, filters, sort, limit=20, after=after)


_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
# Filters, sequence, and the index that a page is read from. The last three are compared with what no index has on the way along one.
_NEWEST, _OF_STORE, _SHIP_BY = (
    "account_id_last_updated_at_id_idx",
    "integration_id_last_updated_at_id_idx",
    "ship_by_id_idx",
)
_PAGES: list[tuple[dict[str, Any], OrderSort, str]] = [
    ({}, OrderSort.NEWEST, _NEWEST),
    ({"updated_since": _SINCE}, OrderSort.NEWEST, _NEWEST),
    ({"integration_id": ...}, OrderSort.NEWEST, _OF_STORE),
    ({"integration_id": ..., "updated_since": _SINCE}, OrderSort.NEWEST, _OF_STORE),
    ({}, OrderSort.SHIP_BY, _SHIP_BY),
    ({"ship_by_before": _FAR}, OrderSort.SHIP_BY, _SHIP_BY),
    ({"country": "DE"}, OrderSort.NEWEST, _NEWEST),
    ({"status": "SHIPPED"}, OrderSort.NEWEST, _NEWEST),
    ({"country": "DE"}, OrderSort.SHIP_BY, _SHIP_BY),
]


async def test_a_page_is_read_from_an_index_of_one_partition_without_sorting(many: Shop, sessions: Sessions):
    for filters, sort, index in _PAGES:
        given = filters | ({"integration_id": many.integration.id} if "integration_id" in filters else {})
        for after in (None, (datetime.now(UTC), UUID(int=7))):
            plan = await plan_of(sessions, partial(_list, many, OrderFilters(**given), sort, after))

            assert index in plan, (filters, plan)
            assert "Sort" not in plan, (filters, plan)
            assert len(_partitions(plan)) == 1, (filters, plan)


async def test_whatever_is_asked_for_one_partition_is_read(many: Shop, sessions: Sessions):
    for filters in (
        OrderFilters(program="PRIME"),
        OrderFilters(ship_by_before=_FAR),
        OrderFilters(status="CANCELLED", country="DE"),
    ):
        plan = await plan_of(sessions, partial(_list, many, filters, OrderSort.NEWEST, None))

        assert len(_partitions(plan)) == 1, (filters, plan)


def _reads(many: Shop) -> dict[str, tuple[Callable[[AsyncSession], Awaitable[Any]], str]]:
    """What is asked besides lists, and the index that answers it."""
    account_id, row_id = many.account.id, UUID(int=7)
    keys = [b"b" * 32]
    facts = ConversationFacts(row_id, many.integration.id, keys[0], (), StoreFacts())

    async def changes(session: AsyncSession) -> None:
        # The same statement, asked inside of a transaction.
        after = {"after_at": datetime(2026, 1, 1, tzinfo=UTC), "after_id": row_id}
        await listing._CHANGES_AFTER.all(session, account_id=account_id, limit=20, **after)

    return {
        "changes": (changes, "changed_at_id_idx"),
        "by number": (
            lambda session: queries.orders_by_number(session, account_id, "303-1234567-1234567"),
            "account_id_order_id_idx",
        ),
        "other orders": (
            lambda session: queries.other_orders(
                session, account_id, many.integration.id, keys, without=[row_id], limit=11
            ),
            "buyer_key_idx",
        ),
        "other conversations": (
            lambda session: queries.other_conversations(session, account_id, facts, keys, limit=11),
            "ix_conversations_buyer",
        ),
        "snapshots": (
            lambda session: snapshots.snapshots_of(session, account_id, [row_id]),
            "pk_order_snapshots",
        ),
    }


async def test_what_is_asked_besides_lists_is_answered_by_an_index(many: Shop, sessions: Sessions):
    for name, (ask, index) in _reads(many).items():
        plan = await plan_of(sessions, ask, small=True)

        assert index in plan, (name, plan)
        assert len(_partitions(plan)) <= 1, (name, plan)


async def test_the_parts_of_an_order_are_read_from_one_partition_each(many: Shop, sessions: Sessions):
    async with sessions() as session:
        statement = text("SELECT id FROM orders WHERE account_id = :account_id LIMIT 20")
        ids = list(await session.scalars(statement, {"account_id": many.account.id}))

    plan = await plan_of(sessions, lambda session: queries.orders_of(session, many.account.id, ids))

    assert len(_partitions(plan)) == 1, plan
    assert "Seq Scan" not in plan, plan


async def test_of_orders_that_wait_a_few_of_each_store_are_read_however_many_there_are(
    many: Shop, sessions: Sessions, owner_sessions: Sessions
):
    async with owner_sessions.begin() as session:
        await session.execute(
            text(
                "INSERT INTO order_hints (order_row_id, account_id, integration_id, order_id, told_at)"
                " SELECT id, account_id, integration_id, order_id, now() FROM orders"
            )
        )
        await session.execute(text("ANALYZE order_hints"))

    plan = await plan_of(sessions, partial(hints.due, of_each=2, limit=500))

    assert "ix_order_hints_of_integration" in plan, plan
    assert "Seq Scan on order_hints" not in plan, plan
    async with sessions.begin() as session:
        found = await hints.due(session, of_each=2, limit=500)
    by_store = Counter(hint.order.integration_id for hint in found)
    assert (len(by_store), set(by_store.values())) == (4, {2})
