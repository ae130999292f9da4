"""What waits, as the worker's metrics tell it."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from services.connector.operations.backlog import Backlog
from shared.crypto.envelope import Sealed
from shared.database import Sessions
from shared.driver import new_id
from shared.events import EventKind, announce
from shared.keyring import Keyring
from shared.status.queries import QUEUES, read_troubles, read_waiting
from shared.tables import DeliveryState, JobRow, Webhook, WebhookDelivery
from tests.factories import make_account, make_integration


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def figures(registry: CollectorRegistry, queue: str) -> tuple[float, float]:
    count = registry.get_sample_value("replyco_waiting", {"queue": queue})
    age = registry.get_sample_value("replyco_waiting_age_seconds", {"queue": queue})
    assert count is not None
    assert age is not None
    return count, age


async def test_nothing_waits_in_a_new_installation(sessions: Sessions, registry: CollectorRegistry):
    await Backlog(sessions, registry).watch()

    for queue in (
        "webhook_deliveries",
        "webhook_deliveries_of_failing",
        "events",
        "stores_to_erase",
        "accounts_to_erase",
    ):
        assert figures(registry, queue) == (0, 0), queue
    async with sessions.begin() as session:
        for queue in QUEUES:
            waiting = await read_waiting(session, queue)
            assert (waiting.count, waiting.oldest_seconds) == (0, None), queue
        assert await read_troubles(session) == []


async def test_deliveries_and_events_are_counted_apart_from_those_whose_receiver_fails(
    sessions: Sessions, keyring: Keyring, registry: CollectorRegistry
):
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        for failing_since, due in ((None, (-90, -30, 3600)), (now, (-500,))):
            webhook = Webhook(
                id=new_id(), account_id=account.id, url="https://crm.example/", kinds=["message.received"],
                secret=Sealed(b"sealed"), failing_since=failing_since,
            )  # fmt: skip
            session.add(webhook)
            await session.flush()
            for seconds in due:
                session.add(
                    WebhookDelivery(
                        account_id=account.id, webhook_id=webhook.id, event_id=new_id(), kind="message.received", ids={},
                        event_at=now, state=DeliveryState.WAITING.value, next_attempt_at=now + timedelta(seconds=seconds),
                    )
                )  # fmt: skip
        await announce(session, account.id, EventKind.INTEGRATION_CHANGED, integration_id=new_id())

    await Backlog(sessions, registry).watch()

    count, age = figures(registry, "webhook_deliveries")
    assert count == 2
    assert age >= 90
    assert figures(registry, "webhook_deliveries_of_failing")[0] == 1
    assert figures(registry, "events")[0] == 1
    async with sessions.begin() as session:
        assert [(each.what, each.code, each.count) for each in await read_troubles(session)] == [
            ("webhooks", "failing", 1)
        ]


async def test_a_store_that_cannot_be_erased_is_seen(
    sessions: Sessions, keyring: Keyring, registry: CollectorRegistry
):
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        for removed_ago, choice in (("3 hours", "delete"), ("1 minute", "delete"), ("3 hours", "keep")):
            store = await make_integration(session, account.id)
            await session.execute(
                text(
                    "UPDATE integrations SET disconnected_at = now() - interval '1 day', rests_until = now() - interval '4 hours', removed_at = now() - CAST(:ago AS text)::interval,"
                    " data_after_rest = :choice WHERE id = :id"
                ),
                {"ago": removed_ago, "choice": choice, "id": store.id},
            )
        session.add(
            JobRow(kind="recompute_lock", subject_id=new_id(), held_at=datetime.now(UTC), failure="KeyError")
        )

    await Backlog(sessions, registry).watch()

    count, age = figures(registry, "stores_to_erase")
    assert count == 1
    assert age > 7_000
    assert figures(registry, "accounts_to_erase") == (0, 0)
    async with sessions.begin() as session:
        assert [(each.what, each.code) for each in await read_troubles(session)] == [
            ("job recompute_lock", "KeyError")
        ]
