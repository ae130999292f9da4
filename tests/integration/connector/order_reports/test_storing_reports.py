"""What a report's rows become in the database, beside what the SP-API has said and across batches."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from services.connector.order_reports.document_service import Storing, TakenOver
from services.connector.order_reports.planning import ALL_ORDERS, ORDER_REPORT
from services.connector.order_reports.queries import Store
from services.connector.order_reports.reading_thread import reading
from services.connector.orders.model import Amounts, OrderItemRecord, OrderRecord
from services.connector.orders.personal import open_report_cells
from services.connector.orders.storing import store_orders
from shared.crypto.envelope import AccountKeys
from shared.database import Sessions
from shared.driver import new_id
from shared.keyring import Keyring
from shared.tables import Order, OrderItem, OrderReport
from tests.factories import make_account, make_integration
from tests.order_reports import (
    ALL_ORDERS as ALL_COLUMNS,
)
from tests.order_reports import (
    ORDER_REPORT as REPORT_COLUMNS,
)
from tests.order_reports import (
    all_orders_row,
    order_number,
    order_report_row,
    report_of,
)

_EARLIEST = datetime(2026, 10, 1, tzinfo=UTC)
NOW = datetime.now(UTC)


@dataclass
class Reported:
    """A store into which reports are stored."""

    sessions: Sessions
    keys: AccountKeys
    store: Store

    async def report(self, report_type: str, content: str, *, batch_rows: int = 50) -> OrderReport:
        async with self.sessions.begin() as session:
            report = OrderReport(
                id=new_id(),
                account_id=self.store.account_id,
                integration_id=self.store.integration_id,
                report_type=report_type,
                state="ready",
                rows_stored=0,
                problems=[],
            )
            session.add(report)
        await self.go_on(report, content, batch_rows=batch_rows)
        async with self.sessions() as session:
            return await session.get_one(OrderReport, report.id)

    async def go_on(self, report: OrderReport, content: str, *, batch_rows: int = 50) -> None:
        storing = Storing(self.sessions, self.keys, self.store, report, report.rows_stored, set())
        async with reading(
            _chunks(content.encode()),
            content_type=None,
            country="DE",
            earliest=_EARLIEST,
            skip=report.rows_stored,
            batch_rows=batch_rows,
        ) as opened:
            await storing.store_all(opened)

    async def api(self, *orders: OrderRecord) -> None:
        async with self.sessions.begin() as session:
            await store_orders(session, self.keys, self.store.integration_id, orders, now=NOW)

    async def order(self, number: int) -> Order:
        async with self.sessions() as session:
            return (await session.scalars(select(Order).where(Order.order_id == order_number(number)))).one()

    async def items(self, number: int) -> list[OrderItem]:
        row_id = (await self.order(number)).id
        async with self.sessions() as session:
            statement = select(OrderItem).where(OrderItem.order_row_id == row_id).order_by(OrderItem.item_id)
            return list(await session.scalars(statement))


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 4096):
        yield content[start : start + 4096]


@pytest.fixture
async def reported(owner_sessions: Sessions, keyring: Keyring) -> Reported:
    async with owner_sessions.begin() as session:
        account = await make_account(session, keyring)
        integration = await make_integration(session, account.id)
    keys = await keyring.of(owner_sessions, account.id)
    return Reported(owner_sessions, keys, Store(account.id, integration.id, "DE", ()))


async def test_an_order_whose_rows_lie_in_several_batches_is_whole(reported: Reported):
    others = [all_orders_row(number) for number in range(2, 200)]
    rows = [
        all_orders_row(1, item_price="10.00"),
        *others,
        all_orders_row(1, sku="BULB", item_price="5.00", quantity="7"),
    ]

    report = await reported.report(ALL_ORDERS, report_of(ALL_COLUMNS, rows))

    order = await reported.order(1)
    assert (order.items_amount, order.item_count, order.quantity) == (Decimal(15), 2, 9)
    assert (report.state, report.rows_stored) == ("stored", len(rows))


async def test_what_the_sp_api_said_later_stays_and_the_cells_come_in_addition(reported: Reported):
    told = OrderRecord(
        order_number(1),
        datetime(2026, 11, 20, tzinfo=UTC),
        status="CANCELLED",
        amounts=Amounts("EUR", total=Decimal(99)),
        items=(OrderItemRecord("123", sku="LAMP-0001", title="From the API", quantity=1),),
    )
    await reported.api(told)

    await reported.report(ALL_ORDERS, report_of(ALL_COLUMNS, [all_orders_row(1, promotion_ids="SALE")]))

    order, (item,) = await reported.order(1), await reported.items(1)
    assert (order.status, order.total, order.last_updated_at) == (
        "CANCELLED",
        Decimal(99),
        told.last_updated_at,
    )
    assert (item.item_id, item.title, item.quantity) == ("123", "From the API", 1)
    assert item.report_columns is not None
    assert item.report_columns["promotion-ids"] == "SALE"
    assert item.report_personal is not None
    cells = open_report_cells(reported.keys, item.id, item.report_personal)
    assert cells["ship-city"] == "Osnabrück"


async def test_what_is_newer_in_the_report_is_taken(reported: Reported):
    await reported.api(OrderRecord(order_number(1), _EARLIEST, status="UNSHIPPED"))

    await reported.report(ALL_ORDERS, report_of(ALL_COLUMNS, [all_orders_row(1)]))

    assert (await reported.order(1)).status == "SHIPPED"


async def test_the_item_with_amazons_id_takes_the_place_of_the_one_without(reported: Reported):
    await reported.report(
        ALL_ORDERS, report_of(ALL_COLUMNS, [all_orders_row(1), all_orders_row(1, sku="OTHER")])
    )
    assert [item.item_id for item in await reported.items(1)] == ["sku:LAMP-0001", "sku:OTHER"]

    await reported.report(ORDER_REPORT, report_of(REPORT_COLUMNS, [order_report_row(1)]))

    assert [item.item_id for item in await reported.items(1)] == ["10000000000001", "sku:OTHER"]
    assert (await reported.order(1)).item_count == 2


async def test_who_has_lost_the_report_stores_nothing_more(reported: Reported):
    content = report_of(ALL_COLUMNS, [all_orders_row(number) for number in range(100)])
    report = await reported.report(ALL_ORDERS, content)
    async with reported.sessions.begin() as session:
        row = await session.get_one(OrderReport, report.id)
        row.state, row.rows_stored = "ready", 75

    with pytest.raises(TakenOver):
        await reported.go_on(report_at(report, 50), content)

    async with reported.sessions() as session:
        row = await session.get_one(OrderReport, report.id)
    assert (row.state, row.rows_stored) == ("ready", 75)


def report_at(report: OrderReport, position: int) -> OrderReport:
    report.rows_stored = position
    return report


async def test_an_old_orders_personal_cells_are_not_stored(reported: Reported):
    long_ago = (NOW - timedelta(days=200)).isoformat()
    row = order_report_row(1) | {"purchase-date": long_ago}

    await reported.report(ORDER_REPORT, report_of(REPORT_COLUMNS, [row]))

    order, (item,) = await reported.order(1), await reported.items(1)
    assert (order.buyer, order.recipient, item.report_personal) == (None, None, None)
    assert item.sku == "LAMP-0001"


async def test_sums_that_no_column_takes_break_off_no_report(reported: Reported):
    most = dict.fromkeys(("item_price", "item_tax", "shipping_tax", "shipping_price"), "99999999999999")
    for names in ("AB", "CD"):
        rows = [all_orders_row(1, sku=name, quantity="-2000000000", **most) for name in names]
        await reported.report(ALL_ORDERS, report_of(ALL_COLUMNS, [*rows, all_orders_row(2)]))

    order = await reported.order(1)
    assert (order.item_count, order.quantity, order.items_amount, order.tax_amount) == (4, 0, None, None)
    assert (await reported.order(2)).item_count == 1
