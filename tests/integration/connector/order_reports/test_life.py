"""Order reports from being asked for to their last row, with the sandbox in Amazon's place."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import delete, func, select, text, update

from services.connector.order_reports.document_service import Bounds
from services.connector.order_reports.planning import ALL_ORDERS, ORDER_REPORT
from services.connector.order_reports.service import Follower
from services.connector.orders.personal import open_buyer
from services.sandbox.state.report_columns import OPTIONAL
from services.sandbox.state.reports import Delivery
from services.sandbox.state.roles import RestrictedRole
from services.sandbox.state.sellers import Seller
from shared.database import Sessions
from shared.keyring import Keyring
from shared.tables import (
    Integration,
    JobRow,
    Order,
    OrderItem,
    OrderReport,
    OrderSync,
    SetupStep,
)
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import LAMPENLADEN, Amazon, amazon, settings
from tests.integration.connector.tokens.conftest import Process, Store, processes, store

__all__ = ["amazon", "processes", "settings", "store"]


@dataclass
class Reports:
    """A connected store's order reports, and who follows them."""

    owner: Sessions
    follower: Follower
    amazon: Amazon
    store: Store
    seller: Seller

    async def follow(self) -> timedelta | None:
        return await self.follower.follow(self.store.integration_id)

    async def only(self, report_type: str) -> None:
        """Nothing but this type is due from now on: the other one came just now."""
        other = ORDER_REPORT if report_type == ALL_ORDERS else ALL_ORDERS
        now = datetime.now(UTC)
        async with self.owner.begin() as session:
            session.add(
                OrderReport(
                    account_id=self.store.account_id,
                    integration_id=self.store.integration_id,
                    report_type=other,
                    data_from=now - timedelta(days=540),
                    data_to=now,
                    state="no_data",
                    created_at=now,
                )
            )
            if report_type == ALL_ORDERS:
                await session.execute(delete(OrderReport).where(OrderReport.report_type == report_type))

    async def once(self, report_type: str) -> OrderReport:
        """Follow until the first report of this type is over."""
        for _ in range(30):
            await self.follow()
            report = (await self.of_type(report_type))[0]
            if report.state not in {"asked", "ready"}:
                return report
            if report.failure is not None:
                return report
            self.amazon.state.advance_clock(2)
            await self.let_it_be_due()
        raise AssertionError("it did not end")

    async def of_type(self, report_type: str) -> list[OrderReport]:
        async with self.owner() as session:
            return list(
                await session.scalars(
                    select(OrderReport).where(OrderReport.report_type == report_type).order_by(OrderReport.id)
                )
            )

    async def let_it_be_due(self) -> None:
        async with self.owner.begin() as session:
            await session.execute(update(OrderReport).values(next_at=func.now()))

    async def orders(self) -> dict[str, Order]:
        async with self.owner() as session:
            return {order.order_id: order for order in await session.scalars(select(Order))}

    async def items(self) -> list[OrderItem]:
        async with self.owner() as session:
            return list(await session.scalars(select(OrderItem).order_by(OrderItem.item_id)))

    async def sync(self) -> OrderSync | None:
        async with self.owner() as session:
            return await session.get(OrderSync, self.store.integration_id)

    def created(self) -> int:
        return self.amazon.state.counters.operations["createReport"]


@pytest.fixture
async def reports(
    owner_sessions: Sessions, processes: list[Process], amazon: Amazon, store: Store
) -> Reports:
    process = processes[0]
    follower = Follower.create(
        process.sessions, process.vault, process.keyring, CollectorRegistry(), Bounds(batch_rows=50)
    )
    amazon.state.restricted_roles = frozenset({RestrictedRole.DIRECT_TO_CONSUMER_SHIPPING})
    return Reports(owner_sessions, follower, amazon, store, amazon.state.sellers[LAMPENLADEN])


