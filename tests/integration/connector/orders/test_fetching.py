"""An order that a proven mail names is asked for at once; what Amazon does not give has a reason, and costs no other order."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from services.connector.orders.card import FRESH
from services.connector.orders.fetch_service import OrderFetcher, named_orders
from services.sandbox.state.sellers import Seller
from shared.database import Sessions
from shared.keyring import Keyring
from shared.orders import order_row_id
from shared.tables import (
    Conversation,
    ConversationOrder,
    EventRow,
    Grant,
    Integration,
    Order,
    OrderLookup,
)
from tests.factories import make_conversation, make_message
from tests.integration.connector.connecting import LAMPENLADEN, Amazon, amazon, settings
from tests.integration.connector.tokens.conftest import Process, Store, processes, store

__all__ = ["amazon", "processes", "settings", "store"]

NOW = datetime.now(UTC)


@dataclass
class Talk:
    """A conversation of the connected store, and whoever asks for its orders."""

    sessions: Sessions
    fetchers: list[OrderFetcher]
    store: Store
    conversation: Conversation

    async def names(self, *order_ids: str, is_proven: bool = True) -> None:
        async with self.sessions.begin() as session:
            for order_id in order_ids:
                session.add(
                    ConversationOrder(
                        account_id=self.store.account_id,
                        order_id=order_id,
                        conversation_id=self.conversation.id,
                        is_proven=is_proven,
                    )
                )

    async def fetch(self, now: datetime = NOW) -> timedelta | None:
        return await self.fetchers[0].fetch_of_conversation(self.conversation.id, now)

    async def orders(self) -> dict[str, Order]:
        async with self.sessions() as session:
            return {order.order_id: order for order in await session.scalars(select(Order))}

    async def outcomes(self) -> dict[str, str]:
        async with self.sessions() as session:
            return {row.order_id: row.outcome for row in await session.scalars(select(OrderLookup))}

    async def told(self) -> list[dict[str, str]]:
        async with self.sessions() as session:
            return list(await session.scalars(select(EventRow.ids).where(EventRow.kind == "order.changed")))


@pytest.fixture
async def talk(owner_sessions: Sessions, keyring: Keyring, processes: list[Process], store: Store) -> Talk:
    async with owner_sessions.begin() as session:
        integration = await session.get_one(Integration, store.integration_id)
        conversation = await make_conversation(session, keyring, integration)
    fetchers = [OrderFetcher(process.sessions, process.keyring, process.vault) for process in processes]
    return Talk(owner_sessions, fetchers, store, conversation)


@pytest.fixture
def seller(amazon: Amazon) -> Seller:
    return amazon.state.sellers[LAMPENLADEN]


def calls(amazon: Amazon) -> int:
    return amazon.state.counters.operations["getOrder"]


async def test_what_a_proven_mail_names_is_there(talk: Talk, seller: Seller, amazon: Amazon):
    first, second = (order.order_id for order in seller.orders[:2])
    await talk.names(first, second)

    assert await talk.fetch() is None

    orders = await talk.orders()
    assert set(orders) == {first, second}
    assert orders[first].item_count == 1
    assert orders[first].total is not None
    assert await talk.outcomes() == {first: "found", second: "found"}
    row = str(order_row_id(talk.store.integration_id, first))
    assert {"integration_id": str(talk.store.integration_id), "order_row_id": row} in await talk.told()


async def test_what_a_stranger_names_is_not_asked_for(talk: Talk, seller: Seller, amazon: Amazon):
    await talk.names(seller.orders[0].order_id, is_proven=False)

    await talk.fetch()

    assert (await talk.orders(), calls(amazon)) == ({}, 0)


@pytest.mark.parametrize("authenticity", ["authentic", "forged"])
async def test_what_a_worker_of_before_has_delivered_is_proven_within_the_hour(
    talk: Talk, seller: Seller, keyring: Keyring, authenticity: str
):
    order_id = seller.orders[0].order_id
    await talk.names(order_id, is_proven=False)
    async with talk.sessions.begin() as session:
        await make_message(
            session, keyring, talk.conversation, order_ids=[order_id], authenticity=authenticity
        )

    proven = await talk.fetchers[0].prove_orders(datetime.now(UTC))
    await talk.fetch()

    assert (proven, order_id in await talk.orders()) == (
        (1, True) if authenticity == "authentic" else (0, False)
    )


async def test_a_fresh_copy_is_not_asked_for_again(talk: Talk, seller: Seller, amazon: Amazon):
    await talk.names(seller.orders[0].order_id)
    await talk.fetch()

    await talk.fetch(NOW + FRESH)
    assert calls(amazon) == 1
    await talk.fetch(NOW + FRESH + timedelta(seconds=1))
    assert calls(amazon) == 2


async def test_what_becomes_of_it_is_seen_at_the_next_look(talk: Talk, seller: Seller, amazon: Amazon):
    order_id = seller.orders[0].order_id
    await talk.names(order_id)
    await talk.fetch()
    placed = amazon.state.orders.get(seller.seller_id, order_id)
    assert placed is not None
    before = (await talk.orders())[order_id].status
    with amazon.state.orders.changing(placed, amazon.state.now(), "shipped"):
        placed.ship(amazon.state.now(), "DHL", "JJD1")

    await talk.fetch(NOW + timedelta(hours=1))

    assert (before, (await talk.orders())[order_id].status) == ("UNSHIPPED", "SHIPPED")


async def test_an_order_that_amazon_does_not_know_is_said_to_be_unknown(talk: Talk, amazon: Amazon):
    await talk.names("999-9999999-9999999")

    assert await talk.fetch() is None

    assert await talk.outcomes() == {"999-9999999-9999999": "order_unknown"}
    assert (await talk.orders(), len(await talk.told())) == ({}, 1)
    await talk.fetch(NOW + FRESH)
    async with talk.sessions() as session:
        assert await session.scalar(select(OrderLookup.asked_at)) == NOW


async def test_an_order_that_vanishes_stays_and_says_so(talk: Talk, seller: Seller, amazon: Amazon):
    order_id = seller.orders[0].order_id
    await talk.names(order_id)
    await talk.fetch()
    placed = amazon.state.orders.get(seller.seller_id, order_id)
    assert placed is not None
    placed.is_gone = True

    await talk.fetch(NOW + timedelta(hours=1))

    assert (await talk.orders())[order_id].gone_at == NOW + timedelta(hours=1)


async def test_without_the_role_it_says_so_and_nobody_asks_again_and_again(
    talk: Talk, seller: Seller, amazon: Amazon
):
    order_id = seller.orders[0].order_id
    await talk.names(order_id)
    amazon.state.scenarios.switch_on("api-role-missing", operation="getOrder")

    assert await talk.fetch() is None
    assert await talk.fetch() is None

    assert await talk.outcomes() == {order_id: "role_missing"}
    async with talk.sessions() as session:
        assert await session.scalar(select(Grant.role_missing_operation)) == "getOrder"
        assert await session.scalar(select(Grant.revoked_at)) is None


async def test_while_amazon_is_away_it_is_tried_again(talk: Talk, seller: Seller, amazon: Amazon):
    order_id = seller.orders[0].order_id
    await talk.names(order_id)
    amazon.state.scenarios.switch_on("api-503-html", count=3)

    assert await talk.fetch() == timedelta(seconds=30)
    assert await talk.outcomes() == {order_id: "amazon_unavailable"}
    assert await talk.fetch() is None

    assert await talk.outcomes() == {order_id: "found"}


async def test_one_order_that_is_refused_costs_no_other(talk: Talk, seller: Seller, amazon: Amazon):
    order_id = seller.orders[0].order_id
    await talk.names("000-0000000-0000000", order_id)

    await talk.fetch()

    assert set(await talk.orders()) == {order_id}


async def test_an_order_that_cannot_be_stored_costs_no_other(talk: Talk, seller: Seller):
    poison, good = sorted(order.order_id for order in seller.orders[:2])
    await talk.names(poison, good)
    async with talk.sessions.begin() as session:
        await session.execute(
            text(f"ALTER TABLE orders ADD CONSTRAINT poison CHECK (order_id <> '{poison}')")
        )
    try:
        wait = await talk.fetch()
    finally:
        async with talk.sessions.begin() as session:
            await session.execute(text("ALTER TABLE orders DROP CONSTRAINT poison"))

    assert wait is None
    assert await talk.outcomes() == {poison: "order_unreadable", good: "found"}
    assert set(await talk.orders()) == {good}


@pytest.mark.parametrize("column", ["paused_at", "disconnected_at"])
async def test_a_store_that_rests_is_left_alone(talk: Talk, seller: Seller, amazon: Amazon, column: str):
    await talk.names(seller.orders[0].order_id)
    values = (
        {"disconnected_at": NOW, "rests_until": NOW} if column == "disconnected_at" else {"paused_at": NOW}
    )
    async with talk.sessions.begin() as session:
        await session.execute(update(Integration).values(**values))

    assert await talk.fetch() is None
    assert calls(amazon) == 0


async def test_two_workers_ask_for_each_order_once(talk: Talk, seller: Seller, amazon: Amazon):
    await talk.names(*(order.order_id for order in seller.orders))

    await asyncio.gather(
        *(fetcher.fetch_of_conversation(talk.conversation.id, NOW) for fetcher in talk.fetchers for _ in "ab")
    )

    assert set(await talk.orders()) == {order.order_id for order in seller.orders}
    assert calls(amazon) == len(seller.orders)


async def test_an_order_whose_worker_was_killed_is_asked_for_after_a_minute(talk: Talk, seller: Seller):
    order_id = seller.orders[0].order_id
    await talk.names(order_id)
    async with talk.sessions.begin() as session:
        session.add(
            OrderLookup(
                order_row_id=order_row_id(talk.store.integration_id, order_id),
                account_id=talk.store.account_id,
                integration_id=talk.store.integration_id,
                order_id=order_id,
                outcome="asking",
                asked_at=NOW,
            )
        )

    await talk.fetch(NOW + timedelta(seconds=59))
    assert await talk.orders() == {}
    await talk.fetch(NOW + timedelta(seconds=60))

    assert set(await talk.orders()) == {order_id}


async def test_another_account_names_nothing_here(talk: Talk, seller: Seller):
    await talk.names(seller.orders[0].order_id)

    async with talk.sessions() as session:
        assert await named_orders(session, UUID(int=0), talk.conversation.id) == []
