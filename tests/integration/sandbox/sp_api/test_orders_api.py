"""searchOrders and getOrder: Amazon's rules for parameters, pages, personal data and rates."""

from typing import Any

import pytest

from services.sandbox.settings import SandboxSettings
from services.sandbox.state.memory import Sandbox
from services.sandbox.state.order_making import new_order, place
from tests.integration.sandbox.conftest import CASA_VERDE, LAMPENLADEN, Seller, fixed_clock
from tests.integration.sandbox.ordering import DE, ORDERS, Application, application

# The sandbox's clock stands at 2026-11-02T08:15:01Z.
MONTHS_AGO = "2026-08-01T00:00:00Z"
ALL_DATA = "BUYER,RECIPIENT,PROCEEDS,FULFILLMENT,PACKAGES"


async def search(amazon: Application, **query: str) -> dict[str, Any]:
    answer = await amazon.get(ORDERS, **query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ids(answer: dict[str, Any]) -> list[str]:
    return [order["orderId"] for order in answer["orders"]]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"createdAfter": MONTHS_AGO, "lastUpdatedAfter": MONTHS_AGO},
        {"createdAfter": MONTHS_AGO, "lastUpdatedBefore": "2026-11-01T00:00:00Z"},
        {"lastUpdatedAfter": MONTHS_AGO, "createdBefore": "2026-11-01T00:00:00Z"},
        {"createdBefore": "2026-11-01T00:00:00Z"},
        {"createdAfter": MONTHS_AGO, "createdBefore": "2026-11-02T08:14:01Z"},
        {"createdAfter": "2026-11-01T00:00:00Z", "createdBefore": MONTHS_AGO},
        {"createdAfter": "2026-08-01T00:00:00"},
        {"createdAfter": "yesterday"},
        {"createdAfter": MONTHS_AGO, "maxResultsPerPage": "0"},
        {"createdAfter": MONTHS_AGO, "maxResultsPerPage": "101"},
        {"createdAfter": MONTHS_AGO, "maxResultsPerPage": "ten"},
        {"createdAfter": MONTHS_AGO, "fulfillmentStatuses": "UNSHIPPED,Shipped"},
        {"createdAfter": MONTHS_AGO, "fulfilledBy": "SELLER"},
        {"createdAfter": MONTHS_AGO, "includedData": "BUYER,EVERYTHING"},
        {"createdAfter": MONTHS_AGO, "marketplaceIds": "A1PA6795UKMFR8"},
        {"createdAfter": MONTHS_AGO, "marketplaceIds": ",".join([DE, *(f"A{n}" for n in range(50))])},
        {"createdAfter": MONTHS_AGO, "paginationToken": "nobody-gave-it"},
        {"CreatedAfter": MONTHS_AGO},
    ],
)
async def test_what_amazon_does_not_take_is_refused(seller: Seller, query: dict[str, str]) -> None:
    amazon = await application(seller)

    answer = await amazon.get(ORDERS, **query)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "InvalidInput")


async def test_lists_are_separated_by_commas_and_not_repeated(seller: Seller) -> None:
    amazon = await application(seller)
    wanted = [("createdAfter", MONTHS_AGO), ("fulfilledBy", "MERCHANT"), ("fulfilledBy", "AMAZON")]

    assert (await amazon.call("GET", ORDERS, params=wanted)).status_code == 400
    assert len(ids(await search(amazon, createdAfter=MONTHS_AGO, fulfilledBy="MERCHANT,AMAZON"))) == 9


async def test_marketplace_of_another_region_is_forbidden(seller: Seller) -> None:
    amazon = await application(seller)

    answer = await amazon.get(ORDERS, createdAfter=MONTHS_AGO, marketplaceIds="ATVPDKIKX0DER")

    assert answer.status_code == 403
    assert "not valid for region" in answer.json()["errors"][0]["message"]


async def test_filters_choose_and_other_sellers_orders_are_never_told(seller: Seller) -> None:
    amazon = await application(seller)
    [bought] = await amazon.buy(programs=["PRIME"], fulfilled_by="AMAZON")
    [others] = await amazon.buy(seller_id=CASA_VERDE, country="ES")
    await amazon.advance(121)

    by_amazon = await search(amazon, lastUpdatedAfter="2026-11-02T00:00:00Z", fulfilledBy="AMAZON")
    in_france = await search(amazon, createdAfter=MONTHS_AGO, marketplaceIds="A13V1IB3VIYZZH")
    shipped = await search(
        amazon, createdAfter=MONTHS_AGO, fulfillmentStatuses="SHIPPED", includedData="FULFILLMENT"
    )

    assert bought in ids(by_amazon)
    assert len(ids(in_france)) == 3
    assert {order["fulfillment"]["fulfillmentStatus"] for order in shipped["orders"]} == {"SHIPPED"}
    assert (await amazon.get(f"{ORDERS}/{others}")).status_code == 404


