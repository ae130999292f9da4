"""Buy something, and what the seller does with it in Seller Central."""

import re

import pytest

from tests.integration.sandbox.conftest import EUROPE, LAMPENLADEN, Seller
from tests.integration.sandbox.ordering import application

STORE = {"seller_id": LAMPENLADEN, "country": "DE"}


async def buy(seller: Seller, **fields: str) -> str:
    """The id of the order that the page tells."""
    bought = {**STORE, "product": "Stehlampe Nussbaum, dimmbar", "quantity": "2", **fields}
    answer = await seller.client.post("/buyer/orders", data=bought)
    assert answer.status_code == 303
    shown = (await seller.client.get(answer.headers["location"])).text
    found = re.search(r'id="bought" role="status" data-order-id="([0-9-]+)"', shown)
    assert found is not None
    assert f'value="{found[1]}" selected' in shown
    return found[1]


async def test_what_was_bought_is_an_order_at_once(seller: Seller) -> None:
    amazon = await application(seller)

    order_id = await buy(seller)

    order = await amazon.order(order_id)
    [item] = order["orderItems"]
    assert (item["product"]["title"], item["quantityOrdered"]) == ("Stehlampe Nussbaum, dimmbar", 2)
    assert order["fulfillment"]["fulfillmentStatus"] == "UNSHIPPED"


@pytest.mark.parametrize(
    ("kind", "programs", "by"),
    [
        ("prime", ["PRIME"], "MERCHANT"),
        ("amazon", ["PRIME"], "AMAZON"),
        ("gift", [], "MERCHANT"),
        ("business", ["AMAZON_BUSINESS"], "MERCHANT"),
        ("pick_up", ["IN_STORE_PICK_UP"], "MERCHANT"),
    ],
)
async def test_kinds_of_orders(seller: Seller, kind: str, programs: list[str], by: str) -> None:
    amazon = await application(seller)

    order = await amazon.order(await buy(seller, kind=kind))

    assert (order["programs"], order["fulfillment"]["fulfilledBy"]) == (programs, by)
    assert ("packing" in order["orderItems"][0]["fulfillment"]) == (kind == "gift")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"product": "Something else"}, 422),
        ({"quantity": "0"}, 422),
        ({"quantity": "21"}, 422),
        ({"quantity": "two"}, 422),
        ({"kind": "stolen"}, 422),
        ({"country": "ES"}, 404),
        ({"seller_id": "A0"}, 404),
    ],
)
async def test_what_nobody_sells_cannot_be_bought(
    seller: Seller, fields: dict[str, str], status: int
) -> None:
    bought = {**STORE, "product": "Stehlampe Nussbaum, dimmbar", "quantity": "2", **fields}

    assert (await seller.client.post("/buyer/orders", data=bought)).status_code == status


async def test_seller_ships_and_the_carrier_delivers(seller: Seller) -> None:
    amazon = await application(seller)
    order_id = await buy(seller)
    path = f"{EUROPE}/orders-v3/order/{order_id}"
    cancelled = await seller.client.post("/buyer/orders/cancellation", data={**STORE, "order_id": order_id})
    asked = (await seller.client.get(path)).text

    shipment = {"action": "ship", "carrier": "DPD", "tracking_number": "<0815>"}
    shipped = await seller.client.post(path, data=shipment)
    page = (await seller.client.get(shipped.headers["location"])).text
    again = await seller.client.post(path, data=shipment)
    cancel = await seller.client.post(path, data={"action": "cancel"})
    delivered = await seller.client.post(path, data={"action": "deliver"})
    late = await seller.client.post("/buyer/orders/cancellation", data={**STORE, "order_id": order_id})

    assert ("done=cancelled" in cancelled.headers["location"], 'id="asked"' in asked) == (True, True)
    assert 'data-status="SHIPPED"' in page
    assert "DPD <code>&lt;0815&gt;</code>" in page
    assert [a.status_code for a in (shipped, again, cancel, delivered)] == [303, 409, 409, 303]
    assert "done=too_late" in late.headers["location"]
    [package] = (await amazon.order(order_id))["packages"]
    assert (package["trackingNumber"], package["packageStatus"]["status"]) == ("<0815>", "DELIVERED")


async def test_orders_of_a_country_are_listed_the_newest_first_and_can_be_cancelled(seller: Seller) -> None:
    amazon = await application(seller)
    order_id = await buy(seller)
    listed = (await seller.client.get(f"{EUROPE}/orders-v3?country=DE")).text
    links = re.findall(r"/orders-v3/order/([0-9-]+)", listed)
    path = f"{EUROPE}/orders-v3/order/{order_id}"

    await seller.client.post(path, data={"action": "cancel"})

    assert links[0] == order_id
    assert len(links) == 10
    assert (await amazon.order(order_id))["fulfillment"]["fulfillmentStatus"] == "CANCELLED"
    assert 'id="cancel"' not in (await seller.client.get(path)).text
    assert (await seller.client.post(path, data={"action": "eat"})).status_code == 422


async def test_another_sellers_order_is_not_shown(seller: Seller) -> None:
    amazon = await application(seller)
    [others] = await amazon.buy(seller_id="A2CASAVERDE34K", country="ES")

    assert (await seller.client.get(f"{EUROPE}/orders-v3/order/{others}")).status_code == 404
    assert (await seller.client.get(f"{EUROPE}/orders-v3/order/302-0000000-0000000")).status_code == 404


async def test_writing_about_what_was_just_bought_finds_the_order(seller: Seller) -> None:
    order_id = await buy(seller)

    thread = await seller.client.get(f"/buyer/thread?order_id={order_id}")

    assert thread.status_code == 200
