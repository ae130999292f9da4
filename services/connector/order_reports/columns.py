"""The columns that order reports are known to have, as data: `columns.toml` says of each what its cells are and where they go. Pure."""

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final


class CellType(StrEnum):
    """What a column's cells are."""

    TEXT = "text"
    INTEGER = "integer"
    MONEY = "money"
    DATETIME = "datetime"
    BOOLEAN = "boolean"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `field`: what of an OrderRecord it fills, such as `item.sku`; None if its cells are kept by the column's name alone.

    `is_wanted`: a seller can switch it on in every marketplace, and it is shown.
    """

    name: str
    group: str
    type: CellType = CellType.TEXT
    is_personal: bool = False
    is_of_order: bool = False
    field: str | None = None
    is_optional: bool = False
    is_wanted: bool = False


def normal_name(header: str) -> str:
    """A column's name as it is looked up: Amazon writes some with capitals, some with blanks behind them."""
    return header.strip().lower()


def _read() -> tuple[dict[str, Column], dict[str, Column]]:
    """The columns by their names, and by these and their aliases."""
    columns: dict[str, Column] = {}
    called: dict[str, Column] = {}
    groups = tomllib.loads(Path(__file__).with_name("columns.toml").read_text("utf-8"))
    for group, members in groups.items():
        for name, said in members.items():
            columns[name] = _column(name, group, said)
            called |= dict.fromkeys((name, *said.get("aliases", ())), columns[name])
    return columns, called


def _column(name: str, group: str, said: dict[str, Any]) -> Column:
    return Column(
        name,
        group,
        CellType(said.get("type", "text")),
        is_personal=said.get("personal", False),
        is_of_order=said.get("of_order", False),
        field=said.get("field"),
        is_optional=said.get("optional", False),
        is_wanted=said.get("wanted", False),
    )


COLUMNS, _BY_ANY_NAME = _read()
WANTED: Final = tuple(name for name, column in COLUMNS.items() if column.is_wanted)


def column_named(header: str) -> Column | None:
    """The column that a header names, whatever its case and blanks, or None for one that nobody knows."""
    return _BY_ANY_NAME.get(normal_name(header))


def missing_columns(headers: Collection[str]) -> tuple[str, ...]:
    """Of the optional columns that are shown, those that a report with these headers lacks, in the order of the table."""
    found = {column.name for header in headers if (column := column_named(header)) is not None}
    return tuple(name for name in WANTED if name not in found)