async def test_newest_orders_are_found_two_minutes_later_and_by_their_id_at_once(seller: Seller) -> None:
    amazon = await application(seller)
    [bought] = await amazon.buy()
    query = {"lastUpdatedAfter": "2026-11-02T08:00:00Z"}

    before = await search(amazon, **query)
    await amazon.advance(120)
    after = await search(amazon, **query)

    assert (ids(before), before["lastUpdatedBefore"]) == ([], "2026-11-02T08:13:01Z")
    assert (ids(after), after["lastUpdatedBefore"]) == ([bought], "2026-11-02T08:15:01Z")
    assert (await amazon.order(bought))["orderId"] == bought


async def test_pages_tell_each_order_that_stays_once_while_others_arrive_and_change(seller: Seller) -> None:
    amazon = await application(seller)
    old = await amazon.buy(count=7, created_at="2026-11-01T10:00:00Z")
    query = {"lastUpdatedAfter": "2026-11-01T10:00:00Z", "maxResultsPerPage": "3"}

    page = await search(amazon, **query)
    told = ids(page)
    changed = next(order_id for order_id in old if order_id not in told)
    await amazon.control("orders/ship", order_ids=[changed])
    late = await amazon.buy(count=2)
    await amazon.advance(300)
    while "pagination" in page:
        assert page["lastUpdatedBefore"] == "2026-11-02T08:13:01Z"
        page = await search(amazon, **query, paginationToken=page["pagination"]["nextToken"])
        told += ids(page)

    following = ids(await search(amazon, lastUpdatedAfter=page["lastUpdatedBefore"]))
    others = set(told) - set(old)
    assert len(told) == len(set(told))
    assert set(told) & set(old) == set(old) - {changed}
    assert sorted(following) == sorted([changed, *late])
    assert others.isdisjoint(following)


async def test_token_of_a_page_is_for_the_same_parameters_and_a_day(seller: Seller) -> None:
    amazon = await application(seller)
    query = {"createdAfter": MONTHS_AGO, "maxResultsPerPage": "2"}
    token = (await search(amazon, **query))["pagination"]["nextToken"]

    other = await amazon.get(
        ORDERS, **{**query, "createdAfter": "2026-08-02T00:00:00Z"}, paginationToken=token
    )
    more = await amazon.get(ORDERS, **query, fulfilledBy="MERCHANT", paginationToken=token)
    free = {"maxResultsPerPage": "4", "includedData": "BUYER", "createdAfter": MONTHS_AGO}
    allowed = await search(amazon, **free, paginationToken=token)
    await amazon.advance(86_400)
    amazon.token = (await seller.connect())["access_token"]
    late = await amazon.get(ORDERS, **query, paginationToken=token)

    assert [answer.status_code for answer in (other, more, late)] == [400, 400, 400]
    assert len(ids(allowed)) == 4
    assert "expired" in late.text


async def test_nothing_older_than_two_years_but_in_three_countries(seller: Seller) -> None:
    amazon = await application(seller)
    await amazon.buy(created_at="2024-10-01T00:00:00Z")
    [recent] = await amazon.buy(created_at="2024-12-01T00:00:00Z")

    found = await search(amazon, createdAfter="2020-01-01T00:00:00Z", createdBefore="2025-01-01T00:00:00Z")

    assert ids(found) == [recent]
    japan = {"seller_id": "A4HARBOURLITE2", "country": "JP", "created_at": "2016-05-01T00:00:00Z"}
    [oldest] = await amazon.buy(**japan)
    tokens = await seller.connect("A4HARBOURLITE2", "/sellercentral.amazon.co.jp")
    headers = {"createdAfter": "2016-01-01T00:00:00Z", "createdBefore": "2017-01-01T00:00:00Z"}
    answer = await amazon.call(
        "GET",
        ORDERS.replace("-eu", "-fe"),
        tokens["access_token"],
        params=headers,
    )
    assert ids(answer.json()) == [oldest]


async def test_personal_data_comes_with_the_role_and_the_data_set(seller: Seller) -> None:
    amazon = await application(seller)
    item = {"gift_message": "Alles Gute!", "customized_url": "https://custom.example/1"}
    [own] = await amazon.buy(items=[item])
    [of_amazon] = await amazon.buy(items=[item], fulfilled_by="AMAZON")
    words = (
        "Alles Gute!",
        "custom.example",
        "addressLine1",
        "postalCode",
        "buyerName",
        "buyerEmail",
        "phone",
    )

    async def told(order_id: str) -> set[str]:
        text = (await amazon.get(f"{ORDERS}/{order_id}", includedData=ALL_DATA)).text
        return {word for word in words if word in text}

    assert await told(own) == set()
    assert "Leipzig" in (await amazon.get(f"{ORDERS}/{own}", includedData=ALL_DATA)).text
    await amazon.control("roles", restricted=["direct_to_consumer_shipping"])
    assert await told(own) == set(words)
    assert await told(of_amazon) == {"Alles Gute!", "custom.example"}
    await amazon.control("roles", restricted=["tax_invoicing"])
    assert await told(of_amazon) == {"buyerName"}
    bare = (await amazon.get(f"{ORDERS}/{own}")).json()["order"]
    assert not bare.keys() & {"buyer", "recipient", "proceeds", "fulfillment", "packages", "payment", "tax"}


