"""A report that Amazon has made, from its document to the last of its orders stored.

Each batch is one transaction that also moves the report's position: a worker that is killed in the middle leaves a report that goes on
behind what was stored, and a row whose position somebody else has moved is left to them. The document is read anew for that, from its
beginning: it lies at Amazon and nowhere else, because it is full of personal data.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.amazon.client import SellerApi
from services.connector.amazon.errors import DocumentTooLarge
from services.connector.amazon.reports import (
    RESTRICTED_TYPES,
    ReportDocument,
    get_report_document,
    open_document,
)
from services.connector.order_reports import queries
from services.connector.order_reports.columns import missing_columns
from services.connector.order_reports.planning import ALL_ORDERS, ORDER_REPORT
from services.connector.order_reports.queries import Store
from services.connector.order_reports.reading_thread import ReportInThread, reading
from services.connector.order_reports.records import BATCH_ROWS, CUT_OFF, Batch
from services.connector.order_reports.stand_ins import by_order, has_stand_ins, with_known_ids
from services.connector.order_reports.unpacking import MOST_BYTES, ReportTooLarge
from services.connector.orders.model import OrderRecord
from services.connector.orders.storing import store_orders
from services.connector.tokens.service import Vault
from shared.crypto.envelope import AccountKeys
from shared.database import Sessions, is_unavailable, now_in, was_ended_for_others
from shared.errors import Expected
from shared.jobs import Job, enqueue
from shared.keyring import Keyring
from shared.orders import order_row_id
from shared.tables import OrderReport, OrderReportState

log = structlog.get_logger()

# How long Amazon's store may let us wait, all in all.
_WAIT_SECONDS: Final = 600
COLUMNS_TWICE: Final = "columns_twice"
TOO_LARGE: Final = "too_large"
NOT_STORABLE: Final = "order_not_storable"
# Of a report whose range nobody knows, nothing is younger than this.
_OLDEST: Final = timedelta(days=60)


class TakenOver(Expected):
    """Another worker stores this report, or the store was disconnected meanwhile."""

    code = "order_report_taken_over"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is read of a report, and how many rows are stored together."""

    most_bytes: int = MOST_BYTES
    batch_rows: int = BATCH_ROWS


async def store_document(
    sessions: Sessions,
    vault: Vault,
    keyring: Keyring,
    store: Store,
    report: OrderReport,
    *,
    bounds: Bounds | None = None,
) -> int:
    """Store what is left of a report; how many of its lines have been dealt with, those before included.

    Raises TakenOver, what the Vault and amazon.reports raise, and what reading raises: ReportEmpty, NoOrderReport, ReportDamaged, ZipBomb.
    """
    keys = await keyring.of(sessions, store.account_id)
    storing = Storing(sessions, keys, store, report, report.rows_stored, set(report.problems))
    async with _opened(vault, store, report, bounds or Bounds()) as opened:
        await storing.store_all(opened)
    return storing.lines


@asynccontextmanager
async def _opened(
    vault: Vault, store: Store, report: OrderReport, bounds: Bounds
) -> AsyncIterator[ReportInThread]:
    assert report.document_id is not None
    document_id, is_restricted = report.document_id, report.report_type in RESTRICTED_TYPES

    async def ask(api: SellerApi) -> tuple[SellerApi, ReportDocument]:
        return api, await get_report_document(api, document_id, is_restricted=is_restricted)

    api, document = await vault.call(store.account_id, store.integration_id, ask)
    async with (
        open_document(api, document, most_bytes=bounds.most_bytes, seconds=_WAIT_SECONDS) as opened,
        reading(
            opened.chunks(),
            content_type=opened.content_type,
            country=store.home_country,
            earliest=report.data_from or report.created_at - _OLDEST,
            skip=report.rows_stored,
            batch_rows=bounds.batch_rows,
            most_bytes=bounds.most_bytes,
        ) as read,
    ):
        yield read


