"""A report's lines → orders, some at a time. Pure.

Rows of one order need not follow each other: those of one batch become one order here, those of several meet in its row when they are stored.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from services.connector.order_reports.cells import LARGEST
from services.connector.order_reports.lines import Lines
from services.connector.order_reports.rows import Header, Row
from services.connector.orders.model import (
    MOST_ITEMS,
    Address,
    Amounts,
    Buyer,
    OrderItemRecord,
    OrderRecord,
    Source,
)
from shared.errors import Expected
from shared.orders import is_order_id

BATCH_ROWS: Final = 1000
# What a report says of an item whose id it does not tell: "All Orders" has none.
BY_SKU: Final = "sku:"
CUT_OFF: Final = "cut_off"
STRANGE_BYTES: Final = "strange_bytes"
_ITEM_ID: Final = re.compile(r"[0-9A-Za-z._:-]{1,100}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_AMOUNTS: Final = ("items", "shipping", "tax", "discount", "other")
# As reports write them, without blanks and in lower case; behind a dash stands where the parcel is.
_STATUSES: Final = {
    "pendingavailability": "PENDING_AVAILABILITY",
    "pending": "PENDING",
    "unshipped": "UNSHIPPED",
    "partiallyshipped": "PARTIALLY_SHIPPED",
    "shipping": "PARTIALLY_SHIPPED",
    "shipped": "SHIPPED",
    "complete": "SHIPPED",
    "cancelled": "CANCELLED",
    "canceled": "CANCELLED",
    "unfulfillable": "UNFULFILLABLE",
}
_FULFILLERS: Final = {
    "amazon": "AMAZON",
    "afn": "AMAZON",
    "merchant": "MERCHANT",
    "mfn": "MERCHANT",
    "seller": "MERCHANT",
}


class ReportEmpty(Expected):
    """There is not even a line with the columns' names."""

    code = "report_empty"


class Batch(NamedTuple):
    """Orders whose rows followed each other so far, and how many lines of the report these and all before them were.

    `left_out`: how many of these lines are no row of an order; `cut_off`: the last one ended before its last cell.
    """

    orders: tuple[OrderRecord, ...]
    lines: int
    left_out: int = 0
    cut_off: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """An opened report: its columns and its orders, read as they are asked for."""

    header: Header
    batches: Iterator[Batch]


def open_report(
    blocks: Iterable[Lines],
    *,
    country: str,
    earliest: datetime,
    skip: int = 0,
    batch_rows: int = BATCH_ROWS,
) -> Report:
    """Read the line with the columns' names. The batches begin behind `skip` lines, which were stored before.

    `country`: where the store is at home. `earliest`: how old an order's state is taken to be at least where the report does not say.
    Raises ReportEmpty, NoOrderReport.
    """
    coming = iter(blocks)
    for lines in coming:
        for number, line in enumerate(lines.texts):
            if line is not None and line.strip():
                header = Header(line, country)
                rest = _behind(lines, number + 1)
                return Report(header, _batches(header, _rejoined(rest, coming), earliest, skip, batch_rows))
    raise ReportEmpty


def _behind(lines: Lines, start: int) -> Lines:
    strange = frozenset(number - start for number in lines.strange if number >= start)
    return Lines(lines.texts[start:], strange, lines.is_open)


def _rejoined(first: Lines, rest: Iterator[Lines]) -> Iterator[Lines]:
    yield first
    yield from rest


def _batches(
    header: Header, blocks: Iterable[Lines], earliest: datetime, skip: int, batch_rows: int
) -> Iterator[Batch]:
    gathered = _Gathered(header, earliest)
    passed = 0
    for lines in _with_failure(blocks):
        if isinstance(lines, Expected):
            # The file is not good any further. What is there is.
            if gathered.lines:
                yield gathered.taken(passed)
            raise lines
        if passed + len(lines.texts) <= skip:
            passed += len(lines.texts)
            continue
        last = len(lines.texts) - 1 if lines.is_open else -1
        for number, line in enumerate(lines.texts):
            if passed + number < skip:
                continue
            if gathered.is_full(batch_rows, line):
                yield gathered.taken(passed + number)
            gathered.add(line, is_strange=number in lines.strange, is_open=number == last)
        passed += len(lines.texts)
    if gathered.lines:
        yield gathered.taken(passed)


def _with_failure(blocks: Iterable[Lines]) -> Iterator[Lines | Expected]:
    """The lines, and behind them what ended them too early."""
    try:
        yield from blocks
    except Expected as failure:
        yield failure


class _Gathered:
    """Rows that are becoming orders."""

    def __init__(self, header: Header, earliest: datetime) -> None:
        self._header = header
        self._earliest = earliest
        self._rows: dict[str, list[Row]] = {}
        self._latest: str | None = None
        self._left_out = 0
        self._cut_off = False
        self.lines = 0

    def is_full(self, batch_rows: int, coming: str | None) -> bool:
        """Whether what is there is to be taken before this line is added: not between two rows of one order, unless it has too many."""
        if self.lines < batch_rows:
            return False
        follows = self._latest is not None and coming is not None and self._latest in coming
        return not follows or self.lines >= batch_rows + MOST_ITEMS

    def add(self, line: str | None, *, is_strange: bool, is_open: bool) -> None:
        self.lines += 1
        if line is None:
            self._left_out += 1
            return
        if not line or line.isspace():
            return
        if is_open and line.count("\t") + 1 < len(self._header.names):
            self._left_out += 1
            self._cut_off = True
            return
        row = self._header.read(line)
        order_id = row.order.pop("order_id", "")
        if not is_order_id(order_id):
            self._left_out += 1
            return
        if is_strange:
            row.problems.append(STRANGE_BYTES)
        if is_open:
            row.problems.append(CUT_OFF)
        self._rows.setdefault(order_id, []).append(row)
        self._latest = order_id

    def taken(self, lines: int) -> Batch:
        """What is there, as orders; then nothing is."""
        orders = tuple(
            _order(order_id, rows, self._header, self._earliest) for order_id, rows in self._rows.items()
        )
        batch = Batch(orders, lines, self._left_out, self._cut_off)
        self._rows, self._latest, self._left_out, self._cut_off, self.lines = {}, None, 0, False, 0
        return batch


