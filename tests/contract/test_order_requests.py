"""The connector's side of orders, reports and notices: what it asks fits Amazon's published models, and their examples are understood."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from services.connector.amazon.access import Amazon as Access
from services.connector.amazon.access import create_amazon
from services.connector.amazon.client import SellerApi
from services.connector.amazon.errors import PageTokenRefused
from services.connector.amazon.notifications import NoticeKind, queue_destination, subscribe
from services.connector.amazon.orders import IncludedData, get_order, search_orders
from services.connector.amazon.reports import (
    ReportStatus,
    create_report,
    get_report,
    get_report_document,
    get_reports,
    open_document,
)
from services.connector.amazon.throttling import PUBLISHED
from services.sandbox.state.roles import RestrictedRole
from shared.errors import Expected
from shared.marketplaces import Region
from tests.contract.conftest import Amazon
from tests.contract.models import PublishedOperation
from tests.contract.test_client_requests import access, assert_is_published, sent_to_the_sp_api
from tests.integration.connector.connecting import answering, http_answer

__all__ = ["access"]

Operations = dict[str, PublishedOperation]
Ask = Callable[[SellerApi], Awaitable[object]]

LAMPENLADEN = "A1LAMPENLADEN7"
DE = "A1PA6795UKMFR9"
ALL_ORDERS = "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL"
SHIPPING = "GET_FLAT_FILE_ORDER_REPORT_DATA_SHIPPING"
SINCE = datetime.now(UTC) - timedelta(days=30)
QUEUE = "arn:aws:sqs:eu-west-1:123456789012:orders"


@pytest.fixture
async def api(amazon: Amazon, access: Access) -> SellerApi:
    token = SecretStr(await amazon.seller_token(LAMPENLADEN))
    return SellerApi(access.sp_api, Region.EU, LAMPENLADEN, token)


def test_our_limits_are_amazons(operations: Operations) -> None:
    assert {name: operations[name].rate_and_burst for name in PUBLISHED} == PUBLISHED


async def test_searching_orders_is_asked_as_published(
    operations: Operations, amazon: Amazon, api: SellerApi
) -> None:
    changed = await search_orders(
        api, last_updated_after=SINCE, marketplace_ids=[DE], included_data=list(IncludedData)
    )
    placed = await search_orders(
        api, created_after=SINCE, created_before=datetime.now(UTC) - timedelta(minutes=3)
    )

    for request in sent_to_the_sp_api(amazon):
        assert_is_published(request, operations)
    assert changed.last_updated_before is not None
    assert placed.created_before is not None
    assert changed.orders


async def test_the_next_page_is_asked_as_published_and_one_that_is_refused_is_known(
    operations: Operations, amazon: Amazon, api: SellerApi
) -> None:
    amazon.state.scenarios.switch_on("orders-page-token-expired")

    with pytest.raises(PageTokenRefused):
        await search_orders(api, last_updated_after=SINCE, page_token="a+b/c=")

    [request] = sent_to_the_sp_api(amazon)
    assert_is_published(request, operations)


async def test_one_order_is_asked_as_published(
    operations: Operations, amazon: Amazon, api: SellerApi
) -> None:
    order_id = amazon.state.sellers[LAMPENLADEN].orders[0].order_id

    order = await get_order(api, order_id, included_data=list(IncludedData))

    [request] = sent_to_the_sp_api(amazon)
    assert_is_published(request, operations)
    assert order["orderId"] == order_id


@pytest.mark.parametrize("report_type", [ALL_ORDERS, SHIPPING])
async def test_the_life_of_a_report_is_asked_as_published(
    operations: Operations, amazon: Amazon, api: SellerApi, report_type: str
) -> None:
    amazon.state.restricted_roles = frozenset(RestrictedRole)
    report_id = await create_report(
        api, report_type, marketplace_ids=[DE], data_from=SINCE, options={"ShowSalesChannel": "true"}
    )
    amazon.state.advance_clock(60)
    report = await get_report(api, report_id)
    listed = await get_reports(
        api, [report_type], created_since=SINCE, marketplace_ids=[DE], statuses=list(ReportStatus)
    )
    assert report.document_id is not None
    document = await get_report_document(api, report.document_id, is_restricted=report_type == SHIPPING)
    async with open_document(api, document, most_bytes=10_000_000, seconds=30) as opened:
        content = b"".join([chunk async for chunk in opened.chunks()])

    for request in sent_to_the_sp_api(amazon):
        assert_is_published(request, operations)
    assert (report.status, [each.report_id for each in listed]) == (ReportStatus.DONE, [report_id])
    assert content
    assert opened.content_type is not None


async def test_subscriptions_are_asked_for_as_published(
    operations: Operations, amazon: Amazon, access: Access, api: SellerApi
) -> None:
    async def ask() -> tuple[str, set[str]]:
        destination_id = await queue_destination(access, Region.EU, "replyco", QUEUE)
        told = [await subscribe(api, kind, destination_id) for kind in NoticeKind]
        return destination_id, {each.destination_id for each in told}

    first = await ask()
    amazon.state.advance_clock(60)
    second = await ask()

    for request in sent_to_the_sp_api(amazon):
        assert_is_published(request, operations)
    assert first == second == (first[0], {first[0]})


@pytest.fixture
async def answered() -> AsyncIterator[Callable[[int, object], SellerApi]]:
    """What Amazon's model has as an example, said by a server."""
    said: list[bytes] = []

    async def answer(_request: bytes) -> bytes:
        return said[-1]

    async with answering(answer) as address:
        ours = create_amazon("id", SecretStr("secret"), amazon_base_url=address)

        def say(status: int, body: object) -> SellerApi:
            said.append(http_answer(status, json.dumps(body)))
            return SellerApi(ours.sp_api, Region.NA, "A3BRIGHTPORCH9", SecretStr("Atza|a"))

        yield say
        await ours.close()


