"""The life of order reports: which are asked for, how far Amazon is with each, and that each is stored once.

A report is a row. Whoever follows it reads the row, asks Amazon without a transaction being open, and writes down what came of it; so it
may be followed twice, and by any worker. A report that Amazon has made lately, for whomever, is taken in place of asking for another one:
asking again for the same within half an hour ends CANCELLED or FATAL.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Counter

from services.connector.amazon.client import SellerApi
from services.connector.amazon.errors import (
    AmazonUnavailable,
    ClientMisconfigured,
    DocumentElsewhere,
    DocumentExpired,
    DocumentTooLarge,
    ReportUnknown,
    RestrictedRoleMissing,
    RoleMissing,
)
from services.connector.amazon.reports import (
    Report,
    ReportStatus,
    create_report,
    get_report,
    get_reports,
)
from services.connector.order_reports import queries
from services.connector.order_reports.document_service import Bounds, TakenOver, store_document
from services.connector.order_reports.planning import wanted_reports
from services.connector.order_reports.queries import Store
from services.connector.order_reports.records import ReportEmpty
from services.connector.order_reports.rows import NoOrderReport
from services.connector.order_reports.unpacking import ReportDamaged, ZipBomb
from services.connector.tokens.service import RenewalBusy, Vault
from shared.database import Sessions, is_unavailable, was_ended_for_others
from shared.errors import Expected
from shared.keyring import Keyring
from shared.tables import OrderReport, OrderReportState

log = structlog.get_logger()

_Answer = TypeVar("_Answer")

# While Amazon makes a report: ever more seldom, as a small one takes a minute and a large one hours.
_POLLS: Final = tuple(timedelta(seconds=seconds) for seconds in (15, 30, 60, 120, 300))
# While Amazon gives no usable answer, which says nothing against the report.
_AWAY: Final = timedelta(minutes=5)
_READ_AGAIN: Final = timedelta(minutes=1)
COOLDOWN: Final = timedelta(minutes=30)
_FRESH: Final = timedelta(hours=4)
# A file that ends early is read so often before what came of it counts.
_DAMAGED_READS: Final = 3
_MOST_ATTEMPTS: Final = 4
# The same document would come again.
_HOPELESS: Final = (
    ClientMisconfigured,
    DocumentElsewhere,
    DocumentTooLarge,
    NoOrderReport,
    ReportUnknown,
    ZipBomb,
)
_BROKE_OFF: Final = "broke_off"
_GIVEN_UP_AFTER: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Follower:
    """Follows the order reports of stores. A worker process has one."""

    sessions: Sessions
    vault: Vault
    keyring: Keyring
    outcomes: Counter
    rows: Counter
    bounds: Bounds

    @classmethod
    def create(
        cls,
        sessions: Sessions,
        vault: Vault,
        keyring: Keyring,
        registry: CollectorRegistry,
        bounds: Bounds | None = None,
    ) -> "Follower":
        outcomes = Counter(
            "replyco_order_reports", "Order reports, by how they ended.", ["outcome"], registry=registry
        )
        for state in (OrderReportState.STORED, OrderReportState.NO_DATA, OrderReportState.FAILED):
            outcomes.labels(state.value)
        rows = Counter(
            "replyco_order_report_rows", "Rows of order reports that were stored.", registry=registry
        )
        return cls(sessions, vault, keyring, outcomes, rows, bounds or Bounds())

    async def follow(self, integration_id: UUID) -> timedelta | None:
        """Do what there is to do now for the reports of one store; how long to wait for the next step, or None if nothing is under way.

        Raises what hinders the store as a whole: GrantMissing, TokenRefused, GrantInvalid; and AmazonPaused, which leaves all as it was.
        """
        await self.vault.refuse_if_paused()
        now = await self.sessions.now()
        async with self.sessions.begin() as session:
            store = await queries.store_of(session, integration_id)
            if store is None or not store.marketplace_ids:
                return None
            known = await queries.known_reports(session, integration_id)
            facts = await queries.sync_facts(session, integration_id)
            await queries.add(session, store, wanted_reports(known, facts, now), now)
            reports = await queries.open_reports(session, integration_id)
            session.expunge_all()
        for report in reports:
            await self._advance(store, report)
        async with self.sessions.begin() as session:
            left = [report.next_at for report in await queries.open_reports(session, integration_id)]
        if left:
            return max(min(left) - await self.sessions.now(), timedelta(seconds=1))
        # The next range of the history may be asked for at once.
        now = await self.sessions.now()
        async with self.sessions.begin() as session:
            known = await queries.known_reports(session, integration_id)
            facts = await queries.sync_facts(session, integration_id)
        return timedelta(seconds=1) if wanted_reports(known, facts, now) else None

    async def _advance(self, store: Store, report: OrderReport) -> None:
        """One step of one report. What hinders it alone is written down with it, and the others go on."""
        now = await self.sessions.now()
        try:
            await self._step(store, report, now)
        except TakenOver:
            log.info("order_report_taken_over", integration_id=str(store.integration_id))
        except (RestrictedRoleMissing, RoleMissing) as refused:
            await self._role_missing(store, report, refused, now)
        except (AmazonUnavailable, DocumentExpired, RenewalBusy) as failure:
            # A document's address is good for five minutes; the next one is asked for anew.
            await self._unavailable(report, failure, now)
        except _HOPELESS as failure:
            await self._end(report, OrderReportState.FAILED, failure.code)
        except Expected:
            raise
        except Exception as error:
            if is_unavailable(error) or was_ended_for_others(error):
                raise
            log.exception("order_report_broke_off", integration_id=str(store.integration_id))
            await self._broke_off(report)

    async def _step(self, store: Store, report: OrderReport, now: datetime) -> None:
        if report.state == OrderReportState.READY:
            await self._store(store, report)
        elif report.report_id is not None:
            await self._look(store, report, report.report_id, now)
        elif report.next_at <= now:
            await self._ask(store, report, now)

    # --- asking ------------------------------------------------------------------------------------------------------

    async def _ask(self, store: Store, report: OrderReport, now: datetime) -> None:
        """Take a report that Amazon has made lately or is making, or have it make one."""
        async with self.sessions.begin() as session:
            known = await queries.known_ids(session, store.integration_id)

        async def find_or_create(api: SellerApi) -> str:
            made = await get_reports(api, [report.report_type], created_since=now - _FRESH)
            fresh = [each for each in made if each.report_id not in known and _serves(each, report)]
            if fresh:
                return max(fresh, key=lambda each: each.created_at).report_id
            return await create_report(
                api,
                report.report_type,
                marketplace_ids=report.marketplace_ids,
                data_from=report.data_from,
                data_to=report.data_to,
            )

        report_id = await self._call(store, find_or_create)
        async with self.sessions.begin() as session:
            await queries.change(
                session, report.id, report_id=report_id, next_at=now + _POLLS[0], failure=None
            )
        log.info(
            "order_report_asked", integration_id=str(store.integration_id), report_type=report.report_type
        )

    async def _look(self, store: Store, report: OrderReport, report_id: str, now: datetime) -> None:
        async def look(api: SellerApi) -> Report:
            return await get_report(api, report_id)

        told = await self._call(store, look)
        if told.status is ReportStatus.DONE and told.document_id is not None:
            report.document_id, report.state = told.document_id, OrderReportState.READY.value
            async with self.sessions.begin() as session:
                await queries.change(
                    session,
                    report.id,
                    state=report.state,
                    document_id=told.document_id,
                    attempts=0,
                    next_at=now,
                )
            await self._store(store, report)
        elif told.status in {ReportStatus.IN_QUEUE, ReportStatus.IN_PROGRESS}:
            await self._wait(report, told, now)
        elif told.status is ReportStatus.CANCELLED and not await self._is_cooling_down(store, report, told):
            await self._end(report, OrderReportState.NO_DATA, None)
        else:
            # FATAL, cancelled because it was asked for too soon again, or without a document.
            await self._ask_anew(report, told.status.value.lower())

    async def _wait(self, report: OrderReport, told: Report, now: datetime) -> None:
        age = now - told.created_at
        if age > _GIVEN_UP_AFTER:
            await self._ask_anew(report, "stuck")
            return
        wait = next((poll for poll in _POLLS if age < 4 * poll), _POLLS[-1])
        await self._put_off(report, wait, None, report.attempts)

    async def _is_cooling_down(self, store: Store, report: OrderReport, told: Report) -> bool:
        """Whether Amazon was asked for the same shortly before: then CANCELLED does not mean that there is nothing."""
        if report.attempts:
            return False

        async def others(api: SellerApi) -> bool:
            made = await get_reports(api, [report.report_type], created_since=told.created_at - COOLDOWN)
            return any(
                each.report_id != told.report_id
                and each.created_at <= told.created_at
                and each.status in {ReportStatus.DONE, ReportStatus.FATAL}
                and set(each.marketplace_ids) == set(told.marketplace_ids)
                for each in made
            )

        return await self._call(store, others)

    async def _ask_anew(self, report: OrderReport, failure: str) -> None:
        """Ask for another one when Amazon would make it."""
        if report.attempts + 1 >= _MOST_ATTEMPTS:
            await self._end(report, OrderReportState.FAILED, failure)
            return
        now = await self.sessions.now()
        async with self.sessions.begin() as session:
            await queries.change(
                session,
                report.id,
                report_id=None,
                document_id=None,
                state=OrderReportState.ASKED.value,
                rows_stored=0,
                lines_left_out=0,
                attempts=report.attempts + 1,
                failure=failure,
                next_at=now + COOLDOWN + timedelta(minutes=1),
            )

    # --- storing -----------------------------------------------------------------------------------------------------

    async def _store(self, store: Store, report: OrderReport) -> None:
        before = report.rows_stored
        try:
            lines = await store_document(
                self.sessions, self.vault, self.keyring, store, report, bounds=self.bounds
            )
        except ReportEmpty:
            await self._end(report, OrderReportState.NO_DATA, None)
        except ReportDamaged as damaged:
            await self._damaged(store, report, damaged)
        else:
            self.rows.inc(lines - before)
            self.outcomes.labels(OrderReportState.STORED.value).inc()
            log.info(
                "order_report_stored",
                integration_id=str(store.integration_id),
                report_type=report.report_type,
                rows=lines,
            )

    async def _damaged(self, store: Store, report: OrderReport, damaged: ReportDamaged) -> None:
        """A file that ends early may have been cut on the way. If it always does, what came of it is all that there is."""
        if report.attempts + 1 < _DAMAGED_READS:
            await self._put_off(report, _READ_AGAIN, damaged.code, report.attempts + 1)
            return
        now = await self.sessions.now()
        async with self.sessions.begin() as session:
            is_mine = await queries.change(
                session,
                report.id,
                state=OrderReportState.STORED.value,
                problems=[damaged.code],
                failure=damaged.code,
                done_at=now,
            )
        if is_mine:
            self.outcomes.labels(OrderReportState.STORED.value).inc()
            log.warning("order_report_damaged", integration_id=str(store.integration_id))

    # --- what comes between ------------------------------------------------------------------------------------------

    async def _call(self, store: Store, operation: Callable[[SellerApi], Awaitable[_Answer]]) -> _Answer:
        return await self.vault.call(store.account_id, store.integration_id, operation)

    async def _role_missing(
        self, store: Store, report: OrderReport, refused: Expected, now: datetime
    ) -> None:
        """Nothing that the seller could mend: it is remembered, and tried again some time."""
        if isinstance(refused, RestrictedRoleMissing):
            async with self.sessions.begin() as session:
                await queries.note_role_missing(session, store, now)
        await self._end(report, OrderReportState.FAILED, refused.code)

    async def _unavailable(self, report: OrderReport, failure: Expected, now: datetime) -> None:
        seconds = failure.fields.get("retry_after_seconds")
        if isinstance(seconds, int):
            # It is the turn of others first, which says nothing against this report.
            await self._put_off(report, timedelta(seconds=seconds), None, report.attempts)
        elif now - report.created_at > _GIVEN_UP_AFTER:
            await self._end(report, OrderReportState.FAILED, failure.code)
        else:
            await self._put_off(report, _AWAY, failure.code, report.attempts)

    async def _broke_off(self, report: OrderReport) -> None:
        """A mistake of ours: one report that always ends so must not keep the next one from being asked for."""
        if report.attempts + 1 < _MOST_ATTEMPTS:
            await self._put_off(report, _AWAY, _BROKE_OFF, report.attempts + 1)
        else:
            await self._end(report, OrderReportState.FAILED, _BROKE_OFF)

    async def _put_off(
        self, report: OrderReport, wait: timedelta, failure: str | None, attempts: int
    ) -> None:
        now = await self.sessions.now()
        async with self.sessions.begin() as session:
            await queries.change(
                session,
                report.id,
                next_at=now + wait,
                failure=failure,
                attempts=attempts,
            )

    async def _end(self, report: OrderReport, state: OrderReportState, failure: str | None) -> None:
        now = await self.sessions.now()
        async with self.sessions.begin() as session:
            ended = await queries.change(session, report.id, state=state.value, failure=failure, done_at=now)
        if ended:
            self.outcomes.labels(state.value).inc()
            log.info(
                "order_report_ended",
                integration_id=str(report.integration_id),
                report_type=report.report_type,
                state=state.value,
                failure=failure,
            )


def _serves(made: Report, wanted: OrderReport) -> bool:
    """Whether a report of Amazon's has what is wanted: made or being made, of the same marketplaces, of at least the same time."""
    if made.status not in {ReportStatus.DONE, ReportStatus.IN_QUEUE, ReportStatus.IN_PROGRESS}:
        return False
    if set(made.marketplace_ids) != set(wanted.marketplace_ids):
        return False
    if made.data_from is None or made.data_to is None or wanted.data_from is None or wanted.data_to is None:
        return False
    return made.data_from <= wanted.data_from and made.data_to >= wanted.data_to - _FRESH


async def forget_old(sessions: Sessions) -> None:
    """Delete the rows of reports that were over long ago."""
    now = await sessions.now()
    async with sessions.begin() as session:
        await queries.forget_old(session, now)
