"""The reports that were asked for, and how each comes: after how long, in which charset, compressed or not, with which flaws."""

import secrets
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

MAX_REPORTS: Final = 20_000
MAX_CONTENT_BYTES: Final = 128 * 1024 * 1024
KEPT: Final = timedelta(days=90)
URL_LIFE: Final = timedelta(minutes=5)
COOLDOWN: Final = timedelta(minutes=30)

ORDER_REPORT_TYPE: Final = "GET_FLAT_FILE_ORDER_REPORT_DATA_SHIPPING"
ALL_ORDERS_TYPE: Final = "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL"
REPORT_TYPES: Final = frozenset({ORDER_REPORT_TYPE, ALL_ORDERS_TYPE})
RESTRICTED_TYPES: Final = frozenset({ORDER_REPORT_TYPE})


class ReportStatus(StrEnum):
    """Where a report is."""

    IN_QUEUE = "IN_QUEUE"
    IN_PROGRESS = "IN_PROGRESS"
    DONE = "DONE"
    CANCELLED = "CANCELLED"
    FATAL = "FATAL"


@dataclass(frozen=True, slots=True)
class Delivery:
    """How reports come. `charset` is what the download's Content-Type says: by country without one, an empty one says nothing.
    The bytes are in that charset, unless `written_in` names a codec of Python's, and begin with a byte order mark if they shall.

    With `rows`, so many lines are made up while the file is read, in place of the seller's orders.
    """

    seconds_in_queue: float = 1
    seconds_in_progress: float = 1
    compressed: bool = False
    charset: str | None = None
    written_in: str | None = None
    byte_order_mark: bool = False
    rows: int | None = None


@dataclass(slots=True)
class Report:
    """One report. Its id is another report's at another seller, as at Amazon. `content` is compressed."""

    report_id: str
    seller_id: str
    report_type: str
    marketplace_ids: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    created_at: datetime
    delivery: Delivery
    flaws: frozenset[str]
    options: dict[str, str] = field(default_factory=dict)
    document_id: str = field(default_factory=lambda: f"amzn1.spdoc.1.4.{uuid.uuid4()}.T1SANDBOX")
    outcome: ReportStatus | None = None
    content: bytes | None = field(default=None, repr=False)

    @property
    def starts_progress_at(self) -> datetime:
        return self.created_at + timedelta(seconds=self.delivery.seconds_in_queue)

    @property
    def finishes_at(self) -> datetime:
        return self.starts_progress_at + timedelta(seconds=self.delivery.seconds_in_progress)

    @property
    def has_document(self) -> bool:
        return self.outcome in {ReportStatus.DONE, ReportStatus.FATAL}

    def status(self, now: datetime) -> ReportStatus:
        if self.outcome is not None:
            return self.outcome
        return ReportStatus.IN_QUEUE if now < self.starts_progress_at else ReportStatus.IN_PROGRESS


@dataclass(frozen=True, slots=True)
class Link:
    """A URL under which a document can be fetched for five minutes."""

    report: Report
    expires_at: datetime
    says_encoding: bool


class Reports:
    """The reports of one sandbox. The oldest are forgotten."""

    def __init__(self) -> None:
        self._reports: OrderedDict[tuple[str, str], Report] = OrderedDict()
        self._by_document: dict[str, Report] = {}
        self._numbers: dict[str, int] = {}
        self._waiting: list[Report] = []
        self._content_bytes = 0
        self.deliveries: dict[str | None, Delivery] = {}

    def delivery_for(self, seller_id: str) -> Delivery:
        return self.deliveries.get(seller_id) or self.deliveries.get(None) or Delivery()

    def next_id(self, seller_id: str) -> str:
        number = self._numbers[seller_id] = self._numbers.get(seller_id, 0) + 1
        return str(50_000_000_000 + number)

    def add(self, report: Report) -> None:
        self._reports[report.seller_id, report.report_id] = report
        self._by_document[report.document_id] = report
        self._waiting.append(report)
        while len(self._reports) > MAX_REPORTS:
            _, oldest = self._reports.popitem(last=False)
            self._forget_content(oldest)
            del self._by_document[oldest.document_id]

    def get(self, seller_id: str, report_id: str) -> Report | None:
        return self._reports.get((seller_id, report_id))

    def of_document(self, document_id: str) -> Report | None:
        return self._by_document.get(document_id)

    def newest_first(self, seller_id: str) -> list[Report]:
        return [report for (owner, _), report in reversed(self._reports.items()) if owner == seller_id]

    def take_finished(self, now: datetime) -> list[Report]:
        """The reports whose time has come, to be given an outcome."""
        finished = [r for r in self._waiting if r.outcome is None and now >= r.finishes_at]
        self._waiting = [r for r in self._waiting if r.outcome is None and now < r.finishes_at]
        return finished

    def keep_content(self, report: Report, content: bytes) -> None:
        """Keep a report's lines. If there are too many bytes, the oldest documents are lost."""
        report.content = content
        self._content_bytes += len(content)
        for oldest in self._reports.values():
            if self._content_bytes <= MAX_CONTENT_BYTES or oldest is report:
                return
            self._forget_content(oldest)

    def _forget_content(self, report: Report) -> None:
        if report.content is not None:
            self._content_bytes -= len(report.content)
            report.content = None


def new_signature() -> str:
    """What makes a URL one that nobody can guess."""
    return secrets.token_hex(32)
