"""Orders are stored once, with their last state, whoever tells of them and in whichever order."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select, update

from services.connector.orders.model import (
    Address,
    Amounts,
    Buyer,
    OrderItemRecord,
    OrderRecord,
    PackageRecord,
    Source,
)
from services.connector.orders.personal import open_buyer, open_gift, open_recipient
from services.connector.orders.storing import Stored, store_orders
from shared.database import Sessions
from shared.keyring import Keyring
from shared.orders import order_row_id
from shared.tables import Account, EventRow, Integration, Order, OrderItem, OrderPackage
from tests.factories import make_account, make_integration

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ORDER_ID = "303-1234567-1234567"
BUYER = Buyer(name="Erika Beispiel", email="K3x9+tag@marketplace.amazon.de")
ORDER = OrderRecord(
    order_id=ORDER_ID,
    last_updated_at=NOW - DAY,
    country="DE",
    status="UNSHIPPED",
    programs=("PRIME",),
    is_prime=True,
    purchased_at=NOW - 2 * DAY,
    deliver_by=NOW + 3 * DAY,
    amounts=Amounts(currency="EUR", total=Decimal("42.00")),
    items=(OrderItemRecord("1", title="Lampe", quantity=2), OrderItemRecord("2", title="Birne", quantity=1)),
    packages=(),
)


class Store:
    """One store, and what is stored of it."""

    def __init__(self, sessions: Sessions, keyring: Keyring, integration: Integration) -> None:
        self.sessions = sessions
        self.keyring = keyring
        self.integration = integration
        self.row_id = order_row_id(integration.id, ORDER_ID)

    async def told(self, *orders: OrderRecord, now: datetime = NOW, is_news: bool = True) -> Stored:
        keys = await self.keyring.of(self.sessions, self.integration.account_id)
        async with self.sessions.begin() as session:
            return await store_orders(session, keys, self.integration.id, orders, now=now, is_news=is_news)

    async def order(self) -> Order:
        async with self.sessions() as session:
            found = await session.scalar(select(Order).where(Order.id == self.row_id))
        assert found is not None
        return found

    async def items(self) -> Sequence[OrderItem]:
        async with self.sessions() as session:
            return (await session.scalars(select(OrderItem).order_by(OrderItem.position))).all()

    async def packages(self) -> Sequence[OrderPackage]:
        async with self.sessions() as session:
            return (await session.scalars(select(OrderPackage).order_by(OrderPackage.position))).all()

    async def events(self) -> int:
        async with self.sessions() as session:
            return await session.scalar(select(func.count()).where(EventRow.kind == "order.changed")) or 0


@pytest.fixture
async def store(sessions: Sessions, keyring: Keyring) -> Store:
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        integration = await make_integration(session, account.id)
    return Store(sessions, keyring, integration)


async def test_a_new_order_is_there_with_its_items(store: Store):
    stored = await store.told(ORDER)

    assert stored == Stored(1, (store.row_id,))
    order = await store.order()
    assert (order.order_id, order.status, order.programs, order.total) == (
        ORDER_ID,
        "UNSHIPPED",
        ["PRIME"],
        Decimal(42),
    )
    assert (order.item_count, order.quantity, order.fetched_at) == (2, 3, NOW)
    assert [item.title for item in await store.items()] == ["Lampe", "Birne"]
    assert await store.events() == 1


async def test_the_same_once_more_writes_nothing_but_when_it_was_asked_for(store: Store):
    await store.told(ORDER)
    changed_at = (await store.order()).changed_at

    assert await store.told(ORDER, now=NOW + DAY) == Stored(0, ())
    order = await store.order()
    assert (order.changed_at, order.fetched_at) == (changed_at, NOW + DAY)
    assert await store.events() == 1


async def test_a_change_carries_the_moment_of_its_storing_whenever_amazon_was_asked(store: Store):
    """Whoever follows the changes has read past the moment of a question that took minutes to answer."""
    async with store.sessions.begin() as session:
        begun_at = (await session.execute(select(func.now()))).scalar_one()
    await store.told(ORDER, now=NOW - DAY)
    first = (await store.order()).changed_at
    await store.told(replace(ORDER, last_updated_at=NOW, status="SHIPPED"), now=NOW - DAY)

    assert begun_at < first < (await store.order()).changed_at


async def test_what_amazon_changed_earlier_changes_nothing(store: Store):
    shipped = replace(ORDER, last_updated_at=NOW, status="SHIPPED")
    await store.told(shipped)

    assert (await store.told(ORDER)).changed == ()
    assert (await store.order()).status == "SHIPPED"


async def test_of_one_order_twice_in_a_page_the_later_one_counts(store: Store):
    shipped = replace(ORDER, last_updated_at=NOW, status="SHIPPED")

    assert await store.told(shipped, ORDER) == Stored(1, (store.row_id,))
    assert (await store.order()).status == "SHIPPED"


async def test_of_the_same_moment_more_is_taken(store: Store):
    """A role has come: the same state, now with the buyer."""
    await store.told(ORDER)

    await store.told(replace(ORDER, buyer=BUYER))

    assert (await store.order()).buyer is not None


async def test_what_a_later_answer_does_not_say_stays(store: Store):
    await store.told(replace(ORDER, buyer=BUYER, recipient=Address(name="Erika")))

    await store.told(
        replace(ORDER, last_updated_at=NOW, status=None, amounts=Amounts(), packages=None, items=())
    )

    order = await store.order()
    assert (order.status, order.total, len(await store.items())) == ("UNSHIPPED", Decimal(42), 2)
    assert order.buyer is not None
    assert order.recipient is not None


async def test_items_and_packages_that_amazon_no_longer_names_are_gone(store: Store):
    await store.told(replace(ORDER, packages=(PackageRecord("1"), PackageRecord("2"))))

    await store.told(
        replace(
            ORDER,
            last_updated_at=NOW,
            items=ORDER.items[1:],
            packages=(PackageRecord("2", status="SHIPPED"),),
        )
    )

    assert [item.item_id for item in await store.items()] == ["2"]
    assert [(package.reference, package.status) for package in await store.packages()] == [("2", "SHIPPED")]


async def test_an_item_that_is_named_twice_is_one(store: Store):
    await store.told(replace(ORDER, items=(ORDER.items[0], ORDER.items[0])))

    assert [item.item_id for item in await store.items()] == ["1"]


async def test_what_is_personal_is_sealed_and_opens(store: Store, keyring: Keyring):
    gift = replace(ORDER.items[0], gift_message="Alles Gute!")
    address = Address(name="Erika", lines=("Weg 1", "Hinterhaus"), city="Ulm")
    await store.told(replace(ORDER, buyer=BUYER, recipient=address, items=(gift,)))

    order, [item] = await store.order(), await store.items()
    keys = await keyring.of(store.sessions, store.integration.account_id)
    assert order.buyer is not None
    assert order.recipient is not None
    assert item.gift is not None
    assert open_buyer(keys, order.id, order.buyer) == BUYER
    assert open_recipient(keys, order.id, order.recipient) == address
    assert open_gift(keys, item.id, item.gift) == "Alles Gute!"
    assert order.buyer_key == keys.lookup_hash("buyer", "k3x9@marketplace.amazon.de")
    assert order.personal_ends_at == NOW + 31 * DAY


async def test_the_address_of_all_business_buyers_is_no_key(store: Store):
    await store.told(replace(ORDER, buyer=Buyer(email="no-reply-amazon-iba-buyer@marketplace.amazon.it")))

    assert (await store.order()).buyer_key is None


async def test_personal_data_end_in_time_to_be_gone_thirty_days_after_the_delivery(store: Store):
    delivered = (PackageRecord("1", status="DELIVERED"),)
    await store.told(replace(ORDER, buyer=BUYER, packages=delivered))
    await store.told(replace(ORDER, last_updated_at=NOW, buyer=BUYER, packages=delivered))

    order = await store.order()
    assert (order.delivered_at, order.personal_ends_at) == (NOW - DAY, NOW + 27 * DAY)


async def test_personal_data_that_have_ended_do_not_come_back(store: Store):
    gift = replace(ORDER.items[0], gift_message="Alles Gute!")
    order = replace(ORDER, buyer=BUYER, recipient=Address(name="Erika"), items=(gift,))

    await store.told(order, now=NOW + 34 * DAY)

    stored, [item] = await store.order(), await store.items()
    assert (stored.buyer, stored.buyer_key, stored.recipient, stored.personal_ends_at, item.gift) == (
        None,
    ) * 5


async def test_a_law_may_keep_them_longer(store: Store):
    async with store.sessions.begin() as session:
        await session.execute(
            update(Account)
            .where(Account.id == store.integration.account_id)
            .values(longer_kept_days=10, longer_kept_reason="Tax")
        )

    await store.told(replace(ORDER, buyer=BUYER), now=NOW + 34 * DAY)

    assert (await store.order()).buyer is not None


async def test_a_report_fills_what_the_api_has_not_said_and_takes_nothing_back(store: Store):
    await store.told(ORDER)
    item = OrderItemRecord("1", title="Lamp", report_columns={"is-transparency": "true"})
    report = OrderRecord(
        order_id=ORDER_ID,
        last_updated_at=NOW - 2 * DAY,
        source=Source.REPORT,
        status="PENDING",
        ship_by=NOW,
        items=(item,),
    )

    stored = await store.told(report)

    assert stored.changed == (store.row_id,)
    order, items = await store.order(), await store.items()
    assert (order.status, order.ship_by, order.last_updated_at, order.is_prime) == (
        "UNSHIPPED",
        NOW,
        NOW - DAY,
        True,
    )
    assert [(each.title, each.report_columns) for each in items] == [
        ("Lampe", {"is-transparency": "true"}),
        ("Birne", None),
    ]
    assert (await store.told(report)).changed == ()


async def test_a_newer_report_says_how_it_is_and_the_api_corrects_it(store: Store):
    await store.told(ORDER)
    report = OrderRecord(order_id=ORDER_ID, last_updated_at=NOW, source=Source.REPORT, status="SHIPPED")
    await store.told(report)
    assert ((await store.order()).status, (await store.order()).is_prime) == ("SHIPPED", True)

    await store.told(replace(ORDER, last_updated_at=NOW, status="CANCELLED"))

    assert (await store.order()).status == "CANCELLED"


async def test_the_newest_purchase_is_when_the_store_last_sold(store: Store):
    await store.told(ORDER, replace(ORDER, order_id="303-0000000-0000001", purchased_at=NOW - 9 * DAY))

    async with store.sessions() as session:
        assert await session.scalar(select(Integration.last_order_at)) == NOW - 2 * DAY


async def test_history_is_no_news(store: Store):
    await store.told(ORDER, is_news=False)

    assert await store.events() == 0


async def test_many_who_tell_of_the_same_orders_store_each_once_with_its_last_state(store: Store):
    numbers = [f"303-0000000-{number:07}" for number in range(20)]
    pages = [
        [replace(ORDER, order_id=number, last_updated_at=NOW + at * DAY, status=status) for number in order]
        for at, status in enumerate(("PENDING", "UNSHIPPED", "PARTIALLY_SHIPPED", "SHIPPED"))
        for order in (numbers, numbers[::-1])
    ]

    await asyncio.gather(*(store.told(*page, now=NOW + 4 * DAY) for page in pages))

    async with store.sessions() as session:
        states = (await session.execute(select(Order.order_id, Order.status))).all()
    assert sorted(states) == [(number, "SHIPPED") for number in numbers]
    assert len(await store.items()) == 40


async def test_an_account_finds_only_its_own(store: Store, sessions: Sessions, keyring: Keyring):
    async with sessions.begin() as session:
        other = await make_integration(session, (await make_account(session, keyring)).id)
    await store.told(ORDER)
    await Store(sessions, keyring, other).told(replace(ORDER, status="SHIPPED", last_updated_at=NOW))

    assert (await store.order()).status == "UNSHIPPED"


FAR = NOW + 365 * DAY


@pytest.mark.parametrize("source", list(Source))
async def test_a_change_in_the_future_does_not_freeze_the_order(store: Store, source: Source):
    await store.told(replace(ORDER, source=source, last_updated_at=FAR, status="UNSHIPPED"))
    first = await store.order()
    await store.told(replace(ORDER, last_updated_at=NOW, status="SHIPPED"))

    assert first.last_updated_at <= NOW
    assert first.problems
    assert (await store.order()).status == "SHIPPED"


async def test_what_is_told_with_a_time_in_the_future_is_news_once_and_what_is_told_truly_wins(store: Store):
    await store.told(ORDER)
    wrong = replace(ORDER, last_updated_at=FAR, status="SHIPPED")

    assert (await store.told(wrong)).changed == (store.row_id,)
    assert await store.told(wrong, now=NOW + DAY / 4) == Stored(0, ())
    order = await store.order()
    assert (order.status, order.last_updated_at) == ("SHIPPED", ORDER.last_updated_at)
    await store.told(replace(ORDER, last_updated_at=NOW, status="CANCELLED"))
    assert (await store.order()).status == "CANCELLED"


async def test_a_purchase_in_the_future_keeps_nothing_longer(store: Store):
    await store.told(replace(ORDER, purchased_at=FAR, deliver_by=None, buyer=BUYER))

    order = await store.order()
    assert (order.purchased_at, order.problems) == (None, ["createdTime"])
    assert order.personal_ends_at is not None
    assert order.personal_ends_at < NOW + 61 * DAY
