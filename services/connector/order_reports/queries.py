"""The rows of order reports, and what they prove of a store's columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.order_reports.planning import ORDER_REPORT, Known, SyncFacts, Wanted
from shared.driver import new_id
from shared.tables import (
    Grant,
    Integration,
    MarketplaceParticipation,
    OrderReport,
    OrderReportState,
    OrderSync,
    SetupStep,
    SetupStepName,
)

_OPEN: Final = (OrderReportState.ASKED.value, OrderReportState.READY.value)
_KEPT: Final = timedelta(days=90)
_ITEMS: Final = text(
    "SELECT order_row_id, item_id, sku, asin FROM order_items"
    " WHERE account_id = :account AND order_row_id = ANY (CAST(:orders AS uuid[])) ORDER BY order_row_id, position"
)
# What a report without item ids said of an item, once another one has told the item with its id.
_STAND_INS: Final = text(
    "DELETE FROM order_items AS o WHERE account_id = :account AND order_row_id = ANY (CAST(:orders AS uuid[]))"
    " AND starts_with(item_id, 'sku:') AND EXISTS (SELECT FROM order_items AS real WHERE real.account_id = :account"
    " AND real.order_row_id = o.order_row_id AND real.sku = o.sku AND NOT starts_with(real.item_id, 'sku:'))"
)
# What the items of an order come to. An order whose rows lie far apart in a report is stored in parts, and no part knows the others; of what
# the SP-API has told, the SP-API knows the sums.


def _sum(column: str) -> str:
    """A sum, or nothing if it is more than a column takes."""
    return f"CASE WHEN abs(sum({column})) < 1e14 THEN sum({column}) END"


_SUMS: Final = text(
    f"""
    UPDATE orders SET item_count = sums.item_count, quantity = sums.quantity, currency = coalesce(sums.currency, orders.currency),
        items_amount = sums.items, shipping_amount = sums.shipping, tax_amount = sums.tax, discount_amount = sums.discount,
        other_amount = sums.other
    FROM (
        SELECT order_row_id, count(*) AS item_count, least(sum(greatest(quantity, 0)), 2000000000) AS quantity, max(currency) AS currency,
            {_sum("item_amount")} AS items, {_sum("shipping_amount")} AS shipping, {_sum("tax_amount")} AS tax,
            {_sum("discount_amount")} AS discount, {_sum("other_amount")} AS other
        FROM order_items WHERE account_id = :account AND order_row_id = ANY (CAST(:orders AS uuid[]))
        GROUP BY order_row_id HAVING count(DISTINCT currency) < 2
    ) AS sums
    WHERE orders.account_id = :account AND orders.id = sums.order_row_id AND orders.api_digest IS NULL
        AND (orders.item_count, orders.quantity, orders.items_amount, orders.shipping_amount, orders.tax_amount, orders.discount_amount,
            orders.other_amount)
        IS DISTINCT FROM (sums.item_count, sums.quantity, sums.items, sums.shipping, sums.tax, sums.discount, sums.other)
    """  # noqa: S608 - our own names
)


@dataclass(frozen=True, slots=True)
class Store:
    """A store that is connected and not paused."""

    account_id: UUID
    integration_id: UUID
    home_country: str
    marketplace_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownItem:
    """An item that is stored."""

    order_row_id: UUID
    item_id: str
    sku: str | None
    asin: str | None


async def store_of(session: AsyncSession, integration_id: UUID) -> Store | None:
    """The store, with the marketplaces that it sells in. None if it is paused or disconnected, or has no grant that holds."""
    row = (
        await session.execute(
            select(Integration.account_id, Integration.home_country)
            .join(Grant, Grant.integration_id == Integration.id)
            .where(
                Grant.revoked_at.is_(None),
                func.length(Grant.refresh_token) > 0,
                Integration.id == integration_id,
                Integration.disconnected_at.is_(None),
                Integration.paused_at.is_(None),
            )
        )
    ).one_or_none()
    if row is None:
        return None
    ids = await session.scalars(
        select(MarketplaceParticipation.marketplace_id)
        .where(
            MarketplaceParticipation.integration_id == integration_id,
            MarketplaceParticipation.is_participating,
        )
        .order_by(MarketplaceParticipation.marketplace_id)
    )
    return Store(row.account_id, integration_id, row.home_country, tuple(ids))


async def known_reports(session: AsyncSession, integration_id: UUID) -> list[Known]:
    """All that were asked for and are remembered."""
    rows = await session.execute(
        select(
            OrderReport.report_type,
            OrderReport.state,
            OrderReport.data_from,
            OrderReport.data_to,
            OrderReport.created_at,
            OrderReport.failure,
        ).where(OrderReport.integration_id == integration_id)
    )
    return [Known(*row) for row in rows]


async def sync_facts(session: AsyncSession, integration_id: UUID) -> SyncFacts:
    row = (
        await session.execute(
            select(
                OrderSync.restricted_role_missing_at,
                OrderSync.report_columns_missing,
                OrderSync.late_since,
                OrderSync.cursor_at,
            ).where(OrderSync.integration_id == integration_id)
        )
    ).one_or_none()
    return SyncFacts() if row is None else SyncFacts(*row)


async def add(session: AsyncSession, store: Store, wanted: Sequence[Wanted], now: datetime) -> None:
    """Write down what is to be asked for."""
    for each in wanted:
        session.add(
            OrderReport(
                id=new_id(),
                account_id=store.account_id,
                integration_id=store.integration_id,
                report_type=each.report_type,
                marketplace_ids=list(store.marketplace_ids),
                data_from=each.data_from,
                data_to=each.data_to,
                next_at=now,
                created_at=now,
            )
        )
    await session.flush()


async def open_reports(session: AsyncSession, integration_id: UUID) -> Sequence[OrderReport]:
    """Those under way, the oldest first."""
    return (
        await session.scalars(
            select(OrderReport)
            .where(OrderReport.integration_id == integration_id, OrderReport.state.in_(_OPEN))
            .order_by(OrderReport.id)
        )
    ).all()


async def known_ids(session: AsyncSession, integration_id: UUID) -> set[str]:
    """Amazon's ids of the reports that rows have already."""
    rows = await session.scalars(
        select(OrderReport.report_id).where(
            OrderReport.integration_id == integration_id, OrderReport.report_id.is_not(None)
        )
    )
    return {each for each in rows if each is not None}


