"""Orders over REST: what one shows, what becomes of personal data, and who may see it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from services.connector.orders import personal
from services.connector.orders.model import Address
from shared.marketplaces import BY_COUNTRY
from shared.tables import Account
from tests.factories import keys_within, make_order_item, make_order_package
from tests.integration.connector.inbox.conftest import CALLER, counted_statements

_PURCHASED = datetime(2026, 11, 23, 8, 12, 9, tzinfo=UTC)


async def test_an_order_is_shown_whole(client, shop):
    order = await shop.order(
        order_id="303-1234567-1234567",
        purchased_at=_PURCHASED,
        ship_by=_PURCHASED + timedelta(days=1),
        deliver_by=_PURCHASED + timedelta(days=400),
        status="PARTIALLY_SHIPPED",
        programs=["PRIME"],
        is_prime=True,
        total=Decimal("49.9"),
        paid_amount=Decimal("49.9000"),
        discount_amount=Decimal(-5),
        item_count=2,
        quantity=3,
        problems=["fulfillment.shipByWindow"],
        reported_at=_PURCHASED,
    )
    async with shop.sessions.begin() as session:
        row = await session.merge(order)
        keys = await keys_within(session, shop.keyring, shop.account.id)
        row.recipient = personal.seal_recipient(
            keys, order.id, Address(name="Erika Beispiel", lines=("Musterweg 1",), city="Beispielstadt")
        )
        second = await make_order_item(
            session,
            shop.keyring,
            order,
            position=1,
            item_id="2",
            title="Glühbirne",
            quantity=2,
            unit_price=Decimal("2.5"),
            gift_message="Alles Gute!",
            report_columns={"ship-service-name": "DHL Paket"},
            report_personal={"some-new-column": "Erikas Wunsch"},
        )
        await make_order_item(session, shop.keyring, order, position=0, item_id="1")
        await make_order_package(session, order, contents={"1": "1"}, shipped_at=_PURCHASED)

    answer = await client.get(f"/api/v1/orders/{order.id}")

    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert shown["integration"] == {"id": str(shop.integration.id), "name": "Amazon Europa"}
    assert shown["total"] == {"amount": "49.90", "currency": "EUR"}
    assert (shown["paid_amount"], shown["amounts"]["discount"]) == ("49.90", "-5.00")
    assert [(item["item_id"], item["title"], item["gift_message"]) for item in shown["items"]] == [
        ("1", "Schreibtischlampe", None),
        (second.item_id, "Glühbirne", "Alles Gute!"),
    ]
    assert shown["report_columns"] == [
        {
            "item_id": "2",
            "columns": {"ship-service-name": "DHL Paket", "some-new-column": "Erikas Wunsch"},
        }
    ]
    assert shown["packages"][0]["contents"] == [{"item_id": "1", "quantity": 1}]
    assert [(step["step"], step["state"]) for step in shown["timeline"]] == [
        ("purchased", "done"),
        ("confirmed", "done"),
        ("paid", "done"),
        ("shipped", "partly"),
        ("delivered", "open"),
    ]
    assert (shown["personal_data"], shown["buyer"]["name"]) == ("present", "Erika Beispiel")
    assert shown["recipient"]["lines"] == ["Musterweg 1"]
    assert (shown["is_incomplete"], shown["unreadable"]) == (True, ["fulfillment.shipByWindow"])
    assert (
        shown["seller_central_url"]
        == f"https://{BY_COUNTRY['DE'].seller_central_host}/orders-v3/order/303-1234567-1234567"
    )
    assert shown["problem"] is None


@pytest.mark.parametrize(
    ("placed_days_ago", "longer_kept_days", "told"),
    [
        (3, None, "not_available"),
        (59, None, "not_available"),
        (61, None, "ended"),
        (61, 30, "not_available"),
        (91, 30, "ended"),
    ],
)
async def test_without_personal_data_an_order_says_why(
    *, client, shop, placed_days_ago, longer_kept_days, told
):
    await _keep_longer(shop, longer_kept_days)
    placed = datetime.now(UTC) - timedelta(days=placed_days_ago)
    order = await shop.order(buyer=None, personal_ends_at=None, purchased_at=placed, last_updated_at=placed)

    shown = (await client.get(f"/api/v1/orders/{order.id}")).json()

    assert (shown["personal_data"], shown["buyer"], shown["recipient"]) == (told, None, None)
    assert shown["personal_data_end_at"] is None


async def _keep_longer(shop, days: int | None) -> None:
    async with shop.sessions.begin() as session:
        account = await session.get_one(Account, shop.account.id)
        account.longer_kept_days, account.longer_kept_reason = days, None if days is None else "§ 147 AO"


@pytest.mark.parametrize("longer_kept_days", [None, 30])
async def test_an_order_says_until_when_its_personal_data_are_kept(client, shop, longer_kept_days):
    await _keep_longer(shop, longer_kept_days)
    order = await shop.order()

    shown = (await client.get(f"/api/v1/orders/{order.id}")).json()

    end = datetime.fromisoformat(shown["personal_data_end_at"])
    assert end == order.personal_ends_at + timedelta(days=longer_kept_days or 0)


async def test_what_does_not_open_is_left_out_and_the_order_is_shown(client, shop):
    order, other = await shop.order(), await shop.order()
    async with shop.sessions.begin() as session:
        (await session.merge(order)).buyer = other.buyer

    shown = (await client.get(f"/api/v1/orders/{order.id}")).json()

    assert (shown["buyer"], shown["problem"]) == (None, "seal_broken")
    assert shown["order_id"] == order.order_id


@pytest.mark.parametrize("country", ["DE", "US", "JP", None])
async def test_the_link_leads_into_the_seller_central_of_the_marketplace(client, shop, country):
    order = await shop.order(country=country)

    shown = (await client.get(f"/api/v1/orders/{order.id}")).json()

    host = BY_COUNTRY[country or shop.integration.home_country].seller_central_host
    assert shown["seller_central_url"] == f"https://{host}/orders-v3/order/{order.order_id}"


async def test_an_order_that_has_not_changed_is_not_sent_again(client, shop):
    order = await shop.order()
    path = f"/api/v1/orders/{order.id}"
    tag = (await client.get(path)).headers["etag"]

    again = await client.get(path, headers={"If-None-Match": tag})

    assert again.status_code == 304


async def test_another_accounts_order_does_not_exist(client, shop, foreign_shop):
    foreign = await foreign_shop.order()

    for order_id in (foreign.id, uuid4()):
        answer = await client.get(f"/api/v1/orders/{order_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    found = await client.post("/api/v1/orders/search", json={"order_id": foreign.order_id})
    assert found.json() == {"items": []}


async def test_an_order_is_found_by_amazons_number_in_each_store_that_has_it(client, shop, account):
    order = await shop.order()

    found = await client.post("/api/v1/orders/search", json={"order_id": order.order_id})
    other = await client.post("/api/v1/orders/search", json={"order_id": "303-0000000-0000000"})

    assert [item["id"] for item in found.json()["items"]] == [str(order.id)]
    assert other.json() == {"items": []}


@pytest.mark.parametrize("wrong", ["303", "303-1234567-12345678", "' OR 1=1", ""])
async def test_what_is_no_number_of_amazons_is_a_mistake_of_the_request(client, wrong):
    answer = await client.post("/api/v1/orders/search", json={"order_id": wrong})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_an_order_of_many_items_costs_as_many_statements_as_one_of_few(app, client, shop):
    counts = set()
    for items in (1, 50):
        order = await shop.order()
        async with shop.sessions.begin() as session:
            for position in range(items):
                await make_order_item(session, shop.keyring, order, position=position)
                await make_order_package(session, order, reference=str(position))
        async with counted_statements(app) as sent:
            shown = (await client.get(f"/api/v1/orders/{order.id}")).json()
        assert len(shown["items"]) == len(shown["packages"]) == items
        counts.add(len([each for each in sent if "order" in each and CALLER not in each]))

    assert counts == {3}
