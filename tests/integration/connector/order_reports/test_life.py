"""Order reports from being asked for to their last row, with the sandbox in Amazon's place."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import delete, func, select, update

from services.connector.order_reports.document_service import Bounds
from services.connector.order_reports.planning import ALL_ORDERS, ORDER_REPORT
from services.connector.order_reports.service import Follower
from services.connector.orders.personal import open_buyer
from services.sandbox.state.roles import RestrictedRole
from services.sandbox.state.sellers import Seller
from shared.database import Sessions
from shared.keyring import Keyring
from shared.tables import (
    Order,
    OrderItem,
    OrderReport,
    OrderSync,
)
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
            if report.report_id is None and report.failure is not None:
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