async def test_life_of_an_order(seller: Seller) -> None:
    amazon = await application(seller)
    [order_id] = await amazon.buy(items=[{"quantity": 2}, {"title": "Schirm", "unit_price": "19.90"}])
    whole = (await amazon.client.get(f"/control/orders/{order_id}")).json()
    first, second = (item["item_id"] for item in whole["items"])

    await amazon.advance(1800)
    await amazon.control("orders/request-cancellation", order_ids=[order_id])
    asked = await amazon.order(order_id)
    await amazon.control("orders/ship", order_ids=[order_id], items={first: 2}, carrier="DPD")
    partly = await amazon.order(order_id)
    await amazon.control("orders/ship", order_ids=[order_id], tracking_number="0034")
    await amazon.control("orders/deliver", order_ids=[order_id])
    there = await amazon.order(order_id)
    too_late = await amazon.client.post("/control/orders/cancel", json={"order_ids": [order_id]})

    assert asked["orderItems"][0]["cancellation"]["cancellationRequest"]["requester"] == "BUYER"
    assert asked["lastUpdatedTime"] == "2026-11-02T08:45:01Z"
    assert partly["fulfillment"]["fulfillmentStatus"] == "PARTIALLY_SHIPPED"
    assert [package["carrier"] for package in partly["packages"]] == ["DPD"]
    assert there["fulfillment"]["fulfillmentStatus"] == "SHIPPED"
    assert there["packages"][1]["trackingNumber"] == "0034"
    assert there["packages"][1]["packageItems"] == [{"orderItemId": second, "quantity": 1}]
    assert {package["packageStatus"]["status"] for package in there["packages"]} == {"DELIVERED"}
    assert too_late.status_code == 409


async def test_amounts_have_the_places_of_their_currency(seller: Seller) -> None:
    amazon = await application(seller)
    await amazon.buy(
        seller_id="A4HARBOURLITE2", country="JP", items=[{"unit_price": "1980", "shipping_price": "0"}]
    )
    [order_id] = await amazon.buy(items=[{"unit_price": "19.9", "quantity": 2, "discount": "5"}])
    [japanese] = (await amazon.client.get("/control/orders?seller_id=A4HARBOURLITE2&limit=1")).json()
    tokens = await seller.connect("A4HARBOURLITE2", "/sellercentral.amazon.co.jp")

    euros = (await amazon.get(f"{ORDERS}/{order_id}", includedData="PROCEEDS")).json()["order"]
    path = f"{ORDERS.replace('-eu', '-fe')}/{japanese['order_id']}?includedData=PROCEEDS"
    yen = (await amazon.call("GET", path, tokens["access_token"])).json()["order"]

    assert euros["proceeds"]["grandTotal"] == {"amount": "39.70", "currencyCode": "EUR"}
    assert yen["proceeds"]["grandTotal"] == {"amount": "1980", "currencyCode": "JPY"}


async def test_rate_is_the_sellers_and_the_operations_and_is_counted(seller: Seller) -> None:
    amazon = await application(seller)
    query = {"createdAfter": MONTHS_AGO}

    statuses = [(await amazon.get(ORDERS, **query)).status_code for _ in range(22)]
    tokens = await seller.connect(CASA_VERDE)
    other = await amazon.call("GET", ORDERS, tokens["access_token"], params=query)
    await amazon.advance(179)
    again = [(await amazon.get(ORDERS, **query)).status_code for _ in range(2)]

    counters = (await amazon.client.get("/control/counters")).json()
    calls = (await amazon.client.get(f"/control/calls?operation=searchOrders&seller_id={LAMPENLADEN}")).json()
    assert statuses == [200] * 20 + [429] * 2
    assert (other.status_code, again) == (200, [200, 429])
    assert counters["throttled"] == {f"searchOrders {LAMPENLADEN}": 3}
    assert counters["calls"][f"searchOrders {LAMPENLADEN}"] == 21
    assert [call["outcome"] for call in calls].count("throttled") == 3
    assert calls[-1]["at"] == "2026-11-02T08:18:00Z"


