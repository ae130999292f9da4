"""What Amazon tells of stores by its queue: late, doubled, out of order, in floods, forged. A store that it does not tell of goes on."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import select, text
from structlog.testing import capture_logs

from deploy.demo.postgres import CONNECTOR
from services.connector.amazon.access import create_amazon
from services.connector.amazon.notice_queue import NoticeQueue
from services.connector.amazon.notifications import NoticeKind
from services.connector.amazon_notices.jobs import read_notices
from services.connector.amazon_notices.service import NoticeReader
from services.connector.amazon_notices.subscription_service import Subscriber
from services.connector.integrations.service import recompute_lock
from services.connector.orders import hints
from services.connector.orders.fetch_service import OrderFetcher
from services.connector.orders.hint_service import HintedOrders
from services.connector.settings import ConnectorSettings
from services.connector.throttling.buckets import DatabaseBuckets
from services.connector.tokens.service import Vault
from services.sandbox.state.order_making import new_order, place
from shared.aws_signing import AwsKey
from shared.database import Sessions, create_engine, create_sessions
from shared.jobs import Job
from shared.keyring import Keyring
from shared.tables import (
    Grant,
    JobRow,
    MarketplaceParticipation,
    NoticeSubscription,
    Order,
    OrderHint,
    OrderReport,
)
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import CASA_VERDE, LAMPENLADEN, Amazon, amazon, settings
from tests.integration.connector.tokens.conftest import Store, store
from tests.kept_database import KeptDatabase

__all__ = ["amazon", "settings", "store"]

QUEUE = "orders"
ENGLISH = {"Accept-Language": "en"}


@dataclass
class Worker:
    """The parts of a worker that has a queue."""

    registry: CollectorRegistry
    queue: NoticeQueue
    reader: NoticeReader
    subscriber: Subscriber
    hinted: HintedOrders

    def count(self, outcome: str) -> float | None:
        return self.registry.get_sample_value("replyco_amazon_notices_total", {"outcome": outcome})

    def subscriptions(self, kind: str, outcome: str) -> float | None:
        labels = {"kind": kind, "outcome": outcome}
        return self.registry.get_sample_value("replyco_notice_subscriptions_total", labels)

    async def read(self) -> None:
        """What is in the queue now, up to ten notices."""
        await self.reader.read_all(seconds=0.001)


@pytest.fixture
async def worker(
    kept_database: KeptDatabase, keyring: Keyring, amazon: Amazon, settings: ConnectorSettings
) -> AsyncIterator[Worker]:
    sessions, registry = create_sessions(kept_database.process_engine(CONNECTOR)), CollectorRegistry()
    ours = create_amazon(
        settings.amazon_client_id,
        settings.amazon_client_secret,
        amazon_base_url=amazon.url,
        buckets=DatabaseBuckets(sessions),
    )
    vault = Vault(sessions, keyring, ours, recompute_lock, registry)
    key = AwsKey("key", SecretStr("secret"), "eu-west-1", "sqs")
    queue = NoticeQueue(f"{amazon.url}/123456789012/{QUEUE}", key)
    amazon.state.notices.queues.open(QUEUE)
    yield Worker(
        registry,
        queue,
        NoticeReader(sessions, queue, {}, registry),
        Subscriber(sessions, ours, vault, queue.arn, registry),
        HintedOrders(sessions, OrderFetcher(sessions, keyring, vault)),
    )
    await vault.close()
    await ours.close()
    await queue.close()


@pytest.fixture
async def told(worker: Worker, store: Store) -> Store:
    """A store of which Amazon tells."""
    await worker.subscriber.subscribe_store(store.integration_id, datetime.now(UTC))
    return store


def buy(amazon: Amazon, seller_id: str = LAMPENLADEN, country: str = "DE") -> str:
    """A buyer buys something now, and Amazon tells of it. The order's number."""
    state = amazon.state
    seller = state.sellers[seller_id]
    placed = place(seller_id, new_order(seller, country), state.now())
    state.add_orders(seller, [placed], "OrderStatusChange")
    return placed.order_id


async def hinted(sessions: Sessions) -> list[str]:
    async with sessions.begin() as session:
        return sorted(await session.scalars(select(OrderHint.order_id)))


async def jobs(sessions: Sessions) -> set[str]:
    async with sessions.begin() as session:
        return set(await session.scalars(select(JobRow.kind)))


