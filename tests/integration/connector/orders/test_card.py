"""The orders of a conversation: what is known of each, what is asked for, and what else the buyer has bought."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from services.connector.orders.card import FRESH
from services.connector.orders.queries import MOST_ORDERS
from shared.jobs import Job, enqueue
from shared.orders import order_row_id
from shared.tables import AmazonPause, Conversation, Grant, Integration, JobRow, OrderLookup
from tests.factories import make_integration, make_message, make_order, make_order_item
from tests.integration.connector.inbox.conftest import CALLER, counted_statements

ORDER_ID, OTHER_ID = "303-1234567-1234567", "303-7654321-7654321"


def _path(conversation: Conversation) -> str:
    return f"/api/v1/conversations/{conversation.id}/orders"


async def _jobs(shop) -> list[JobRow]:
    async with shop.sessions.begin() as session:
        return list(
            await session.scalars(select(JobRow).where(JobRow.kind == Job.FETCH_ORDERS_OF_CONVERSATION.value))
        )


async def test_a_fresh_copy_is_shown_and_nothing_is_asked(client, shop):
    order = await shop.order(order_id=ORDER_ID)
    async with shop.sessions.begin() as session:
        await make_order_item(session, shop.keyring, order)
    conversation = await shop.conversation(ORDER_ID)

    answer = await client.get(_path(conversation))

    assert answer.status_code == 200, answer.text
    [card] = answer.json()["items"]
    assert (card["order_id"], card["state"], card["is_refreshing"], card["hindrance"]) == (
        ORDER_ID,
        "known",
        False,
        None,
    )
    assert card["order"]["items"][0]["title"] == "Schreibtischlampe"
    assert card["order"]["buyer"]["name"] == "Erika Beispiel"
    assert datetime.fromisoformat(card["fetched_at"]) == order.fetched_at
    assert await _jobs(shop) == []


async def test_an_order_that_no_proven_mail_names_has_no_card(client, shop):
    await shop.order(order_id=ORDER_ID)
    conversation = await shop.conversation(ORDER_ID, is_proven=False)

    answer = await client.get(_path(conversation))

    assert answer.json()["items"] == []
    assert await _jobs(shop) == []


async def test_in_quarantine_nothing_is_shown_of_orders_or_of_the_buyer(client, shop):
    order = await shop.order(order_id=ORDER_ID, buyer_key=b"k" * 32)
    conversation = await shop.conversation(ORDER_ID, status="quarantine", buyer_key=order.buyer_key)

    answer = (await client.get(_path(conversation))).json()

    assert answer["items"] == []
    assert (answer["same_buyer"]["orders"], answer["same_buyer"]["conversations"]) == ([], [])


@pytest.mark.parametrize("authenticity", ["authentic", "forged", "stranger"])
async def test_what_else_a_buyer_bought_is_shown_to_none_who_only_uses_their_address(
    client, shop, authenticity
):
    """A mail that was released from quarantine, by mistake or by a trick, may name any buyer."""
    buyer = b"b" * 32
    other = await shop.order(order_id=OTHER_ID, buyer_key=buyer)
    conversation = await shop.conversation(ORDER_ID, is_proven=False, buyer_key=buyer)
    async with shop.sessions.begin() as session:
        await make_message(session, shop.keyring, conversation, authenticity=authenticity)

    shown = (await client.get(_path(conversation))).json()

    assert shown["items"] == []
    orders = [order["id"] for order in shown["same_buyer"]["orders"]]
    assert orders == ([str(other.id)] if authenticity == "authentic" else [])


@pytest.mark.parametrize("fetched", [None, FRESH + timedelta(seconds=5)])
async def test_what_is_old_or_missing_is_asked_for_once_for_all_who_look(client, shop, fetched):
    if fetched is not None:
        await shop.order(order_id=ORDER_ID, fetched_at=datetime.now(UTC) - fetched)
    conversation = await shop.conversation(ORDER_ID)

    answers = await asyncio.gather(*(client.get(_path(conversation)) for _ in range(5)))
    [job] = await _jobs(shop)
    later = await client.get(_path(conversation))

    for answer in (*answers, later):
        [card] = answer.json()["items"]
        assert card["state"] == ("fetching" if fetched is None else "known")
        assert card["is_refreshing"] is True
    assert job.subject_id == conversation.id
    # Whoever looks while it waits asks for nothing more.
    assert [each.requests for each in await _jobs(shop)] == [job.requests]


async def test_a_job_that_waits_for_its_next_attempt_is_not_hurried_by_who_looks(client, shop):
    conversation = await shop.conversation(ORDER_ID)
    async with shop.sessions.begin() as session:
        await enqueue(session, Job.FETCH_ORDERS_OF_CONVERSATION, conversation.id)
        row = await session.get_one(JobRow, (Job.FETCH_ORDERS_OF_CONVERSATION.value, conversation.id))
        row.due_at = due_at = datetime.now(UTC) + timedelta(minutes=10)
        row.attempts = 3

    [card] = (await client.get(_path(conversation))).json()["items"]

    assert (card["state"], card["is_refreshing"]) == ("fetching", True)
    [job] = await _jobs(shop)
    assert (job.due_at, job.attempts, job.requests) == (due_at, 3, 1)


async def _hinder(shop, conversation, reason: str) -> None:
    async with shop.sessions.begin() as session:
        integration = await session.get_one(Integration, shop.integration.id)
        grant = (
            await session.scalars(select(Grant).where(Grant.integration_id == shop.integration.id))
        ).one()
        now = datetime.now(UTC)
        match reason:
            case "disconnected":
                integration.disconnected_at = now
                integration.rests_until = now + timedelta(days=30)
            case "paused":
                integration.paused_at = now
            case "not_authorized":
                grant.revoked_at = now
            case "role_missing":
                grant.role_missing_since, grant.role_missing_operation = now, "getOrder"
            case "stopped":
                session.add(AmazonPause(client_id="amzn1.application-oa2-client.test"))
            case _:
                await enqueue(session, Job.FETCH_ORDERS_OF_CONVERSATION, conversation.id)
                row = await session.get_one(JobRow, (Job.FETCH_ORDERS_OF_CONVERSATION.value, conversation.id))
                row.held_at, row.failure = now, "ValueError"


@pytest.mark.parametrize(
    "reason", ["disconnected", "paused", "not_authorized", "role_missing", "stopped", "failed"]
)
async def test_what_cannot_be_asked_for_says_why_and_an_old_copy_is_shown_all_the_same(client, shop, reason):
    await shop.order(order_id=OTHER_ID, fetched_at=datetime.now(UTC) - timedelta(days=1))
    conversation = await shop.conversation(ORDER_ID, OTHER_ID)
    await _hinder(shop, conversation, reason)

    english = await client.get(_path(conversation), headers={"Accept-Language": "en"})
    german = await client.get(_path(conversation), headers={"Accept-Language": "de"})

    [missing, old] = english.json()["items"]
    assert (missing["state"], old["state"]) == ("unavailable", "known")
    assert missing["hindrance"]["reason"] == old["hindrance"]["reason"] == reason
    assert missing["hindrance"]["title"] != german.json()["items"][0]["hindrance"]["title"]
    assert (missing["is_refreshing"], old["is_refreshing"]) == (False, False)
    assert len(await _jobs(shop)) == (reason == "failed")


async def test_an_order_that_amazon_does_not_know_is_said_to_be_unknown(client, shop):
    conversation = await shop.conversation(ORDER_ID)
    async with shop.sessions.begin() as session:
        session.add(
            OrderLookup(
                order_row_id=order_row_id(shop.integration.id, ORDER_ID),
                account_id=shop.account.id,
                integration_id=shop.integration.id,
                order_id=ORDER_ID,
                outcome="order_unknown",
                asked_at=datetime.now(UTC),
            )
        )

    [card] = (await client.get(_path(conversation))).json()["items"]

    assert (card["state"], card["order"], card["is_refreshing"]) == ("unknown", None, False)
    assert (await client.get("/api/v1/orders")).json()["items"] == []


async def test_what_the_buyer_has_bought_and_written_in_this_store_is_named(client, shop, foreign_shop):
    buyer = b"b" * 32
    await shop.order(order_id=ORDER_ID, buyer_key=buyer)
    for number in range(12):
        await shop.order(buyer_key=buyer, last_updated_at=datetime.now(UTC) - timedelta(days=number))
    await shop.order(buyer_key=b"c" * 32)
    conversation = await shop.conversation(ORDER_ID, buyer_key=buyer)
    other = await shop.conversation(OTHER_ID, buyer_key=buyer, order_id=OTHER_ID)
    await shop.conversation(buyer_key=buyer, status="quarantine")
    await foreign_shop.order(buyer_key=buyer)

    shown = (await client.get(_path(conversation))).json()["same_buyer"]

    assert (len(shown["orders"]), shown["has_more_orders"]) == (10, True)
    assert ORDER_ID not in {order["order_id"] for order in shown["orders"]}
    assert [(each["id"], each["order_id"]) for each in shown["conversations"]] == [(str(other.id), OTHER_ID)]
    assert shown["has_more_conversations"] is False


async def test_a_buyer_of_whom_no_address_is_known_is_nobody(client, shop):
    await shop.order(order_id=ORDER_ID)
    await shop.order()
    conversation = await shop.conversation(ORDER_ID)
    await shop.conversation(OTHER_ID)

    shown = (await client.get(_path(conversation))).json()["same_buyer"]

    assert (shown["orders"], shown["conversations"]) == ([], [])


async def test_the_same_buyer_of_another_store_of_the_account_is_somebody_else(client, shop):
    await shop.order(order_id=ORDER_ID, buyer_key=b"b" * 32)
    conversation = await shop.conversation(ORDER_ID)
    async with shop.sessions.begin() as session:
        elsewhere = await make_integration(session, shop.account.id, name="Amazon USA", region="na")
        await make_order(session, shop.keyring, elsewhere, buyer_key=b"b" * 32)

    assert (await client.get(_path(conversation))).json()["same_buyer"]["orders"] == []


async def test_a_merged_conversation_shows_what_it_was_merged_into(client, shop):
    await shop.order(order_id=ORDER_ID)
    conversation = await shop.conversation(ORDER_ID)
    merged = await shop.conversation(merged_into=conversation.id)

    assert [card["order_id"] for card in (await client.get(_path(merged))).json()["items"]] == [ORDER_ID]


async def test_another_accounts_conversation_has_no_card(client, shop, foreign_shop):
    foreign = await foreign_shop.conversation(ORDER_ID)

    answer = await client.get(_path(foreign))

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert await _jobs(shop) == []


async def test_a_card_of_many_orders_costs_as_many_statements_as_one_of_one(app, client, shop):
    counts = set()
    for orders in (1, 5, MOST_ORDERS + 5):
        numbers = [f"{orders:03}-{number:07}-0000000" for number in range(orders)]
        for number in numbers:
            order = await shop.order(order_id=number, buyer_key=bytes([orders]) * 32)
            async with shop.sessions.begin() as session:
                await make_order_item(session, shop.keyring, order)
        conversation = await shop.conversation(*numbers)
        async with counted_statements(app) as sent:
            cards = (await client.get(_path(conversation))).json()["items"]
        assert len(cards) == min(orders, MOST_ORDERS)
        counts.add(
            len(
                [each for each in sent if ("order" in each or "conversations" in each) and CALLER not in each]
            )
        )

    # The conversation, its orders, their items, packages and look-ups, the buyer's other orders and conversations.
    assert counts == {7}
