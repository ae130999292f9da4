"""One line of a report → what it says of an order and of an item in it. Pure.

The columns are matched by name, in whatever order they come. A cell that cannot be read costs its own field alone: it is named in
`problems`, and its words are kept sealed, as are those of columns that nobody knows.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from services.connector.order_reports.cells import LARGEST, Assumed, amount_of, reader_of
from services.connector.order_reports.columns import CellType, Column, column_named, normal_name
from shared.errors import Expected
from shared.marketplaces import MARKETPLACES, Marketplace

_MOST_COLUMNS: Final = 1000
# So many cells without a column are kept one by one, and the others as one.
_MOST_BEYOND: Final = 100
_MOST_TEXT: Final = 1000
_BY_CHANNEL: Final = {marketplace.retail_domain: marketplace for marketplace in MARKETPLACES}
_SUMS: Final = frozenset({"amounts.tax", "amounts.discount", "amounts.other"})
# What may be wrong with a row beside its cells.
_PLAIN: Final = "plain"
_SEALED: Final = "sealed"
CELLS_MISSING: Final = "cells_missing"
CELLS_TOO_MANY: Final = "cells_too_many"


class NoOrderReport(Expected):
    """The first line names no column with order numbers: this is another document."""

    code = "no_order_report"


class Row:
    """What a line says, by the part of an OrderRecord that it fills, and by the columns' names: what is plain, and what is sealed."""

    __slots__ = (
        "_parts",
        "amounts",
        "buyer",
        "item",
        "marketplace",
        "order",
        "plain",
        "problems",
        "recipient",
        "sealed",
    )

    def __init__(self, marketplace: Marketplace | None) -> None:
        self.marketplace = marketplace
        self.order: dict[str, Any] = {}
        self.item: dict[str, Any] = {}
        self.amounts: dict[str, Any] = {}
        self.buyer: dict[str, str] = {}
        self.recipient: dict[str, Any] = {}
        self.plain: dict[str, str] = {}
        self.sealed: dict[str, str] = {}
        self.problems: list[str] = []
        self._parts: dict[str, dict[str, Any]] = {
            "order": self.order,
            "item": self.item,
            "amounts": self.amounts,
            "buyer": self.buyer,
            "recipient": self.recipient,
            _PLAIN: self.plain,
            _SEALED: self.sealed,
        }

    def parts(self) -> dict[str, dict[str, Any]]:
        """All parts by their names."""
        return self._parts


class _Cell(NamedTuple):
    """What becomes of the cells of a column: `part` of a row, and the name in it."""

    name: str
    part: str
    into: str
    is_personal: bool = True
    is_money: bool = False
    # Several columns add up in what it fills, and each is kept by itself, too.
    is_addend: bool = False
    is_list: bool = False
    read: Callable[[str], object] | None = None


class Header:
    """The first line of a report: which cells its rows have. `country`: where the store is at home, for rows that do not say."""

    def __init__(self, line: str, country: str) -> None:
        """Raises NoOrderReport."""
        if "\r" in line.strip():
            # Lines that end in another way than all of Amazon's do: what follows the names would be taken for names, and is personal.
            raise NoOrderReport
        self.names, self.has_twins = _distinct(line.split("\t")[:_MOST_COLUMNS])
        self._home = country
        self._columns = [column_named(name) for name in self.names]
        known = [column.name for column in self._columns if column is not None]
        if "order-id" not in known:
            raise NoOrderReport
        self.has_item_ids = "order-item-id" in known
        self._channel = self._place_of("sales-channel")
        self._currency = self._place_of("currency")
        # By country, as cells are written differently; rows of one country are read by one list.
        self._cells: dict[str, list[tuple[int, bool, str, str, _Cell]]] = {}

        self._names: dict[str, dict[str, str]] = defaultdict(dict)
        for column in self._columns:
            if column is not None and column.field is not None:
                part, _, into = column.field.partition(".")
                self._names[part].setdefault(into, column.name)

    def _place_of(self, name: str) -> int | None:
        return next(
            (place for place, column in enumerate(self._columns) if column and column.name == name), None
        )

    def read(self, line: str) -> Row:
        """What a line says."""
        words = line.split("\t")
        marketplace = self._marketplace(words)
        country = self._home if marketplace is None else marketplace.country
        row = Row(marketplace)
        if len(words) != len(self.names):
            self._fit(words, row)
        currency = "" if self._currency is None else words[self._currency].strip()
        parts = row.parts()
        # Most cells are text that is what it is: they go where they belong at once, because a report has millions of them.
        for place, is_text, part, into, cell in self._cells.get(country) or self._cells_in(country):
            told = words[place].strip()
            if not told:
                continue
            if is_text and len(told) <= _MOST_TEXT and into not in (values := parts[part]):
                values[into] = told
            else:
                _take(row, cell, told, country, currency)
        return row

    def cells_of(self, part: str, values: Mapping[str, Any]) -> dict[str, str]:
        """Values of a part of a row, by the names of the columns that told them."""
        names = self._names[part]
        return {names[into]: value for into, value in values.items()}

    def _marketplace(self, words: Sequence[str]) -> Marketplace | None:
        if self._channel is None or self._channel >= len(words):
            return None
        return _BY_CHANNEL.get(words[self._channel].strip().lower())

    def _fit(self, words: list[str], row: Row) -> None:
        """A line with fewer or more cells than there are columns: none of its words is lost."""
        missing = len(self.names) - len(words)
        if missing > 0:
            words += [""] * missing
            row.problems.append(CELLS_MISSING)
            return
        beyond = words[len(self.names) :]
        # A line that is full of tabs would take longer than a thousand others.
        beyond[_MOST_BEYOND:] = ["\t".join(beyond[_MOST_BEYOND:])]
        for place, word in enumerate(beyond, len(self.names) + 1):
            if word.strip():
                row.sealed[f"column {place}"] = word
                row.problems.append(CELLS_TOO_MANY)

    def _cells_in(self, country: str) -> list[tuple[int, bool, str, str, _Cell]]:
        cells = []
        for place, (name, column) in enumerate(zip(self.names, self._columns, strict=True)):
            cell = _cell_of(name, column, country)
            is_text = cell.read is None and not cell.is_money and not cell.is_list
            cells.append((place, is_text, cell.part, cell.into, cell))
        self._cells[country] = cells
        return cells


