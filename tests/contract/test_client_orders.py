"""The connector's side of orders and reports: what it asks fits Amazon's published models, and it understands what they tell."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from services.connector.amazon.access import Amazon as Access
from services.connector.amazon.access import create_amazon
from services.connector.amazon.client import SellerApi
from services.connector.amazon.orders import IncludedData, get_order, search_orders
from services.connector.amazon.reports import (
    ReportStatus,
    create_report,
    get_report,
    get_report_document,
    get_reports,
    open_document,
)
from services.connector.orders.reading import INCLUDED_DATA, read_order
from services.sandbox.state.reports import ALL_ORDERS_TYPE, ORDER_REPORT_TYPE, Delivery
from services.sandbox.state.roles import RestrictedRole
from shared.marketplaces import BY_COUNTRY, Region
from tests.contract.conftest import Amazon
from tests.contract.models import PublishedOperation
from tests.contract.test_client_requests import assert_is_published, sent_to_the_sp_api

Operations = dict[str, PublishedOperation]

LAMPENLADEN = "A1LAMPENLADEN7"
GERMANY = BY_COUNTRY["DE"].marketplace_id


@pytest.fixture
async def access(amazon: Amazon) -> AsyncIterator[Access]:
    settings = amazon.state.settings
    made = create_amazon(settings.client_id, settings.client_secret, amazon_base_url=amazon.url)
    yield made
    await made.close()


@pytest.fixture
async def api(amazon: Amazon, access: Access) -> SellerApi:
    token = SecretStr(await amazon.seller_token(LAMPENLADEN))
    return SellerApi(access.sp_api, Region.EU, LAMPENLADEN, token)


def assert_all_are_published(amazon: Amazon, operations: Operations, count: int) -> None:
    requests = sent_to_the_sp_api(amazon)
    assert len(requests) == count
    for request in requests:
        assert_is_published(request, operations)


async def test_orders_are_asked_for_as_published(
    operations: Operations, amazon: Amazon, api: SellerApi
) -> None:
    included = tuple(IncludedData(name) for name in INCLUDED_DATA)
    now = amazon.state.now()
    search: dict[str, Any] = {
        "last_updated_after": now - timedelta(days=300),
        "last_updated_before": now - timedelta(minutes=5),
        "marketplace_ids": (GERMANY, BY_COUNTRY["FR"].marketplace_id),
        "included_data": included,
    }
    seller = amazon.state.sellers[LAMPENLADEN]
    await amazon.http.post("/control/orders/many", json={"seller_id": LAMPENLADEN, "count": 240, "days": 200})

    first = await search_orders(api, **search)
    second = await search_orders(api, **search, page_token=first.next_token)
    created = await search_orders(api, created_after=now - timedelta(days=300), included_data=included)
    one = await get_order(api, seller.orders[0].order_id, included_data=included)

    assert_all_are_published(amazon, operations, 4)
    assert (len(first.orders), second.next_token) == (100, None)
    assert first.last_updated_before == second.last_updated_before
    assert created.created_before is not None
    for told in (*first.orders, *second.orders, one):
        assert read_order(told, seen_at=now).problems == ()


@pytest.mark.parametrize("operation", ["searchOrders", "getOrder"])
def test_orders_that_amazon_publishes_as_examples_are_read_without_a_problem(
    operations: Operations, operation: str
) -> None:
    answers = operations[operation].examples(200)
    orders = [order for answer in answers for order in answer.get("orders", [answer.get("order")])]

    assert orders
    for order in orders:
        read = read_order(order, seen_at=datetime.now(UTC))
        assert read.order_id == order["orderId"]
        assert len(read.items) == len(order["orderItems"])
        assert read.problems == ()


async def test_reports_are_asked_for_as_published(
    operations: Operations, amazon: Amazon, api: SellerApi
) -> None:
    amazon.state.restricted_roles = frozenset(RestrictedRole)
    amazon.state.reports.deliveries[None] = Delivery(0, 0, compressed=True)
    now = amazon.state.now()
    asked: dict[str, Any] = {"marketplace_ids": [GERMANY], "data_from": now - timedelta(days=200)}

    plain = await create_report(api, ALL_ORDERS_TYPE, **asked, data_to=now)
    restricted = await create_report(api, ORDER_REPORT_TYPE, **asked, options={"ShowSalesChannel": "true"})
    found = await get_reports(
        api,
        [ALL_ORDERS_TYPE, ORDER_REPORT_TYPE],
        created_since=now - timedelta(hours=1),
        marketplace_ids=[GERMANY],
        statuses=[ReportStatus.DONE],
    )
    contents = []
    for report_id, is_restricted in ((plain, False), (restricted, True)):
        report = await get_report(api, report_id)
        assert report.document_id is not None
        document = await get_report_document(api, report.document_id, is_restricted=is_restricted)
        async with open_document(api, document, most_bytes=1_000_000, seconds=10) as opened:
            assert (opened.content_type, opened.is_gzip) == ("text/plain; charset=Cp1252", True)
            contents.append(b"".join([chunk async for chunk in opened.chunks()]))

    assert_all_are_published(amazon, operations, 8)
    assert {report.report_id for report in found} == {plain, restricted}
    assert all(contents)