async def test_thousands_of_orders_are_spread_over_a_time(seller: Seller) -> None:
    amazon = await application(seller)
    made = await amazon.control("orders/many", seller_id=LAMPENLADEN, count=3_000, days=300)

    page = await search(amazon, createdAfter="2026-01-01T00:00:00Z", includedData="FULFILLMENT")

    assert made["created"] == 3_000
    assert len(page["orders"]) == 100
    assert {order["fulfillment"]["fulfillmentStatus"] for order in page["orders"]} == {"SHIPPED", "CANCELLED"}
    assert (await amazon.order(made["last"]))["orderId"] == made["last"]


async def test_strange_orders(seller: Seller) -> None:
    amazon = await application(seller)
    [order_id] = await amazon.buy()
    query = {"lastUpdatedAfter": "2026-11-02T08:15:00Z"}
    await amazon.advance(1800)
    await amazon.control("orders/ship", order_ids=[order_id])
    await amazon.advance(121)

    async def during(name: str, **limits: Any) -> dict[str, Any]:
        await amazon.control(f"scenarios/{name}", **limits)
        found = await search(amazon, **query, includedData="FULFILLMENT,PROCEEDS")
        await amazon.client.delete(f"/control/scenarios/{name}")
        return found

    assert ids(await during("orders-late")) == []
    assert ids(await during("orders-late", seconds=120)) == [order_id]
    [older] = (await during("orders-regress"))["orders"]
    assert (older["lastUpdatedTime"], older["fulfillment"]["fulfillmentStatus"]) == (
        "2026-11-02T08:15:01Z",
        "UNSHIPPED",
    )
    assert ids(await during("orders-vanish")) == []
    [long] = (await during("orders-of-500-items"))["orders"]
    assert len({item["orderItemId"] for item in long["orderItems"]}) == 500
    [negative] = (await during("orders-negative-amounts"))["orders"]
    assert negative["proceeds"]["grandTotal"]["amount"].startswith("-")
    assert "XQX" in str(await during("orders-unknown-currency"))
    assert "PIGEON" in str(await during("orders-unknown-status"))
    [naive] = (await during("orders-dates-without-zone"))["orders"]
    assert naive["createdTime"] == "2026-11-02T08:15:01"


async def test_order_of_which_nobody_knows_any_more(seller: Seller) -> None:
    amazon = await application(seller)
    [order_id] = await amazon.buy(searchable_in_seconds=1_800)
    query = {"lastUpdatedAfter": "2026-11-02T08:15:00Z"}

    await amazon.advance(600)
    hidden = ids(await search(amazon, **query))
    await amazon.advance(1_800)
    found = ids(await search(amazon, **query))
    await amazon.control("orders/vanish", order_ids=[order_id])

    assert (hidden, found, ids(await search(amazon, **query))) == ([], [order_id], [])
    assert (await amazon.get(f"{ORDERS}/{order_id}")).status_code == 404


async def test_forbidden_for_one_seller_and_expired_pages(seller: Seller) -> None:
    amazon = await application(seller)
    query = {"createdAfter": MONTHS_AGO, "maxResultsPerPage": "2"}
    token = (await search(amazon, **query))["pagination"]["nextToken"]
    await amazon.control("scenarios/orders-page-token-expired", count=1)
    expired = await amazon.get(ORDERS, **query, paginationToken=token)
    await amazon.control("scenarios/orders-forbidden", seller_id=LAMPENLADEN, operation="searchOrders")

    forbidden = await amazon.get(ORDERS, **query)

    assert (expired.status_code, forbidden.status_code) == (400, 403)
    assert forbidden.json()["errors"][0]["details"] == ""
    assert (await amazon.get(f"{ORDERS}/302-0000000-0000000")).status_code == 404


async def test_buyers_with_one_address_are_told_apart_by_the_threads_tag(seller: Seller) -> None:
    amazon = await application(seller)
    shared = {"buyer_local": "no-reply-amazon-iba-buyer", "company": "Lichtwerk", "count": 2}
    made = await amazon.control("orders", seller_id=LAMPENLADEN, country="DE", **shared)
    sandbox = Sandbox(SandboxSettings(), fixed_clock)
    lampenladen = sandbox.sellers[LAMPENLADEN]
    orders = [new_order(lampenladen, "DE", buyer_local="shared") for _ in range(2)]
    sandbox.add_orders(lampenladen, [place(LAMPENLADEN, order, fixed_clock()) for order in orders])

    for order in orders:
        found = sandbox.order_of_buyer(f"Shared+{order.thread_tag}@marketplace.amazon.de")
        assert found is not None
        assert found[1] == order
    assert sandbox.order_of_buyer("shared@marketplace.amazon.de") is not None
    assert {order["order"]["buyer_local"] for order in made} == {"no-reply-amazon-iba-buyer"}
