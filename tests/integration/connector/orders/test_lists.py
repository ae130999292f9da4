"""Lists of orders: what they are narrowed to, their order, their pages, and the feed of what has changed."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from services.connector.http.paging import ListTooSlow, encode_cursor
from services.connector.orders.listing import (
    VISIBLE_WITHIN,
    OrderFilters,
    OrderSort,
    list_orders,
)
from shared.tables import Order
from tests.factories import make_integration, make_order
from tests.integration.connector.inbox.conftest import CALLER, counted_statements

_NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
_LIST, _CHANGES = "/api/v1/orders", "/api/v1/orders/changes"


@pytest.fixture
async def five(shop):
    """Orders by name, "cancelled" the one that Amazon changed last."""
    kinds: dict[str, dict[str, Any]] = {
        "late": {"ship_by": _NOW - timedelta(hours=1)},
        "prime": {"ship_by": _NOW + timedelta(hours=3), "programs": ["AMAZON_BUSINESS", "PRIME"]},
        "partly": {"ship_by": _NOW + timedelta(hours=2), "status": "PARTIALLY_SHIPPED"},
        "french": {"country": "FR", "status": "SHIPPED", "ship_by": _NOW - timedelta(days=1)},
        "cancelled": {"status": "CANCELLED"},
    }
    return {
        name: await shop.order(last_updated_at=_NOW + timedelta(minutes=number), **columns)
        for number, (name, columns) in enumerate(kinds.items())
    }


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["cancelled", "french", "partly", "prime", "late"]),
        ({"country": "FR"}, ["french"]),
        ({"status": "UNSHIPPED"}, ["prime", "late"]),
        ({"status": "SOMETHING_NEW"}, []),
        ({"program": "PRIME"}, ["prime"]),
        ({"updated_since": (_NOW + timedelta(minutes=3)).isoformat()}, ["cancelled", "french"]),
        ({"ship_by_before": (_NOW + timedelta(hours=2, minutes=1)).isoformat()}, ["partly", "late"]),
        ({"sort": "ship_by"}, ["late", "partly", "prime"]),
        ({"sort": "ship_by", "ship_by_before": (_NOW + timedelta(hours=3)).isoformat()}, ["late", "partly"]),
        ({"sort": "ship_by", "status": "PARTIALLY_SHIPPED"}, ["partly"]),
        ({"sort": "ship_by", "program": "AMAZON_BUSINESS", "country": "DE"}, ["prime"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, (dict, list)) else None,
)
async def test_the_list_is_narrowed_and_sorted(client, five, asked, expected):
    answer = await client.get(_LIST, params=asked)

    assert answer.status_code == 200, answer.text
    names = {str(order.id): name for name, order in five.items()}
    assert [names[item["id"]] for item in answer.json()["items"]] == expected


async def test_the_list_of_one_store_has_its_orders_only(client, shop, five):
    async with shop.sessions.begin() as session:
        other = await make_integration(session, shop.account.id, name="Amazon USA", region="na")
        wanted = await make_order(session, shop.keyring, other)

    items = (await client.get(_LIST, params={"integration_id": str(other.id)})).json()["items"]

    assert [item["id"] for item in items] == [str(wanted.id)]


async def test_another_accounts_orders_are_in_no_list_and_no_feed(client, shop, foreign_shop):
    mine, foreign = await shop.order(), await foreign_shop.order()

    for path in (_LIST, _CHANGES):
        assert [item["id"] for item in (await client.get(path)).json()["items"]] == [str(mine.id)]
    for asked in ({"integration_id": str(foreign.integration_id)}, {"status": "UNSHIPPED", "country": "DE"}):
        items = (await client.get(_LIST, params=asked)).json()["items"]
        assert str(foreign.id) not in {item["id"] for item in items}


@pytest.mark.parametrize("sort", OrderSort)
async def test_pages_show_every_order_once_while_new_ones_arrive(client, shop, sort):
    # Several share a moment: the id decides then.
    made = [
        await shop.order(
            last_updated_at=_NOW + timedelta(seconds=number // 3),
            ship_by=_NOW + timedelta(seconds=number // 3),
        )
        for number in range(13)
    ]
    seen: list[str] = []
    asked = {"limit": 4, "sort": sort.value}
    while True:
        page = (await client.get(_LIST, params=asked)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        asked["cursor"] = page["next_cursor"]
        # New ones come first in one, and where they are due in the other: behind where the reader is.
        await shop.order(
            last_updated_at=_NOW + timedelta(days=1), ship_by=_NOW - timedelta(days=1), status="UNSHIPPED"
        )

    assert len(seen) == len(set(seen))
    assert {str(order.id) for order in made} <= set(seen)


@pytest.mark.parametrize("path", [_LIST, _CHANGES])
@pytest.mark.parametrize("cursor", ["x", encode_cursor(None, UUID(int=7))])
async def test_a_cursor_that_is_none_of_ours_is_refused(client, path, cursor):
    answer = await client.get(path, params={"cursor": cursor})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_a_list_costs_one_statement_and_opens_nothing(app, client, shop):
    for _ in range(20):
        await shop.order()

    for path in (_LIST, _CHANGES):
        async with counted_statements(app) as sent:
            assert len((await client.get(path)).json()["items"]) == 20
        [statement] = [each for each in sent if "orders" in each and CALLER not in each]
        assert "orders.buyer" not in statement
        assert "orders.recipient" not in statement


async def test_what_no_index_serves_ends_in_time(shop, sessions):
    filters = OrderFilters(country="DE", program="PRIME")
    async with shop.sessions.begin() as blocking:
        # Whoever reads the table waits for this transaction, as for a long way along an index.
        await blocking.execute(text("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"))

        async with sessions.begin() as session:
            with pytest.raises(ListTooSlow):
                await list_orders(
                    session, shop.account.id, filters, OrderSort.NEWEST, limit=5, after=None, seconds=0.1
                )


async def _all_changes(client, cursor: str | None = None, limit: int = 3) -> tuple[list[str], str]:
    """What a receiver reads until there is no more for now, and where they go on."""
    seen: list[str] = []
    while True:
        page = (
            await client.get(_CHANGES, params={"limit": limit} | ({"cursor": cursor} if cursor else {}))
        ).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if not page["has_more"]:
            return seen, str(cursor)


async def _changed(shop, order: Order, at: datetime) -> None:
    async with shop.sessions.begin() as session:
        (await session.merge(order)).changed_at = at


async def test_the_feed_brings_all_orders_and_then_what_changes(client, shop):
    old = datetime.now(UTC) - timedelta(days=1)
    made = [await shop.order(changed_at=old + timedelta(seconds=number // 4)) for number in range(10)]

    seen, cursor = await _all_changes(client)
    assert sorted(seen) == sorted(str(order.id) for order in made)
    again, cursor = await _all_changes(client, cursor)
    assert again == []

    await _changed(shop, made[4], datetime.now(UTC))
    assert (await _all_changes(client, cursor))[0] == [str(made[4].id)]


async def test_what_is_committed_late_is_not_missed(client, shop):
    async with shop.sessions.begin() as session:
        late = await make_order(session, shop.keyring, shop.integration)
        # Meanwhile others are stored, and read.
        other = await shop.order()
        seen, cursor = await _all_changes(client)

    assert seen == [str(other.id)]
    assert late.changed_at < other.changed_at
    assert str(late.id) in (await _all_changes(client, cursor))[0]


async def test_a_receiver_who_reads_at_once_gets_the_newest_changes_and_gets_them_again(client, shop):
    made = [await shop.order() for _ in range(5)]

    seen, cursor = await _all_changes(client, limit=2)
    again, _ = await _all_changes(client, cursor, limit=100)

    # What is younger than half a minute may have others before it that are not there yet: the page ends where it is safe to go on.
    assert seen == [str(order.id) for order in made[:2]]
    assert again == [str(order.id) for order in made]


async def test_a_feed_without_orders_gives_a_cursor_with_which_the_first_one_is_read(client, shop):
    seen, cursor = await _all_changes(client)
    assert seen == []

    order = await shop.order(changed_at=datetime.now(UTC) - VISIBLE_WITHIN / 2)

    assert (await _all_changes(client, cursor))[0] == [str(order.id)]
