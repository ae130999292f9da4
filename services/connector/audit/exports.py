"""A whole log as a CSV file: read page by page, so that no export holds it all, and bounded."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from services.connector.audit import csv_lines
from services.connector.audit.objects import ShownObject

# An export ends here, and says so.
MOST_EXPORTED: Final = 50_000
AT_ONCE: Final = 1_000
MORE: Final = ("…", "", "", "there are more entries; choose a shorter time", "", "", "", "")
# What the description of the API says of an export's answer.
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "A line for each entry.", "content": {csv_lines.MEDIA_TYPE: {}}}
}


class Logged(Protocol):
    """An entry of a log."""

    @property
    def id(self) -> UUID: ...


EntryT = TypeVar("EntryT", bound=Logged)


async def exported(
    head: tuple[str, ...],
    read: Callable[[int, UUID | None], Awaitable[list[tuple[EntryT, ShownObject | None]]]],
    cells: Callable[[EntryT, ShownObject | None], tuple[str, ...]],
    *,
    most: int,
    at_once: int,
) -> AsyncIterator[str]:
    """The file in pieces, newest entry first. `read(limit, after)` reads a page, with what each entry is about."""
    yield csv_lines.BYTE_ORDER_MARK + csv_lines.lines([head])
    after, written = None, 0
    while True:
        limit = min(at_once, most - written)
        rows = await read(limit + 1, after)
        page = rows[:limit]
        yield csv_lines.lines(cells(entry, about) for entry, about in page)
        written += len(page)
        if len(rows) <= limit:
            return
        if written >= most:
            yield csv_lines.lines([MORE])
            return
        after = page[-1][0].id