async def test_both_reports_are_stored_with_what_they_tell(reports: Reports, keyring: Keyring):
    await reports.once(ORDER_REPORT)
    (stored, *_) = await reports.of_type(ORDER_REPORT)
    await reports.once(ALL_ORDERS)

    orders = await reports.orders()
    placed = {order.order_id for order in reports.seller.orders}
    assert set(orders) <= placed
    assert orders
    assert (stored.state, stored.problems, stored.lines_left_out) == ("stored", [], 0)
    assert stored.columns is not None
    assert stored.columns[0] == "order-id"
    with_buyer = next(order for order in orders.values() if order.buyer is not None)
    keys = await keyring.of(reports.owner, reports.store.account_id)
    assert with_buyer.buyer is not None
    assert open_buyer(keys, with_buyer.id, with_buyer.buyer).email
    for item in await reports.items():
        assert item.problems == []


async def test_a_report_that_amazon_has_made_lately_is_taken(reports: Reports):
    await reports.only(ORDER_REPORT)
    await reports.once(ORDER_REPORT)
    async with reports.owner.begin() as session:
        await session.execute(delete(OrderReport).where(OrderReport.report_type == ORDER_REPORT))
    before = reports.created()

    again = await reports.once(ORDER_REPORT)

    assert (again.state, reports.created()) == ("stored", before)


async def test_the_same_once_more_writes_no_order(reports: Reports):
    await reports.only(ALL_ORDERS)
    await reports.once(ALL_ORDERS)
    before = await reports.orders()
    async with reports.owner.begin() as session:
        await session.execute(
            update(OrderReport)
            .where(OrderReport.report_type == ALL_ORDERS)
            .values(state="ready", rows_stored=0)
        )

    await reports.follow()

    after = await reports.orders()
    assert {order.order_id: order.changed_at for order in after.values()} == {
        order.order_id: order.changed_at for order in before.values()
    }


async def test_the_history_is_asked_for_backwards_month_by_month(reports: Reports):
    await reports.only(ALL_ORDERS)
    first = await reports.once(ALL_ORDERS)

    await reports.follow()

    (_, second) = await reports.of_type(ALL_ORDERS)
    assert first.data_from is not None
    assert second.data_to == first.data_from
    assert second.data_from == first.data_from - timedelta(days=30)


@pytest.mark.parametrize(
    ("scenario", "state", "failure", "problems"),
    [
        ("report-cancelled", "no_data", None, []),
        ("report-fatal", "asked", "fatal", []),
        ("report-cut", "stored", None, ["cut_off"]),
        ("report-column-twice", "stored", None, ["columns_twice"]),
        ("report-wrong-charset", "stored", None, []),
        ("report-cut-transfer", "ready", "amazon_unavailable", []),
        ("report-zip-bomb", "failed", "report_zip_bomb", []),
        ("report-url-elsewhere", "failed", "document_elsewhere", []),
        ("report-url-redirects", "failed", "document_elsewhere", []),
    ],
)
async def test_what_can_be_wrong_with_a_report_has_a_name(
    reports: Reports, scenario: str, state: str, failure: str | None, problems: list[str]
):
    await reports.only(ALL_ORDERS)
    reports.amazon.state.scenarios.switch_on(scenario)

    report = await reports.once(ALL_ORDERS)

    assert (report.state, report.failure, report.problems) == (state, failure, problems)
    if state == "asked":
        # Not before Amazon would make it.
        assert report.next_at - datetime.now(UTC) > timedelta(minutes=30)
    if state == "stored":
        orders = await reports.orders()
        assert orders


async def test_a_transfer_that_breaks_is_tried_again_and_goes_on(reports: Reports):
    await reports.only(ALL_ORDERS)
    reports.amazon.state.scenarios.switch_on("report-cut-transfer", count=1)
    broken = await reports.once(ALL_ORDERS)
    reports.amazon.state.scenarios.switch_all_off()
    for made in reports.amazon.state.reports.newest_first(LAMPENLADEN):
        made.flaws = frozenset()

    await reports.follow()

    (report, *_) = await reports.of_type(ALL_ORDERS)
    assert (broken.state, report.state, report.failure) == ("ready", "stored", None)


