"""Notices about orders, reports and accounts: who subscribed is told, by the queue that the connector itself reads."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from services.connector.amazon.errors import ClientMisconfigured
from services.connector.amazon.notice_queue import NoticeQueue
from services.sandbox.app import create_app
from services.sandbox.settings import SandboxSettings
from shared.aws_signing import AwsKey
from tests.integration.sandbox.conftest import LAMPENLADEN, Seller, fixed_clock
from tests.integration.sandbox.grantless import NOTIFICATIONS, grantless
from tests.integration.sandbox.ordering import API, REPORTS, Application, application
from tests.no_tls import NO_AUTHORITIES
from tests.web_server import WebServer

ROOT = f"{API}/notifications/v1"


@pytest.fixture
async def url(web_server: WebServer) -> AsyncIterator[str]:
    """A sandbox on a socket, as the connector reaches it."""
    app = create_app(SandboxSettings(), fixed_clock)
    async with app.router.lifespan_context(app), web_server.answering_with(app):
        yield web_server.url


@pytest.fixture
async def amazon(url: str) -> AsyncIterator[Application]:
    """The application, subscribed to all that concerns Lampenladen's orders."""
    async with httpx2.AsyncClient(verify=NO_AUTHORITIES, base_url=url, trust_env=False) as client:
        seller = Seller(client, SandboxSettings())
        amazon = await application(seller)
        arn = "arn:aws:sqs:eu-west-1:123456789012:orders"
        destination = await amazon.call(
            "POST",
            f"{ROOT}/destinations",
            await grantless(seller, NOTIFICATIONS),
            json={"name": "orders", "resourceSpecification": {"sqs": {"arn": arn}}},
        )
        wanted = {"payloadVersion": "1.0", "destinationId": destination.json()["payload"]["destinationId"]}
        for kind in ("ORDER_CHANGE", "REPORT_PROCESSING_FINISHED", "ACCOUNT_STATUS_CHANGED"):
            assert (await amazon.call("POST", f"{ROOT}/subscriptions/{kind}", json=wanted)).is_success
        yield amazon


@pytest.fixture
async def queue(url: str, amazon: Application) -> AsyncIterator[NoticeQueue]:
    key = AwsKey("key", SecretStr("secret"), "eu-west-1", "sqs")
    queue = NoticeQueue(f"{url}/123456789012/orders", key)
    yield queue
    await queue.close()


async def take(queue: NoticeQueue) -> list[dict[str, Any]]:
    """What is in the queue now, which is empty afterwards."""
    notices = await queue.receive()
    for notice in notices:
        await queue.remove(notice)
    return [json.loads(notice.body.get_secret_value()) for notice in notices]


def order_and_state(notice: dict[str, Any]) -> tuple[str, str]:
    change = notice["Payload"]["OrderChangeNotification"]
    return change["AmazonOrderId"], change["Summary"]["OrderStatus"]


async def test_each_change_of_an_order_is_told_once(amazon: Application, queue: NoticeQueue) -> None:
    await queue.look()
    [order_id] = await amazon.buy()
    await amazon.buy(seller_id="A2CASAVERDE34K", country="ES")
    await amazon.control("orders/request-cancellation", order_ids=[order_id])
    await amazon.control("orders/ship", order_ids=[order_id])

    bought, asked, shipped = await take(queue)

    assert order_and_state(bought) == (order_id, "Unshipped")
    assert asked["Payload"]["OrderChangeNotification"]["OrderChangeType"] == "BuyerRequestedChange"
    assert order_and_state(shipped) == (order_id, "Shipped")
    assert (
        shipped["NotificationMetadata"]["NotificationId"] != bought["NotificationMetadata"]["NotificationId"]
    )
    in_queue = (await amazon.client.get("/control/notices?queue=orders")).json()
    assert in_queue == []


async def test_who_waits_has_a_notice_at_once(amazon: Application, queue: NoticeQueue) -> None:
    waiting = asyncio.create_task(take(queue))
    [order_id] = await amazon.buy()

    [notice] = await waiting

    assert order_and_state(notice) == (order_id, "Unshipped")


