"""An order as it was when a message came: taken once, from a fresh copy, shown beside the message, and never changed again."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from services.connector.orders.card import FRESH
from services.connector.orders.snapshots import TAKEN_WITHIN, take_snapshots
from shared.tables import Conversation, EventRow, Message
from tests.factories import make_message, make_order_package
from tests.integration.connector.inbox.conftest import counted_statements

ORDER_ID = "303-1234567-1234567"


async def _message(shop, conversation: Conversation, **columns: Any) -> Message:
    async with shop.sessions.begin() as session:
        return await make_message(
            session, shop.keyring, conversation, **{"authenticity": "authentic"} | columns
        )


async def _take(shop, sessions, conversation: Conversation) -> None:
    """As the connector does, with its rights."""
    async with sessions.begin() as session:
        await take_snapshots(session, shop.account.id, conversation.id, now=datetime.now(UTC))


async def _snapshots(client, message: Message) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = (await client.get(f"/api/v1/messages/{message.id}")).json()[
        "order_snapshots"
    ]
    return shown


async def test_a_message_keeps_the_order_as_it_was(client, shop, sessions):
    order = await shop.order(
        order_id=ORDER_ID,
        total=Decimal("1249.9"),
        quantity=2,
        item_count=1,
        is_prime=True,
        purchased_at=datetime(2026, 11, 23, 8, 12, 9, tzinfo=UTC),
    )
    async with shop.sessions.begin() as session:
        await make_order_package(session, order, reference="2", position=1, carrier="GLS")
        await make_order_package(session, order, reference="1", position=0, carrier="DHL")
    conversation = await shop.conversation(ORDER_ID)
    message = await _message(shop, conversation)

    await _take(shop, sessions, conversation)
    async with shop.sessions.begin() as session:
        row = await session.merge(order)
        row.status, row.total = "SHIPPED", Decimal(0)
    await _take(shop, sessions, conversation)

    [snapshot] = await _snapshots(client, message)
    assert (snapshot["order_id"], snapshot["status"], snapshot["is_prime"]) == (ORDER_ID, "UNSHIPPED", True)
    assert snapshot["total"] == {"amount": "1249.90", "currency": "EUR"}
    assert (snapshot["quantity"], snapshot["item_count"]) == (2, 1)
    assert (snapshot["carrier"], snapshot["tracking_number"]) == ("DHL", "00340434161094000000")
    assert snapshot["purchased_at"] == "2026-11-23T08:12:09Z"
    assert "Erika" not in str(snapshot)
    path = f"/api/v1/conversations/{conversation.id}/messages"
    [listed] = (await client.get(path)).json()["items"]
    assert listed["order_snapshots"] == [snapshot]


@pytest.mark.parametrize(
    ("message_columns", "order_columns", "is_proven"),
    [
        ({"received_at": datetime.now(UTC) - TAKEN_WITHIN - timedelta(minutes=1)}, {}, True),
        ({"authenticity": "stranger"}, {}, True),
        ({}, {}, False),
        ({}, {"fetched_at": datetime.now(UTC) - FRESH - timedelta(minutes=1)}, True),
        ({}, {"fetched_at": None}, True),
    ],
    ids=["an old message", "a stranger's", "an order that is not proven", "an old copy", "only reported"],
)
async def test_what_was_not_known_at_the_moment_is_not_passed_off_as_it(
    *, client, shop, sessions, message_columns, order_columns, is_proven
):
    await shop.order(order_id=ORDER_ID, **order_columns)
    conversation = await shop.conversation(ORDER_ID, is_proven=is_proven)
    message = await _message(shop, conversation, **message_columns)

    await _take(shop, sessions, conversation)

    assert await _snapshots(client, message) == []


async def test_an_order_that_was_fetched_late_is_as_old_as_it_says(client, shop, sessions):
    """Amazon was away when the message came."""
    conversation = await shop.conversation(ORDER_ID)
    message = await _message(shop, conversation, received_at=datetime.now(UTC) - timedelta(hours=3))
    await _take(shop, sessions, conversation)
    assert await _snapshots(client, message) == []

    fetched_at = datetime.now(UTC)
    await shop.order(order_id=ORDER_ID, fetched_at=fetched_at)
    await _take(shop, sessions, conversation)

    [snapshot] = await _snapshots(client, message)
    assert datetime.fromisoformat(snapshot["taken_at"]) >= fetched_at


async def test_an_event_tells_of_a_snapshot_that_was_taken(shop, sessions):
    """Who reads a message as soon as it has come reads it before its snapshot is there."""
    order = await shop.order(order_id=ORDER_ID)
    conversation = await shop.conversation(ORDER_ID)
    for _ in range(2):
        await _message(shop, conversation)

    await _take(shop, sessions, conversation)
    await _take(shop, sessions, conversation)

    async with shop.sessions.begin() as session:
        told = list(await session.scalars(select(EventRow.ids).where(EventRow.kind == "order.changed")))
    assert told == [{"integration_id": str(shop.integration.id), "order_row_id": str(order.id)}]


async def test_another_accounts_order_of_the_same_number_is_in_no_snapshot(
    client, shop, foreign_shop, sessions
):
    await foreign_shop.order(order_id=ORDER_ID)
    conversation = await shop.conversation(ORDER_ID)
    message = await _message(shop, conversation)

    await _take(shop, sessions, conversation)

    assert await _snapshots(client, message) == []


async def test_the_snapshots_of_all_messages_of_a_page_cost_one_statement(app, client, shop, sessions):
    await shop.order(order_id=ORDER_ID)
    conversation = await shop.conversation(ORDER_ID)
    for _ in range(20):
        await _message(shop, conversation)
    await _take(shop, sessions, conversation)

    async with counted_statements(app) as sent:
        page = (await client.get(f"/api/v1/conversations/{conversation.id}/messages")).json()

    assert [len(item["order_snapshots"]) for item in page["items"]] == [1] * 20
    assert len([statement for statement in sent if "order_snapshots" in statement]) == 1


@pytest.mark.parametrize("orders", ["view", "none"])
async def test_whoever_may_not_see_orders_sees_none_beside_messages(
    *, app, shop, sessions, sign_in_as, api_key_client, orders
):
    await shop.order(order_id=ORDER_ID)
    conversation = await shop.conversation(ORDER_ID)
    message = await _message(shop, conversation)
    await _take(shop, sessions, conversation)
    person = (await sign_in_as(general_admin="none", inbox_messages="view", inbox_orders=orders)).client
    program = await api_key_client(general_admin="none", inbox_messages="view", inbox_orders=orders)

    for reader in (person, program):
        async with counted_statements(app) as sent:
            listed = (await reader.get(f"/api/v1/conversations/{conversation.id}/messages")).json()["items"]
        shown = [item["order_snapshots"] for item in listed] + [await _snapshots(reader, message)]

        assert [len(snapshots) for snapshots in shown] == ([1, 1] if orders == "view" else [0, 0])
        assert any("order_snapshots" in statement for statement in sent) is (orders == "view")