async def test_without_the_role_nothing_is_wrong_with_the_store(reports: Reports):
    reports.amazon.state.restricted_roles = frozenset()

    report = await reports.once(ORDER_REPORT)
    everything = await reports.once(ALL_ORDERS)

    assert (report.state, report.failure) == ("failed", "restricted_role_missing")
    assert everything.state == "stored"
    sync = await reports.sync()
    assert sync is not None
    assert sync.restricted_role_missing_at is not None
    assert sync.report_columns_missing is None
    await reports.follow()
    assert len(await reports.of_type(ORDER_REPORT)) == 1


async def test_columns_are_proven_by_the_report(reports: Reports, signed_in: SignedIn):
    path = f"/api/v1/integrations/{reports.store.integration_id}"
    reports.seller.report_columns = set()
    await reports.only(ORDER_REPORT)
    await reports.once(ORDER_REPORT)

    (check,) = [
        check
        for check in (await signed_in.client.get(path)).json()["checks"]
        if check["code"] == "report_columns_missing"
    ]
    assert "gift-message-text" in check["text"]
    assert check["link"].endswith(
        "/sellercentral-europe.amazon.com/order-reports-and-feeds/column-picker?country=DE"
    )
    async with reports.owner() as session:
        assert (await session.scalars(select(SetupStep))).all() == []

    reports.seller.report_columns = set(OPTIONAL)
    async with reports.owner.begin() as session:
        await session.execute(delete(OrderReport).where(OrderReport.report_type == ORDER_REPORT))
    # Amazon still has the report that lacks them.
    reports.amazon.state.advance_clock(timedelta(hours=5).total_seconds())
    reports.amazon.state.reports = type(reports.amazon.state.reports)()
    await reports.once(ORDER_REPORT)

    answer = (await signed_in.client.get(path)).json()
    assert "report_columns_missing" not in [check["code"] for check in answer["checks"]]
    assert "report_columns_missing" not in answer["not_checked"]
    async with reports.owner() as session:
        (step,) = (await session.scalars(select(SetupStep))).all()
        jobs = (await session.scalars(select(JobRow.kind))).all()
    assert (step.step, step.country, step.done_by) == ("order_report_columns", "DE", None)
    assert "recompute_lock" in jobs


async def test_a_worker_that_stops_in_the_middle_goes_on_where_it_was(reports: Reports):
    await reports.only(ALL_ORDERS)
    reports.amazon.state.reports.deliveries[None] = Delivery(rows=2000)
    while not (found := await reports.of_type(ALL_ORDERS)) or found[0].report_id is None:
        await reports.follow()
    reports.amazon.state.advance_clock(5)

    following = asyncio.create_task(reports.follow())
    while (await reports.of_type(ALL_ORDERS))[0].rows_stored < 300:
        pass
    following.cancel()
    await asyncio.wait([following])
    middle = (await reports.of_type(ALL_ORDERS))[0]
    some = len(await reports.items())
    await reports.follow()

    (report, *_) = await reports.of_type(ALL_ORDERS)
    assert (middle.state, report.state, report.rows_stored) == ("ready", "stored", 2000)
    assert 300 <= middle.rows_stored < 2000
    assert some < len(await reports.items())


async def test_two_workers_store_a_report_once(reports: Reports, processes: list[Process]):
    await reports.only(ALL_ORDERS)
    reports.amazon.state.reports.deliveries[None] = Delivery(rows=500)
    await reports.follow()
    reports.amazon.state.advance_clock(5)
    other = processes[1]
    second = Follower.create(
        other.sessions, other.vault, other.keyring, CollectorRegistry(), Bounds(batch_rows=50)
    )

    await asyncio.gather(reports.follow(), second.follow(reports.store.integration_id))

    (report, *_) = await reports.of_type(ALL_ORDERS)
    assert (report.state, report.rows_stored) == ("stored", 500)


