"""What is asked of the Orders API, and what each of its answers comes to."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from services.connector.amazon.access import create_amazon
from services.connector.amazon.client import Bounds, SellerApi
from services.connector.amazon.errors import (
    AmazonUnavailable,
    AnswerTooLarge,
    ClientMisconfigured,
    OrderUnknown,
    PageTokenRefused,
    RoleMissing,
)
from services.connector.amazon.orders import IncludedData, get_order, search_orders
from shared.marketplaces import Region
from shared.orders import is_order_id
from tests.integration.connector.connecting import answering, http_answer

SINCE = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
ORDER_ID = "303-1234567-1234567"
INVALID = '{"errors": [{"code": "InvalidInput", "message": "Invalid Input"}]}'
EMPTY = '{"orders": []}'


class Server:
    """Answers each request with what `answer` says, and keeps its target."""

    def __init__(self, answer: Callable[[dict[str, str]], bytes]) -> None:
        self._answer = answer
        self.targets: list[str] = []

    async def __call__(self, request: bytes) -> bytes:
        self.targets.append(request.split(b" ", 2)[1].decode())
        return self._answer(self.questions[-1])

    @property
    def questions(self) -> list[dict[str, str]]:
        return [
            {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
            for target in self.targets
        ]


def always(status: int, body: str) -> Server:
    return Server(lambda _question: http_answer(status, body))


@asynccontextmanager
async def seller_of(server: Callable[[bytes], Awaitable[bytes | None]]) -> AsyncIterator[SellerApi]:
    async with answering(server) as address:
        amazon = create_amazon("client", SecretStr("secret"), amazon_base_url=address)
        yield SellerApi(amazon.sp_api, Region.EU, "A1LAMPENLADEN7", SecretStr("Atza|a"))
        await amazon.close()


async def test_a_search_asks_in_utc_with_sorted_lists_and_an_encoded_token():
    server = always(200, EMPTY)
    berlin = timezone(timedelta(hours=1))

    async with seller_of(server) as api:
        await search_orders(
            api,
            last_updated_after=datetime(2026, 11, 20, 9, 30, 0, 123_456, berlin),
            last_updated_before=SINCE + timedelta(days=1),
            included_data=[IncludedData.PROCEEDS, IncludedData.BUYER, IncludedData.BUYER],
            marketplace_ids=["A1PA6795UKMFR9", "A13V1IB3VIYZZH"],
            page_token="a+b/c=&lastUpdatedAfter=x#é",
        )

    [target] = server.targets
    assert target.startswith("/sellingpartnerapi-eu.amazon.com/orders/2026-01-01/orders?")
    assert server.questions == [
        {
            "lastUpdatedAfter": "2026-11-20T08:30:00.123Z",
            "lastUpdatedBefore": "2026-11-21T08:30:00Z",
            "includedData": "BUYER,PROCEEDS",
            "marketplaceIds": "A13V1IB3VIYZZH,A1PA6795UKMFR9",
            "paginationToken": "a+b/c=&lastUpdatedAfter=x#é",
            "maxResultsPerPage": "100",
        }
    ]


async def test_a_page_says_its_orders_the_next_token_and_how_far_amazon_looked():
    answer = {
        "orders": [{"orderId": ORDER_ID}, "no order", {"orderId": "unread"}],
        "pagination": {"nextToken": "more"},
        "lastUpdatedBefore": "2026-11-21T09:30:00+01:00",
        "createdBefore": "some day",
    }

    async with seller_of(always(200, json.dumps(answer))) as api:
        page = await search_orders(api, last_updated_after=SINCE)

    assert page.orders == [{"orderId": ORDER_ID}, {"orderId": "unread"}]
    assert page.next_token == "more"
    assert page.last_updated_before == datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
    assert page.created_before is None


async def test_a_time_without_a_zone_is_utc():
    async with seller_of(always(200, '{"orders": [], "createdBefore": "2026-11-21T09:30:00"}')) as api:
        page = await search_orders(api, created_after=SINCE)

    assert page.created_before == datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"orders": {}}',
        '{"orders": null}',
        '{"orders": [], "pagination": "x"}',
        '{"orders": [], "pagination": {"nextToken": 7}}',
        r'{"orders": [], "pagination": {"nextToken": "a\u0000b"}}',
        r'{"orders": [], "pagination": {"nextToken": "\ud800"}}',
        '{"orders": [], "pagination": {"nextToken": "' + "x" * 9_000 + '"}}',
    ],
)
async def test_an_answer_of_another_form_is_not_an_empty_page(body: str):
    async with seller_of(always(200, body)) as api:
        with pytest.raises(AmazonUnavailable):
            await search_orders(api, last_updated_after=SINCE)


async def test_a_page_that_is_too_long_is_asked_for_with_fewer_orders():
    def answer(question: dict[str, str]) -> bytes:
        orders = [{"orderId": f"{ORDER_ID[:-3]}{n:03}", "x": "x" * 1_000} for n in range(100)]
        return http_answer(200, json.dumps({"orders": orders[: int(question["maxResultsPerPage"])]}))

    server = Server(answer)
    async with seller_of(server) as api:
        page = await search_orders(
            api,
            last_updated_after=SINCE,
            page_token="token",
            bounds=Bounds(most_bytes=30_000, seconds=10),
        )

    assert len(page.orders) == 25
    first, second = server.questions
    assert (first.pop("maxResultsPerPage"), second.pop("maxResultsPerPage")) == ("100", "25")
    assert first == second


async def test_an_order_that_is_too_long_by_itself_is_asked_for_once_and_said_to_be():
    server = always(200, json.dumps({"orders": [{"x": "x" * 50_000}]}))
    bounds = Bounds(most_bytes=10_000, seconds=10)

    async with seller_of(server) as api:
        with pytest.raises(AnswerTooLarge):
            await search_orders(api, last_updated_after=SINCE, bounds=bounds)
        with pytest.raises(AnswerTooLarge):
            await get_order(api, ORDER_ID, bounds=bounds)

    assert [question.get("maxResultsPerPage") for question in server.questions] == [
        "100",
        "25",
        "6",
        "1",
        None,
    ]


async def test_a_hundred_orders_of_many_items_fit_into_the_usual_bounds():
    item = {"orderItemId": "1" * 14, "product": {"title": "t" * 300}, "proceeds": {"x": "y" * 700}}
    orders = [{"orderId": ORDER_ID, "orderItems": [item] * 100}] * 100

    async with seller_of(always(200, json.dumps({"orders": orders}))) as api:
        page = await search_orders(api, last_updated_after=SINCE)

    assert len(page.orders) == 100


@pytest.mark.parametrize(
    ("status", "token", "failure"),
    [
        (400, "old", PageTokenRefused),
        (400, None, ClientMisconfigured),
        (403, "old", RoleMissing),
        (404, "old", ClientMisconfigured),
        (500, "old", AmazonUnavailable),
    ],
)
async def test_a_token_that_amazon_no_longer_takes_is_an_answer_of_its_own(
    status: int, token: str | None, failure: type[Exception]
):
    async with seller_of(always(status, INVALID)) as api:
        with pytest.raises(failure) as raised:
            await search_orders(api, last_updated_after=SINCE, page_token=token)

    assert type(raised.value) is failure


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (404, INVALID, OrderUnknown),
        (400, INVALID, ClientMisconfigured),
        (404, "<html>", AmazonUnavailable),
        (200, '{"order": []}', AmazonUnavailable),
        (200, '{"orders": []}', AmazonUnavailable),
    ],
)
async def test_an_order_that_amazon_does_not_know_is_an_answer_of_its_own(
    status: int, body: str, failure: type[Exception]
):
    async with seller_of(always(status, body)) as api:
        with pytest.raises(failure) as raised:
            await get_order(api, ORDER_ID)

    assert type(raised.value) is failure


async def test_one_order_is_asked_for_by_its_number():
    server = always(200, json.dumps({"order": {"orderId": ORDER_ID, "orderItems": "what it holds"}}))

    async with seller_of(server) as api:
        order = await get_order(api, ORDER_ID, included_data=[IncludedData.FULFILLMENT])

    assert order == {"orderId": ORDER_ID, "orderItems": "what it holds"}
    assert server.targets == [
        f"/sellingpartnerapi-eu.amazon.com/orders/2026-01-01/orders/{ORDER_ID}?includedData=FULFILLMENT"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "303-1234567-123456",
        "303-1234567-12345678",
        "../../tokens",
        "303-1234567-1234567\n",
        "303-1234567-1234567?x=y",
        "\uff1303-1234567-1234567",
    ],
)
async def test_nothing_but_an_order_number_gets_into_an_address(text: str):
    server = always(200, EMPTY)

    assert not is_order_id(text)
    async with seller_of(server) as api:
        with pytest.raises(ValueError, match="no order number"):
            await get_order(api, text)

    assert server.targets == []


@pytest.mark.parametrize("text", ["303-1234567-1234567", "D01-1234567-1234567", "S02-1234567-1234567"])
def test_numbers_of_every_kind_of_order_are_known(text: str):
    assert is_order_id(text)


async def test_what_amazon_would_refuse_is_not_sent():
    server = always(200, EMPTY)

    async with seller_of(server) as api:
        with pytest.raises(ValueError, match="since a moment"):
            await search_orders(api)
        with pytest.raises(ValueError, match="since a moment"):
            await search_orders(api, last_updated_after=SINCE, created_after=SINCE)
        with pytest.raises(ValueError, match="without a zone"):
            await search_orders(api, created_after=SINCE.replace(tzinfo=None))
        with pytest.raises(ValueError, match="comma"):
            await search_orders(api, created_after=SINCE, marketplace_ids=["A,B"])

    assert server.targets == []


async def test_a_page_that_names_itself_as_the_next_one_is_no_page():
    """Else it would be asked for again for ever."""
    server = always(200, '{"orders": [], "pagination": {"nextToken": "again"}}')

    async with seller_of(server) as api:
        await search_orders(api, last_updated_after=SINCE, page_token="before")
        with pytest.raises(AmazonUnavailable) as failure:
            await search_orders(api, last_updated_after=SINCE, page_token="again")

    assert failure.value.fields["reason"] == "same_page_again"


async def test_an_answer_that_is_nested_too_deeply_is_no_answer():
    async with seller_of(always(200, '{"orders": ' + "[" * 200_000 + "]" * 200_000 + "}")) as api:
        with pytest.raises(AmazonUnavailable):
            await search_orders(api, last_updated_after=SINCE)