def _distinct(headers: Sequence[str]) -> tuple[list[str], bool]:
    """Each column's name, as it is looked up, and whether one comes twice: the second is then none that anybody knows."""
    names: list[str] = []
    taken: set[str] = set()
    has_twins = False
    for place, header in enumerate(headers, 1):
        name = normal_name(header)[:200] or f"column {place}"
        column = column_named(name)
        key = name if column is None else column.name
        if key in taken:
            has_twins, name = True, f"{name} (column {place})"
        taken.add(key)
        names.append(name)
    return names, has_twins


def _cell_of(name: str, column: Column | None, country: str) -> _Cell:
    if column is None:
        return _Cell(name, _SEALED, name)
    part, _, into = (column.field or "").partition(".")
    return _Cell(
        column.name,
        part or (_SEALED if column.is_personal else _PLAIN),
        into or column.name,
        is_personal=column.is_personal,
        is_money=column.type is CellType.MONEY,
        is_addend=column.field in _SUMS,
        is_list=column.field == "recipient.lines",
        read=reader_of(column.type, country),
    )


def _take(row: Row, cell: _Cell, told: str, country: str, currency: str) -> None:
    """Put a cell where it belongs. What cannot be read, or only with something assumed, is named, and its words are kept."""
    is_field = cell.part not in {_PLAIN, _SEALED}
    value: object
    try:
        value, is_good = _value_of(cell, told, country, currency), True
    except Assumed as assumed:
        value, is_good = assumed.value, not is_field
    except ValueError:
        row.problems.append(cell.name)
        row.sealed[cell.name] = told
        return
    if not is_good:
        row.problems.append(cell.name)
        row.sealed[cell.name] = told
    if is_field:
        _fill(row, cell, value, told)
    else:
        row.parts()[cell.part][cell.name] = told


def _value_of(cell: _Cell, told: str, country: str, currency: str) -> object:
    """Raises Assumed, ValueError."""
    if cell.is_money:
        return amount_of(told, country, currency)
    if cell.read is not None:
        return cell.read(told)
    if len(told) > _MOST_TEXT and cell.part not in {_PLAIN, _SEALED}:
        raise Assumed(told[:_MOST_TEXT])
    return told


def _fill(row: Row, cell: _Cell, value: Any, told: str) -> None:
    part = row.parts()[cell.part]
    if cell.is_list:
        part.setdefault(cell.into, []).append(value)
    elif cell.is_money:
        amount = part.get(cell.into, 0) + value
        if abs(amount) < LARGEST:
            part[cell.into] = amount
        else:
            row.problems.append(cell.name)
        if cell.is_addend and value:
            row.plain[cell.name] = told
    elif cell.into not in part:
        part[cell.into] = value
    elif part[cell.into] != value:
        (row.sealed if cell.is_personal else row.plain)[cell.name] = told