async def test_amazons_own_examples_of_orders_are_understood(
    operations: Operations, answered: Callable[[int, object], SellerApi]
) -> None:
    for example in operations["searchOrders"].examples(200):
        page = await search_orders(answered(200, example), created_after=SINCE)
        assert page.orders == example["orders"]
        assert page.next_token == example.get("pagination", {}).get("nextToken")
    for example in operations["getOrder"].examples(200):
        order = await get_order(answered(200, example), "303-1234567-1234567")
        assert order == example["order"]


async def test_amazons_own_examples_of_reports_are_understood(
    operations: Operations, answered: Callable[[int, object], SellerApi]
) -> None:
    [created] = operations["createReport"].examples(202)
    [one] = operations["getReport"].examples(200)
    [document] = operations["getReportDocument"].examples(200)
    lists = operations["getReports"].examples(200)

    report_id = await create_report(answered(202, created), ALL_ORDERS, marketplace_ids=[DE])
    report = await get_report(answered(200, one), report_id)
    found = await get_report_document(answered(200, document), "x", is_restricted=False)
    listed = [await get_reports(answered(200, each), [ALL_ORDERS], created_since=SINCE) for each in lists]

    assert (report_id, report.report_id) == (created["reportId"], one["reportId"])
    assert found.url.get_secret_value() == document["url"]
    assert [len(each) for each in listed] == [len(each["reports"]) for each in lists]


@pytest.mark.parametrize(
    ("operation", "ask"),
    [
        ("searchOrders", lambda api: search_orders(api, created_after=SINCE)),
        ("getOrder", lambda api: get_order(api, "303-1234567-1234567")),
        ("createReport", lambda api: create_report(api, ALL_ORDERS, marketplace_ids=[DE])),
        ("getReport", lambda api: get_report(api, "ID323")),
        ("getReports", lambda api: get_reports(api, [ALL_ORDERS], created_since=SINCE)),
        ("getReportDocument", lambda api: get_report_document(api, "x", is_restricted=False)),
    ],
)
async def test_no_published_error_is_taken_for_an_answer(
    operations: Operations, answered: Callable[[int, object], SellerApi], operation: str, ask: Ask
) -> None:
    published = {int(status) for status in operations[operation].body["responses"]}

    for status in sorted(published - {200, 202, 500, 503}):
        with pytest.raises(Expected) as raised:
            await ask(answered(status, {"errors": [{"code": "Some", "message": "words of Amazon"}]}))
        assert "words" not in f"{raised.value} {raised.value.fields}"