async def test_an_item_without_an_id_is_the_one_with_its_sku(reports: Reports):
    await reports.only(ALL_ORDERS)
    await reports.once(ALL_ORDERS)
    stand_ins = await reports.items()
    async with reports.owner.begin() as session:
        await session.execute(delete(OrderReport))

    await reports.only(ORDER_REPORT)
    await reports.once(ORDER_REPORT)

    items = await reports.items()
    assert all(item.item_id.startswith("sku:") for item in stand_ins)
    assert len(items) == len(stand_ins)
    merchant = [item for item in items if not item.item_id.startswith("sku:")]
    assert merchant

    # And the other way round: what "All Orders" says belongs to the item that has an id.
    async with reports.owner.begin() as session:
        await session.execute(delete(OrderReport))
        await session.execute(update(OrderItem).values(report_columns=None))
        await session.execute(update(Order).values(report_digest=None))
    await reports.only(ALL_ORDERS)
    await reports.once(ALL_ORDERS)
    again = await reports.items()
    assert {item.item_id for item in again} == {item.item_id for item in items}
    assert all(item.report_columns and item.report_columns["item-status"] for item in again)


async def test_a_paused_store_is_left_alone(reports: Reports):
    async with reports.owner.begin() as session:
        await session.execute(update(Integration).values(paused_at=func.now()))

    assert await reports.follow() is None
    assert reports.created() == 0


async def test_amazons_limits_put_a_report_off(reports: Reports):
    await reports.only(ALL_ORDERS)
    reports.amazon.fail_api(429, '{"errors": [{"code": "QuotaExceeded", "message": "slow"}]}', count=9)

    wait = await reports.follow()

    (report, *_) = await reports.of_type(ALL_ORDERS)
    assert (report.state, report.report_id, report.attempts) == ("asked", None, 0)
    assert wait is not None
    assert wait > timedelta(seconds=30)


async def test_amazon_that_is_away_uses_up_none_of_a_reports_chances(reports: Reports):
    await reports.only(ALL_ORDERS)
    for _ in range(5):
        reports.amazon.fail_api(503, "{}", count=9)
        await reports.follow()
        await reports.let_it_be_due()
    (away, *_) = await reports.of_type(ALL_ORDERS)
    reports.amazon.state.api_failure = None
    await reports.follow()

    (report, *_) = await reports.of_type(ALL_ORDERS)
    assert (away.state, away.failure, away.attempts) == ("asked", "amazon_unavailable", 0)
    assert report.report_id is not None
    assert report.failure is None


@asynccontextmanager
async def poisoned(owner: Sessions, table: str, condition: str) -> AsyncIterator[None]:
    """Rows that PostgreSQL does not take."""
    async with owner.begin() as session:
        await session.execute(
            text(f"ALTER TABLE {table} ADD CONSTRAINT poison CHECK ({condition}) NOT VALID")
        )
    try:
        yield
    finally:
        async with owner.begin() as session:
            await session.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT poison"))


async def test_an_order_that_cannot_be_stored_holds_up_no_other_of_its_report(reports: Reports):
    await reports.only(ALL_ORDERS)
    reports.amazon.state.reports.deliveries[None] = Delivery(rows=200)
    async with poisoned(reports.owner, "orders", "order_id NOT LIKE '%7'"):
        report = await reports.once(ALL_ORDERS)
        stored = await reports.orders()

    assert (report.state, report.rows_stored, report.problems) == ("stored", 200, ["order_not_storable"])
    assert stored


async def test_a_report_that_always_breaks_off_ends_so_that_another_one_is_asked_for(reports: Reports):
    await reports.only(ALL_ORDERS)
    async with poisoned(reports.owner, "order_reports", "state <> 'stored'"):
        for _ in range(10):
            await reports.follow()
            reports.amazon.state.advance_clock(2)

    (report, *_) = await reports.of_type(ALL_ORDERS)
    assert (report.state, report.failure) == ("failed", "broke_off")


async def test_a_document_that_is_too_large_ends_its_report(reports: Reports, processes: list[Process]):
    await reports.only(ALL_ORDERS)
    process = processes[0]
    reports.follower = Follower.create(
        process.sessions, process.vault, process.keyring, CollectorRegistry(), Bounds(most_bytes=100)
    )

    report = await reports.once(ALL_ORDERS)

    assert (report.state, report.failure) == ("failed", "document_too_large")