@dataclass(slots=True)
class Storing:
    """A report that is being stored: how many of its lines have been dealt with, and what was found on the way."""

    sessions: Sessions
    keys: AccountKeys
    of: Store
    report: OrderReport
    lines: int
    problems: set[str]

    async def store_all(self, opened: ReportInThread) -> None:
        """Store what is left of it. Raises TakenOver, ReportDamaged, ZipBomb."""
        if opened.header.has_twins:
            self.problems.add(COLUMNS_TWICE)
        try:
            async for batch in opened.batches():
                await self._store(batch)
        except (ReportTooLarge, DocumentTooLarge):
            self.problems.add(TOO_LARGE)
        await self._finish(opened.header.names)

    async def _store(self, batch: Batch) -> None:
        """Store some orders, and move the position. One that PostgreSQL does not take holds up no other."""
        try:
            await self._store_batch(batch, one_by_one=False)
        except Exception as error:
            if isinstance(error, TakenOver) or is_unavailable(error) or was_ended_for_others(error):
                raise
            log.exception("report_rows_not_storable", integration_id=str(self.of.integration_id))
            await self._store_batch(batch, one_by_one=True)
        self.lines = batch.lines
        if batch.cut_off:
            self.problems.add(CUT_OFF)

    async def _store_batch(self, batch: Batch, *, one_by_one: bool) -> None:
        async with self.sessions.begin() as session:
            is_mine = await queries.move_on(
                session, self.report.id, before=self.lines, after=batch.lines, left_out=batch.left_out
            )
            if not is_mine:
                raise TakenOver
            if not one_by_one:
                await self._store_orders(session, batch.orders)
                return
            for order in batch.orders:
                try:
                    async with session.begin_nested():
                        await self._store_orders(session, [order])
                except Exception as error:
                    if is_unavailable(error) or was_ended_for_others(error):
                        raise
                    self.problems.add(NOT_STORABLE)
                    log.warning("order_not_storable", order_id=order.order_id, error=type(error).__name__)

    async def _store_orders(self, session: AsyncSession, told: Sequence[OrderRecord]) -> None:
        integration_id = self.of.integration_id
        orders = await self._with_ids(session, told)
        # What fills the history is no news, and would be hundreds of thousands of events.
        is_news = self.report.report_type != ALL_ORDERS
        stored = await store_orders(
            session, self.keys, integration_id, orders, now=await now_in(session), is_news=is_news
        )
        if self.report.report_type != ALL_ORDERS:
            rows = [order_row_id(integration_id, order.order_id) for order in orders]
            await queries.drop_stand_ins(session, self.keys.account_id, rows)
        if stored.new < len(stored.changed):
            await queries.sum_anew(session, self.keys.account_id, stored.changed)

    async def _with_ids(self, session: AsyncSession, orders: Sequence[OrderRecord]) -> Sequence[OrderRecord]:
        """The orders with Amazon's ids of their items, as far as they are known."""
        integration_id = self.of.integration_id
        wanting = {
            order_row_id(integration_id, order.order_id): order for order in orders if has_stand_ins(order)
        }
        if not wanting:
            return orders
        known = by_order(await queries.items_of(session, self.keys.account_id, sorted(wanting)))
        joined = {
            order.order_id: with_known_ids(order, known[row_id])
            for row_id, order in wanting.items()
            if row_id in known
        }
        return [joined.get(order.order_id, order) for order in orders]

    async def _finish(self, columns: Sequence[str]) -> None:
        """Nothing is left of it."""
        now = await self.sessions.now()
        async with self.sessions.begin() as session:
            is_mine = await queries.change(
                session,
                self.report.id,
                state=OrderReportState.STORED.value,
                columns=list(columns),
                problems=sorted(self.problems),
                failure=None,
                done_at=now,
            )
            if is_mine and self.report.report_type == ORDER_REPORT:
                await queries.note_columns(session, self.of, missing_columns(columns), now)
                await enqueue(session, Job.RECOMPUTE_LOCK, self.of.integration_id)
