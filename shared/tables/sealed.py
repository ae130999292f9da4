"""Every column that is sealed with an account's data key, and the place that each value is sealed for: made from the tables themselves, so that
none is forgotten when data keys are changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Column, Table

from shared.crypto.envelope import Place
from shared.tables.base import PLACE, Base, SealedColumn

# The row whose files are in the blob store when they are large: instead of this column's value it names a blob, sealed for the same place.
_IN_A_BLOB: Final = "content"


@dataclass(frozen=True, slots=True)
class SealedPlace:
    """A sealed column, and what its values are bound to: `table`, `place_column` and the id in the row's column `row_id`."""

    column: str
    table: str
    place_column: str
    row_id: str

    def of(self, row: Mapping[str, Any]) -> Place:
        """The place of this row's value."""
        return Place(self.table, self.place_column, row[self.row_id])


@dataclass(frozen=True, slots=True)
class SealedTable:
    """A table with sealed columns. `key`: its primary key. `blob`: the place of what lies in the blob that a row names, if it may name one."""

    name: str
    key: tuple[str, ...]
    places: tuple[SealedPlace, ...]
    blob: SealedPlace | None


@cache
def sealed_tables() -> tuple[SealedTable, ...]:
    """Every table that has a column sealed with a data key, by name."""
    found = []
    for name, table in sorted(Base.metadata.tables.items()):
        places = tuple(
            _place(table, column)
            for column in table.columns
            if isinstance(column.type, SealedColumn) and column.info.get(PLACE, ...) is not None
        )
        if places:
            blobs = [place for place in places if place.column == _IN_A_BLOB]
            blob = blobs[0] if blobs and "blob_key" in table.columns else None
            found.append(SealedTable(name, tuple(c.name for c in table.primary_key), places, blob))
    return tuple(found)


def _place(table: Table, column: "Column[Any]") -> SealedPlace:
    if PLACE in column.info:
        return SealedPlace(column.name, *column.info[PLACE])
    # What is bound to its own row, as nearly all are.
    row_id = "id" if "id" in table.columns else next(iter(table.primary_key)).name
    return SealedPlace(column.name, table.name, column.name, row_id)
