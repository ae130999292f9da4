"""Which reports a store's orders want now: a value of what is known in, requests out. Pure.

One report of a type is under way at a time. The order report, with names and addresses and the seller's columns, comes once a day. "All
Orders" fills the history when a store is connected, backwards in ranges of a month; later it is asked for when the SP-API lags behind.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from shared.tables import OrderReportState

ORDER_REPORT: Final = "GET_FLAT_FILE_ORDER_REPORT_DATA_SHIPPING"
ALL_ORDERS: Final = "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL"

_MONTH: Final = timedelta(days=30)
# What is not personal is kept for 18 months, so that nothing older is asked for.
_HISTORY: Final = timedelta(days=540)
_DAILY: Final = timedelta(days=1)
# A seller who has just switched columns on wants to see it.
_WHILE_COLUMNS_ARE_MISSING: Final = timedelta(hours=2)
_AFTER_FAILURE: Final = timedelta(hours=6)
_ROLE_AGAIN: Final = timedelta(days=7)
# Orders may become fit to be sent late, and reports half an hour later still.
_OVERLAP: Final = timedelta(days=2)
_LATE: Final = timedelta(hours=6)
_WHILE_LATE: Final = timedelta(hours=12)
_UNDER_WAY: Final = frozenset({OrderReportState.ASKED, OrderReportState.READY})
ROLE_MISSING: Final = frozenset({"role_missing", "restricted_role_missing"})


class Known(NamedTuple):
    """A report that was asked for before."""

    report_type: str
    state: str
    data_from: datetime | None
    data_to: datetime | None
    created_at: datetime
    failure: str | None


class Wanted(NamedTuple):
    """A report to be asked for."""

    report_type: str
    data_from: datetime
    data_to: datetime


@dataclass(frozen=True, slots=True)
class SyncFacts:
    """What is known of a store's orders from elsewhere."""

    role_missing_at: datetime | None = None
    columns_missing: Collection[str] | None = None
    late_since: datetime | None = None
    cursor_at: datetime | None = None


def wanted_reports(known: Sequence[Known], sync: SyncFacts, now: datetime) -> list[Wanted]:
    """What is to be asked for now."""
    asked = (_order_report(known, sync, now), _all_orders(known, sync, now))
    return [wanted for wanted in asked if wanted is not None]


def _order_report(known: Sequence[Known], sync: SyncFacts, now: datetime) -> Wanted | None:
    reports = [report for report in known if report.report_type == ORDER_REPORT]
    if any(report.state in _UNDER_WAY for report in reports):
        return None
    if sync.role_missing_at is not None and now - sync.role_missing_at < _ROLE_AGAIN:
        return None
    latest = max(reports, key=lambda report: report.created_at, default=None)
    if latest is not None and now - latest.created_at < _pause_after(latest, sync):
        return None
    stored = [
        report.data_to
        for report in reports
        if report.data_to is not None and report.state == OrderReportState.STORED and report.failure is None
    ]
    # With few orders, only a whole month surely has one, and without one nothing tells which columns there are.
    month_ago = now - _MONTH
    data_from = month_ago if sync.columns_missing or not stored else max(max(stored) - _OVERLAP, month_ago)
    return Wanted(ORDER_REPORT, data_from, now)


def _pause_after(latest: Known, sync: SyncFacts) -> timedelta:
    if latest.state == OrderReportState.FAILED and latest.failure not in ROLE_MISSING:
        return _AFTER_FAILURE
    return _WHILE_COLUMNS_ARE_MISSING if sync.columns_missing else _DAILY


def _all_orders(known: Sequence[Known], sync: SyncFacts, now: datetime) -> Wanted | None:
    reports = [report for report in known if report.report_type == ALL_ORDERS]
    if any(report.state in _UNDER_WAY for report in reports):
        return None
    latest = max(reports, key=lambda report: report.created_at, default=None)
    if latest is None:
        return Wanted(ALL_ORDERS, now - _MONTH, now)
    if latest.failure in ROLE_MISSING and now - latest.created_at < _DAILY:
        return None
    is_late = sync.late_since is not None and now - sync.late_since >= _LATE
    if is_late and now - latest.created_at >= _WHILE_LATE:
        since = now - _MONTH if sync.cursor_at is None else sync.cursor_at - _OVERLAP
        return Wanted(ALL_ORDERS, max(since, now - _MONTH), now)
    # What failed for good is passed over: the SP-API fills the history, too.
    begun = [
        report.data_from
        for report in reports
        if report.data_from is not None and report.failure not in ROLE_MISSING
    ]
    earliest, first = min(begin for begin in (*begun, now)), now - _HISTORY
    if earliest <= first + _DAILY:
        return None
    return Wanted(ALL_ORDERS, max(earliest - _MONTH, first), earliest)
