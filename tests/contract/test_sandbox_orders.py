"""The sandbox's side of orders and reports: what it answers fits Amazon's published models, errors and headers included."""

from datetime import timedelta

import httpx2
import pytest

from services.sandbox.sp_api.order_json import DATA_SETS
from services.sandbox.state.orders import FulfilledBy, Status
from services.sandbox.state.reports import ALL_ORDERS_TYPE, Delivery
from services.sandbox.state.roles import RestrictedRole
from tests.contract.conftest import Amazon
from tests.contract.models import PublishedOperation

Operations = dict[str, PublishedOperation]

LAMPENLADEN = "A1LAMPENLADEN7"
ALL_DATA = ",".join(sorted(DATA_SETS))


def check(operation: PublishedOperation, answer: httpx2.Response, status: int) -> httpx2.Response:
    assert answer.status_code == status, answer.text
    operation.assert_answer_fits(answer)
    return answer


def long_ago(amazon: Amazon) -> str:
    return (amazon.state.now() - timedelta(days=300)).isoformat()


@pytest.mark.parametrize(
    ("seller_id", "region", "roles"),
    [
        (LAMPENLADEN, "eu", frozenset()),
        (LAMPENLADEN, "eu", frozenset(RestrictedRole)),
        ("A3BRIGHTPORCH9", "na", frozenset(RestrictedRole)),
        ("A4HARBOURLITE2", "fe", frozenset()),
    ],
    ids=["eu", "eu_with_roles", "na_with_roles", "fe"],
)
async def test_orders_fit_amazons_model(
    operations: Operations,
    amazon: Amazon,
    seller_id: str,
    region: str,
    roles: frozenset[RestrictedRole],
) -> None:
    search, get = operations["searchOrders"], operations["getOrder"]
    token = await amazon.seller_token(seller_id)
    amazon.state.restricted_roles = roles
    [strange, *_] = amazon.state.orders.of_seller(seller_id)
    strange.company, strange.purchase_order, strange.replaces = "Lichtwerk", "PO 7", "302-0000000-0000001"
    strange.seller_order_id, strange.programs = "R-1", ("AMAZON_BUSINESS", "IN_STORE_PICK_UP")
    [item] = strange.items
    item.gift_message, item.gift_wrap, item.customized_url = "Alles Gute", "PREMIUM", "https://x.example/1"
    item.promotion_id, item.cancel_request = "SALE", "NO_LONGER_NEEDED"

    query = {"lastUpdatedAfter": long_ago(amazon), "includedData": ALL_DATA, "maxResultsPerPage": "5"}
    first = check(search, await amazon.call(search, token, region, query=query), 200).json()
    bare = check(search, await amazon.call(search, token, region, query={**query, "includedData": ""}), 400)
    query["paginationToken"] = first["pagination"]["nextToken"]
    second = check(search, await amazon.call(search, token, region, query=query), 200).json()

    told = first["orders"] + second["orders"]
    assert "errors" in bare.json()
    assert {order["orderId"] for order in told} == {
        placed.order_id for placed in amazon.state.orders.of_seller(seller_id)
    }
    for order in told:
        one = check(get, await amazon.call(get, token, region, orderId=order["orderId"]), 200).json()
        assert one["order"]["orderId"] == order["orderId"]
    [business] = [order for order in told if order["orderId"] == strange.order_id]
    assert ("buyerName" in business["buyer"]) == bool(roles)
    assert ("name" in business["recipient"]["deliveryAddress"]) == bool(roles)
    assert ("giftMessage" in str(business)) == bool(roles)


async def test_order_in_every_state_fits_amazons_model(operations: Operations, amazon: Amazon) -> None:
    token = await amazon.seller_token(LAMPENLADEN)
    [placed, *_] = amazon.state.orders.of_seller(LAMPENLADEN)
    placed.fulfilled_by = FulfilledBy.AMAZON
    get = operations["getOrder"]

    for status in Status:
        placed.status = status
        answer = await amazon.call(get, token, query={"includedData": ALL_DATA}, orderId=placed.order_id)
        told = check(get, answer, 200).json()["order"]
        assert told["fulfillment"]["fulfillmentStatus"] == status


async def test_refusals_of_orders_fit_amazons_model(operations: Operations, amazon: Amazon) -> None:
    search, get = operations["searchOrders"], operations["getOrder"]
    token = await amazon.seller_token(LAMPENLADEN)
    query = {"lastUpdatedAfter": long_ago(amazon)}

    check(search, await amazon.call(search, token), 400)
    check(search, await amazon.call(search, "Atza|wrong", query=query), 403)
    check(get, await amazon.call(get, token, orderId="302-0000000-0000000"), 404)
    amazon.state.scenarios.switch_on("orders-forbidden")
    check(search, await amazon.call(search, token, query=query), 403)
    many = [await amazon.call(search, token, query=query) for _ in range(21)]
    check(search, many[-1], 429)


async def test_reports_fit_amazons_model(operations: Operations, amazon: Amazon) -> None:
    token = await amazon.seller_token(LAMPENLADEN)
    amazon.state.reports.deliveries[None] = Delivery(5, 5, compressed=True)
    create, read, many = operations["createReport"], operations["getReport"], operations["getReports"]
    cancel, document = operations["cancelReport"], operations["getReportDocument"]
    wanted = {
        "reportType": ALL_ORDERS_TYPE,
        "marketplaceIds": ["A1PA6795UKMFR9"],
        "dataStartTime": long_ago(amazon),
    }

    async def report(report_id: str) -> dict[str, str]:
        answer: dict[str, str] = check(read, await amazon.call(read, token, reportId=report_id), 200).json()
        return answer

    first = check(create, await amazon.call(create, token, json=wanted), 202).json()["reportId"]
    second = check(create, await amazon.call(create, token, json=wanted), 202).json()["reportId"]
    check(create, await amazon.call(create, token, json={"reportType": "X"}), 400)
    check(create, await amazon.call(create, "Atza|wrong", json=wanted), 403)
    assert (await report(first))["processingStatus"] == "IN_QUEUE"
    check(cancel, await amazon.call(cancel, token, reportId=second), 200)
    assert (await report(second))["processingStatus"] == "CANCELLED"
    amazon.state.advance_clock(6)
    assert (await report(first))["processingStatus"] == "IN_PROGRESS"
    check(cancel, await amazon.call(cancel, token, reportId=first), 400)
    amazon.state.advance_clock(6)
    done = await report(first)
    assert done["processingStatus"] == "DONE"
    document_id = done["reportDocumentId"]
    check(document, await amazon.call(document, token, reportDocumentId=document_id), 200)
    check(document, await amazon.call(document, token, reportDocumentId="x"), 404)
    check(read, await amazon.call(read, token, reportId="1"), 404)
    check(many, await amazon.call(many, token), 400)
    query = {"reportTypes": ALL_ORDERS_TYPE, "pageSize": "1"}
    page = check(many, await amazon.call(many, token, query=query), 200).json()
    rest = {"nextToken": page["nextToken"]}
    check(many, await amazon.call(many, token, query={**query, **rest}), 400)
    last = check(many, await amazon.call(many, token, query=rest), 200).json()
    assert [r["reportId"] for r in page["reports"] + last["reports"]] == [second, first]