def _order(order_id: str, rows: Sequence[Row], header: Header, earliest: datetime) -> OrderRecord:
    """What the rows of one order say of it: each field as the first row that has it says."""
    told, buyer, recipient = rows[0].order, rows[0].buyer, rows[0].recipient
    for row in rows[1:]:
        told, buyer, recipient = row.order | told, row.buyer | buyer, row.recipient | recipient
    problems: dict[str, None] = {}
    is_buyer_named = "name" in buyer or "email" in buyer
    is_recipient_named = "name" in recipient or "lines" in recipient
    items = _items(rows, header, keep_buyer=not is_buyer_named, keep_recipient=not is_recipient_named)
    updated = told.pop("last_updated_at", None)
    status = _word(told, "status", _STATUSES, problems)
    fulfilled_by = _word(told, "fulfilled_by", _FULFILLERS, problems)
    original = told.pop("replaces_order_id", None)
    if original is not None and not is_order_id(original):
        problems["original-order-id"] = None
        original = None
    methods = told.pop("payment_methods", None)
    marketplace = next((row.marketplace for row in rows if row.marketplace is not None), None)
    return OrderRecord(
        order_id=order_id,
        last_updated_at=updated or told.get("purchased_at") or told.get("paid_at") or earliest,
        source=Source.REPORT,
        marketplace_id=None if marketplace is None else marketplace.marketplace_id,
        country=None if marketplace is None else marketplace.country,
        status=status,
        fulfilled_by=fulfilled_by,
        replaces_order_id=original,
        payment_methods=None if methods is None else (methods,),
        amounts=_sum_of(items, problems),
        buyer=Buyer(**buyer) if is_buyer_named else None,
        recipient=_address(recipient) if is_recipient_named else None,
        items=items,
        problems=tuple(problems),
        **told,
    )


def _word(told: dict[str, Any], name: str, words: dict[str, str], problems: dict[str, None]) -> str | None:
    """Amazon's word in the SP-API's spelling; one that nobody knows stays as it is, and is told."""
    said: str | None = told.pop(name, None)
    if said is None:
        return None
    known = words.get(said.partition(" - ")[0].replace(" ", "").replace("_", "").lower())
    if known is None:
        problems[name] = None
    return known or said


def _address(recipient: dict[str, Any]) -> Address:
    return Address(**{**recipient, "lines": tuple(recipient.get("lines", ()))})


def _items(
    rows: Sequence[Row], header: Header, *, keep_buyer: bool, keep_recipient: bool
) -> tuple[OrderItemRecord, ...]:
    """The rows as items. A report that names nobody says nothing of buyer and recipient: their cells are the item's, sealed."""
    items: dict[str, OrderItemRecord] = {}
    for row in rows:
        item_id = _item_id(row, items, header)
        currency = row.amounts.get("currency")
        if currency is not None and _CURRENCY.fullmatch(currency) is None:
            row.problems.append("currency")
            row.sealed["currency"] = row.amounts.pop("currency")
        sealed = row.sealed
        if keep_buyer and row.buyer:
            sealed = sealed | header.cells_of("buyer", row.buyer)
        if keep_recipient and row.recipient:
            sealed = sealed | header.cells_of("recipient", row.recipient)
        row.item.pop("item_id", None)
        items[item_id] = OrderItemRecord(
            item_id=item_id,
            amounts=Amounts(**row.amounts),
            report_columns=row.plain or None,
            report_personal=sealed or None,
            problems=tuple(dict.fromkeys(row.problems)),
            **row.item,
        )
    return tuple(items.values())


def _item_id(row: Row, others: dict[str, OrderItemRecord], header: Header) -> str:
    item_id: str = row.item.get("item_id", "")
    if _ITEM_ID.fullmatch(item_id):
        return item_id
    if header.has_item_ids:
        row.problems.append("order-item-id")
    name = BY_SKU + (row.item.get("sku") or row.item.get("asin") or "")[:80]
    number = 1
    while (item_id := name if number == 1 else f"{name}#{number}") in others:
        number += 1
    return item_id


def _sum_of(items: Sequence[OrderItemRecord], problems: dict[str, None]) -> Amounts:
    """What the items cost together. Whether taxes are in their prices depends on the marketplace, so there is no total."""
    if len(items) == 1:
        return items[0].amounts
    currencies = {item.amounts.currency for item in items}
    if len(currencies) != 1:
        problems["currency"] = None
        return Amounts()
    added: dict[str, Decimal] = {}
    for item in items:
        for part in _AMOUNTS:
            amount: Decimal | None = getattr(item.amounts, part)
            if amount is not None:
                added[part] = added.get(part, Decimal(0)) + amount
    if any(abs(amount) >= LARGEST for amount in added.values()):
        problems["amounts"] = None
        return Amounts(currency=currencies.pop())
    return Amounts(currency=currencies.pop(), **added)