async def test_notice_that_is_not_removed_comes_again(amazon: Application, queue: NoticeQueue) -> None:
    await amazon.buy()

    [first] = await queue.receive()
    await amazon.advance(300)
    [second] = await queue.receive()
    await queue.remove(first)
    await queue.remove(second)
    await queue.remove(second)

    assert (first.message_id, first.body) == (second.message_id, second.body)
    assert (await amazon.client.get("/control/notices?queue=orders")).json() == []


async def test_notices_come_late_twice_and_out_of_order(amazon: Application, queue: NoticeQueue) -> None:
    await amazon.control("scenarios/notices-late", seconds=600, count=1)
    [late] = await amazon.buy()
    await amazon.control("scenarios/notices-doubled", count=1)
    [doubled] = await amazon.buy()
    await amazon.control("scenarios/notices-out-of-order", count=1)
    [early] = await amazon.buy()

    first = [order_and_state(notice)[0] for notice in await take(queue)]
    await amazon.advance(600)
    second = [order_and_state(notice)[0] for notice in await take(queue)]

    assert (first, second) == ([early, doubled, doubled], [late])


async def test_finished_reports_and_accounts_are_told(amazon: Application, queue: NoticeQueue) -> None:
    body = {
        "reportType": "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL",
        "marketplaceIds": ["A1PA6795UKMFR9"],
    }
    report_id = (await amazon.call("POST", f"{REPORTS}/reports", json=body)).json()["reportId"]
    await amazon.advance(2)
    [finished] = await take(queue)
    for status in ("AT_RISK", "AT_RISK", "DEACTIVATED"):
        await amazon.control("account-status", seller_id=LAMPENLADEN, country="DE", status=status)
    accounts = await take(queue)

    told = finished["payload"]["reportProcessingFinishedNotification"]
    assert (told["reportId"], told["processingStatus"]) == (report_id, "DONE")
    assert [
        notice["payload"]["accountStatusChangeNotification"]["currentAccountStatus"] for notice in accounts
    ] == ["AT_RISK", "DEACTIVATED"]


async def test_notices_of_any_form_and_again(amazon: Application, queue: NoticeQueue) -> None:
    await amazon.control("notices", queue="orders", notice="{ not json")
    [strange] = await queue.receive()
    await queue.remove(strange)
    [order_id] = await amazon.buy()
    await take(queue)
    await amazon.control("notices/orders", order_ids=[order_id, order_id])

    assert strange.body.get_secret_value() == "{ not json"
    assert [order_and_state(notice)[0] for notice in await take(queue)] == [order_id, order_id]


async def test_queue_that_does_not_exist_and_request_without_signature(url: str, amazon: Application) -> None:
    key = AwsKey("key", SecretStr("secret"), "eu-west-1", "sqs")
    unknown = NoticeQueue(f"{url}/123456789012/unknown", key)

    with pytest.raises(ClientMisconfigured):
        await unknown.look()
    unsigned = await amazon.client.post("/", json={"QueueUrl": f"{url}/1/orders"})

    assert (unsigned.status_code, unsigned.json()["__type"]) == (
        403,
        "com.amazonaws.sqs#MissingAuthenticationToken",
    )
    await unknown.close()


async def test_notices_end_with_the_subscription(amazon: Application, queue: NoticeQueue) -> None:
    seller = Seller(amazon.client, SandboxSettings())
    found = await amazon.get(f"{ROOT}/subscriptions", notificationTypes="ORDER_CHANGE")
    [subscription] = found.json()["payload"]["subscriptions"]
    path = f"{ROOT}/subscriptions/ORDER_CHANGE/{subscription['subscriptionId']}"
    token = await grantless(seller, NOTIFICATIONS)

    read = await amazon.call("GET", path, token)
    ended = await amazon.call("DELETE", path, token)
    again = await amazon.call("DELETE", path, token)
    await amazon.buy()

    assert [answer.status_code for answer in (read, ended, again)] == [200, 200, 404]
    assert (await amazon.client.get("/control/notices?queue=orders")).json() == []