async def forget_jobs(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await session.execute(text("DELETE FROM jobs"))


async def subscription_of(sessions: Sessions, kind: str) -> str:
    async with sessions.begin() as session:
        found = await session.scalar(
            select(NoticeSubscription.subscription_id).where(NoticeSubscription.kind == kind)
        )
    assert found is not None
    return found


def put(amazon: Amazon, body: object) -> None:
    written = body if isinstance(body, str) else json.dumps(body)
    amazon.state.notices.queues.put(QUEUE, written, amazon.state.now())


def order_change(subscription_id: str, order_id: str, seller_id: str = LAMPENLADEN) -> dict[str, Any]:
    return {
        "NotificationType": "ORDER_CHANGE",
        "EventTime": datetime.now(UTC).isoformat(),
        "Payload": {"OrderChangeNotification": {"SellerId": seller_id, "AmazonOrderId": order_id}},
        "NotificationMetadata": {"SubscriptionId": subscription_id, "NotificationId": str(uuid4())},
    }


def asked(amazon: Amazon, operation: str = "getOrder") -> int:
    calls = amazon.state.counters.calls
    return sum(count for call, count in calls.items() if call.split(" ")[0] == operation)


async def test_a_store_is_subscribed_once_to_all_that_is_asked_for(
    worker: Worker, store: Store, sessions: Sessions, amazon: Amazon
):
    for _ in range(2):
        await worker.subscriber.subscribe_store(store.integration_id, datetime.now(UTC))
        # Each look is a day after the one before: Amazon gives five questions at once, and then one a second.
        amazon.state.advance_clock(86_400)
        async with sessions.begin() as session:
            await session.execute(text("DELETE FROM throttle_buckets"))

    assert asked(amazon, "createDestination") == 1
    assert asked(amazon, "createSubscription") == len(NoticeKind)
    for kind in NoticeKind:
        known = amazon.state.notices.subscription(LAMPENLADEN, kind)
        assert known is not None
        assert await subscription_of(sessions, kind) == known["subscriptionId"]
        assert worker.subscriptions(kind, "subscribed") == 2


async def test_a_subscription_that_goes_elsewhere_is_left_as_it_is_and_told_to_the_operators(
    worker: Worker, store: Store, amazon: Amazon
):
    other = amazon.state.notices.add_destination("other", "arn:aws:sqs:eu-west-1:123456789012:other")
    for kind in NoticeKind:
        wanted = {"payloadVersion": "1.0", "destinationId": other["destinationId"]}
        amazon.state.notices.subscribe(LAMPENLADEN, kind, wanted)

    await worker.subscriber.subscribe_store(store.integration_id, datetime.now(UTC))

    assert asked(amazon, "createSubscription") == 0
    assert worker.subscriptions("ORDER_CHANGE", "elsewhere") == 1


async def test_a_store_whose_subscription_is_refused_has_nothing_against_it(
    worker: Worker, store: Store, sessions: Sessions, amazon: Amazon, signed_in: SignedIn
):
    amazon.state.scenarios.switch_on("api-role-missing", operation="createSubscription")
    before = (await signed_in.client.get(f"/api/v1/integrations/{store.integration_id}")).json()["checks"]

    await worker.subscriber.subscribe_store(store.integration_id, datetime.now(UTC))

    async with sessions.begin() as session:
        rows = (await session.scalars(select(NoticeSubscription.refusal))).all()
        assert await session.scalar(select(Grant.role_missing_since)) is None
    assert rows == ["role_missing"] * len(NoticeKind)
    assert worker.subscriptions("ORDER_CHANGE", "refused") == 1
    after = (await signed_in.client.get(f"/api/v1/integrations/{store.integration_id}")).json()["checks"]
    assert after == before


async def test_an_order_that_amazon_tells_of_is_asked_for_and_stored(
    worker: Worker, told: Store, sessions: Sessions, amazon: Amazon
):
    order_id = buy(amazon)

    await worker.read()
    assert await hinted(sessions) == [order_id]
    assert await worker.hinted.fetch_due(datetime.now(UTC)) == 1

    assert (await hinted(sessions), worker.count("order")) == ([], 1)
    async with sessions.begin() as session:
        stored = (await session.scalars(select(Order).where(Order.order_id == order_id))).one()
    assert (stored.account_id, stored.integration_id) == (told.account_id, told.integration_id)


async def test_notices_that_come_twice_and_in_reverse_ask_once(
    worker: Worker, told: Store, sessions: Sessions, amazon: Amazon
):
    for scenario in ("notices-doubled", "notices-out-of-order"):
        amazon.state.scenarios.switch_on(scenario)
    order_id = buy(amazon)
    placed = amazon.state.placed_order(order_id)
    assert placed is not None
    amazon.state.notices.tell_of_order(placed, "OrderStatusChange")

    await worker.read()
    await worker.hinted.fetch_due(datetime.now(UTC))

    assert (asked(amazon), worker.count("order")) == (1, 4)
    assert await hinted(sessions) == []


async def test_a_notice_from_before_our_copy_asks_nothing(
    worker: Worker, told: Store, sessions: Sessions, amazon: Amazon
):
    order_id = buy(amazon)
    await worker.read()
    await worker.hinted.fetch_due(datetime.now(UTC))
    late = order_change(await subscription_of(sessions, "ORDER_CHANGE"), order_id)
    late["EventTime"] = (datetime.now(UTC) - timedelta(hours=20)).isoformat()
    put(amazon, late)

    await worker.read()
    await worker.hinted.fetch_due(datetime.now(UTC))

    assert (asked(amazon), await hinted(sessions)) == (1, [])


async def test_a_flood_of_one_seller_is_bounded_and_holds_up_no_other(sessions: Sessions, store: Store):
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        kept = [
            await hints.note(
                session,
                store.account_id,
                store.integration_id,
                f"303-1234567-{number:07}",
                told_at=now,
                now=now,
                most=5,
            )
            for number in (0, 1, 2, 3, 4, 5, 0, 6)
        ]
        found = await hints.due(session, of_each=2, limit=100)

    assert kept == [True, True, True, True, True, False, True, False]
    assert len(found) == 2


async def test_what_amazon_cannot_answer_now_is_kept_and_the_store_waits(
    worker: Worker, told: Store, sessions: Sessions, amazon: Amazon
):
    first, second = buy(amazon), buy(amazon)
    await worker.read()
    amazon.fail_api(503, "<html>", "text/html", count=3)

    await worker.hinted.fetch_due(datetime.now(UTC))
    assert await hinted(sessions) == sorted([first, second])
    await worker.hinted.fetch_due(datetime.now(UTC) + timedelta(minutes=2))

    assert await hinted(sessions) == []


async def test_an_order_that_amazon_does_not_know_is_asked_for_once(
    worker: Worker, told: Store, sessions: Sessions, amazon: Amazon
):
    put(amazon, order_change(await subscription_of(sessions, "ORDER_CHANGE"), "303-9999999-9999999"))
    await worker.read()

    await worker.hinted.fetch_due(datetime.now(UTC))
    await worker.hinted.fetch_due(datetime.now(UTC))

    assert (asked(amazon), await hinted(sessions)) == (1, [])


async def test_hints_of_a_store_that_rests_are_dropped_without_asking(
    worker: Worker, told: Store, signed_in: SignedIn, sessions: Sessions, amazon: Amazon
):
    buy(amazon)
    await worker.read()
    await signed_in.client.patch(f"/api/v1/integrations/{told.integration_id}", json={"paused": True})

    await worker.hinted.fetch_due(datetime.now(UTC))

    assert (asked(amazon), await hinted(sessions)) == (0, [])


async def test_only_a_stores_own_subscription_and_seller_name_it(
    worker: Worker, told: Store, sessions: Sessions, amazon: Amazon, signed_in: SignedIn
):
    subscription_id = await subscription_of(sessions, "ORDER_CHANGE")
    account_status = await subscription_of(sessions, "ACCOUNT_STATUS_CHANGED")
    for forged in (
        order_change(subscription_id, "303-1234567-1234567", CASA_VERDE),
        order_change(account_status, "303-1234567-1234567"),
        order_change("", "303-1234567-1234567"),
        order_change("another", "303-1234567-1234567"),
    ):
        put(amazon, forged)

    await worker.read()

    assert await hinted(sessions) == []
    assert worker.count("of_no_store") == 4


@pytest.mark.parametrize(
    "body",
    [
        "not JSON, canary",
        "[]",
        "7",
        "{}",
        {"notificationType": "BRANDED_ITEM_CONTENT_CHANGE", "payload": {"canary": 1}},
        {"NotificationType": ["ORDER_CHANGE"]},
        {"NotificationType": "ORDER_CHANGE"},
        {"NotificationType": "ORDER_CHANGE", "Payload": {"OrderChangeNotification": {"SellerId": "A1"}}},
        {
            "NotificationType": "ORDER_CHANGE",
            "Payload": {
                "OrderChangeNotification": {"SellerId": "A1", "AmazonOrderId": "../../../tokens canary"}
            },
        },
        {
            "notificationType": "ACCOUNT_STATUS_CHANGED",
            "payload": {
                "accountStatusChangeNotification": {"sellerId": "A1", "currentAccountStatus": "canary"}
            },
        },
        {"notificationType": "REPORT_PROCESSING_FINISHED", "payload": "canary"},
    ],
    ids=str,
)
async def test_what_nobody_knows_is_counted_and_removed_and_not_told(
    worker: Worker, sessions: Sessions, amazon: Amazon, body: object
):
    put(amazon, body)

    with capture_logs() as logged:
        await worker.read()

    assert worker.count("unknown") == 1
    assert amazon.state.notices.queues.content(QUEUE) == []
    assert "canary" not in str(logged)


async def test_a_seller_account_that_amazon_deactivates_shows_and_its_return_too(
    worker: Worker, told: Store, sessions: Sessions, amazon: Amazon, signed_in: SignedIn
):
    states = []
    for before, after in (("NORMAL", "AT_RISK"), ("AT_RISK", "DEACTIVATED"), ("DEACTIVATED", "NORMAL")):
        amazon.state.notices.tell_of_account(LAMPENLADEN, "DE", before, after)
        await worker.read()
        path = f"/api/v1/integrations/{told.integration_id}"
        shown = (await signed_in.client.get(path, headers=ENGLISH)).json()
        found = [check for check in shown["checks"] if check["code"] == "account_suspended"]
        states.append([(check["state"], "Germany" in check["text"]) for check in found])

    assert states == [[("notice", True)], [("amber", True)], []]
    assert worker.count("account_status") == 3
    assert {Job.REFRESH_PARTICIPATIONS.value, Job.RECOMPUTE_LOCK.value} <= await jobs(sessions)


async def test_an_older_word_about_an_account_changes_nothing(
    worker: Worker, told: Store, sessions: Sessions, amazon: Amazon
):
    amazon.state.notices.tell_of_account(LAMPENLADEN, "DE", "NORMAL", "DEACTIVATED")
    content = amazon.state.notices.queues.content(QUEUE)
    late = json.loads(content[0].body)
    late["eventTime"] = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    late["payload"]["accountStatusChangeNotification"]["currentAccountStatus"] = "NORMAL"
    put(amazon, late)

    await worker.read()

    async with sessions.begin() as session:
        status = await session.scalar(
            select(MarketplaceParticipation.account_status).where(MarketplaceParticipation.country == "DE")
        )
    assert status == "DEACTIVATED"


async def test_a_report_that_is_made_wakes_those_who_wait_for_it_and_nobody_else(
    worker: Worker, told: Store, sessions: Sessions, amazon: Amazon
):
    await forget_jobs(sessions)
    subscription_id = await subscription_of(sessions, "REPORT_PROCESSING_FINISHED")
    async with sessions.begin() as session:
        session.add(
            OrderReport(
                account_id=told.account_id,
                integration_id=told.integration_id,
                report_type="GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL",
                report_id="ID323",
            )
        )
    woken = []
    for report_id in ("ID999", "ID323"):
        put(
            amazon,
            {
                "notificationType": "REPORT_PROCESSING_FINISHED",
                "eventTime": datetime.now(UTC).isoformat(),
                "payload": {
                    "reportProcessingFinishedNotification": {
                        "sellerId": LAMPENLADEN,
                        "reportId": report_id,
                        "processingStatus": "DONE",
                    }
                },
                "notificationMetadata": {
                    "subscriptionId": subscription_id,
                    "notificationId": str(uuid4()),
                },
            },
        )
        await worker.read()
        woken.append(Job.FOLLOW_ORDER_REPORTS.value in await jobs(sessions))

    assert woken == [False, True]
    assert worker.count("report") == 2


async def test_without_a_commit_a_notice_stays(worker: Worker, amazon: Amazon):
    put(amazon, order_change("any", "303-1234567-1234567"))
    away = create_engine("postgresql://127.0.0.1:1/nowhere", application_name="tests")
    reader = NoticeReader(create_sessions(away), worker.queue, {}, CollectorRegistry())

    await read_notices(reader)
    await away.dispose()

    assert len(amazon.state.notices.queues.content(QUEUE)) == 1