async def change(session: AsyncSession, report_row_id: UUID, **values: Any) -> bool:
    """Write down what became of a report that is under way. False if it is no longer."""
    changed = await session.scalar(
        update(OrderReport)
        .where(OrderReport.id == report_row_id, OrderReport.state.in_(_OPEN))
        .values(**values)
        .returning(OrderReport.id)
    )
    return changed is not None


async def move_on(
    session: AsyncSession, report_row_id: UUID, *, before: int, after: int, left_out: int
) -> bool:
    """Move the position of a report that is being stored. False if somebody else has moved it, or the store was disconnected meanwhile."""
    moved = await session.scalar(
        update(OrderReport)
        .where(
            OrderReport.id == report_row_id,
            OrderReport.state == OrderReportState.READY.value,
            OrderReport.rows_stored == before,
            OrderReport.integration_id.in_(
                select(Integration.id).where(
                    Integration.id == OrderReport.integration_id, Integration.disconnected_at.is_(None)
                )
            ),
        )
        .values(rows_stored=after, lines_left_out=OrderReport.lines_left_out + left_out, attempts=0)
        .returning(OrderReport.id)
    )
    return moved is not None


async def items_of(session: AsyncSession, account_id: UUID, order_row_ids: Sequence[UUID]) -> list[KnownItem]:
    """The items that are stored of these orders, each order's in its order."""
    rows = await session.execute(_ITEMS, {"account": account_id, "orders": order_row_ids})
    return [KnownItem(*row) for row in rows]


async def drop_stand_ins(session: AsyncSession, account_id: UUID, order_row_ids: Sequence[UUID]) -> None:
    """Remove the items that a report without item ids told, of orders whose items are known with their ids."""
    await session.execute(_STAND_INS, {"account": account_id, "orders": order_row_ids})


async def sum_anew(session: AsyncSession, account_id: UUID, order_row_ids: Sequence[UUID]) -> None:
    """Add up what the items of these orders come to, where no other source has said it."""
    await session.execute(_SUMS, {"account": account_id, "orders": order_row_ids})


async def note_role_missing(session: AsyncSession, store: Store, now: datetime) -> None:
    """Remember that the application may not have reports with names and addresses of this store's buyers."""
    await _note(session, store, restricted_role_missing_at=now)


async def note_columns(session: AsyncSession, store: Store, missing: Sequence[str], now: datetime) -> None:
    """Remember which columns the report lacked. A report that lacks none proves that the step of the guide is done."""
    await _note(
        session,
        store,
        report_columns_missing=list(missing),
        report_columns_checked_at=now,
        restricted_role_missing_at=None,
    )
    if not missing:
        await session.execute(
            insert(SetupStep)
            .values(
                integration_id=store.integration_id,
                step=SetupStepName.ORDER_REPORT_COLUMNS.value,
                country=store.home_country,
                account_id=store.account_id,
                done_at=now,
            )
            .on_conflict_do_nothing()
        )


async def _note(session: AsyncSession, store: Store, **values: Any) -> None:
    keys = {"integration_id": store.integration_id, "account_id": store.account_id}
    await session.execute(
        insert(OrderSync)
        .values(**keys, **values)
        .on_conflict_do_update(index_elements=[OrderSync.integration_id], set_=values)
    )


async def forget_old(session: AsyncSession, now: datetime) -> None:
    """Delete what is over for long. Of "All Orders" nothing is: it says how far back the history goes."""
    await session.execute(
        delete(OrderReport).where(
            OrderReport.report_type == ORDER_REPORT,
            OrderReport.state.not_in(_OPEN),
            OrderReport.created_at < now - _KEPT,
        )
    )
