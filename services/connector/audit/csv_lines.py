"""Lines of a CSV file (RFC 4180) that no spreadsheet runs: a cell that would be a formula begins with an apostrophe. Pure."""

import csv
import io
from collections.abc import Iterable
from typing import Final

# What spreadsheets take for the beginning of a formula, whatever stands before it that they skip.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
MEDIA_TYPE: Final = "text/csv"
# Without it, spreadsheets read the letters of another century.
BYTE_ORDER_MARK: Final = "\ufeff"


def safe(cell: str) -> str:
    """The text, which no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) or cell.lstrip().startswith(_FORMULA) else cell


def lines(rows: Iterable[Iterable[str]]) -> str:
    """Rows as lines that end with CRLF."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows([safe(cell) for cell in row] for row in rows)
    return written.getvalue()


def headers(filename: str) -> dict[str, str]:
    """It is a download, and nobody keeps it."""
    return {
        "Content-Disposition": f'attachment; filename="{filename}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store, private",
    }
