"""Reads the audit log. Entries are written in the transactions that they record (`accounts/audit.py`).

No process may change an entry, and nothing here does. What is older than twelve months ends with the nightly purge (`privacy/`).
"""

from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

from services.connector.accounts.callers import Caller
from services.connector.audit import csv_lines, queries
from services.connector.audit.objects import ShownObject, kind_of, shown, wanted_of
from services.connector.audit.queries import AuditFilters, Entry
from shared.database import Sessions

# An export ends here, and says so.
MOST_EXPORTED: Final = 50_000
_AT_ONCE: Final = 1_000
_HEAD: Final = ("time", "actor_kind", "actor", "action", "object_kind", "object", "object_id", "details")
MORE: Final = ("…", "", "", "there are more entries; choose a shorter time", "", "", "", "")


async def list_entries(
    sessions: Sessions, caller: Caller, filters: AuditFilters, *, limit: int, after: UUID | None
) -> list[tuple[Entry, ShownObject | None]]:
    """A page of the audit log, newest first, with what each entry is about."""
    async with sessions.reading() as reader:
        rows = await queries.entries_of(reader, caller.account_id, filters, limit=limit, after=after)
        wanted = wanted_of(caller, ((kind_of(row.action), row.subject_id) for row in rows))
        named = await queries.names_of(reader, caller.account_id, wanted)
    return [(row, shown(caller, kind_of(row.action), row.subject_id, named)) for row in rows]


async def export_entries(
    sessions: Sessions,
    caller: Caller,
    filters: AuditFilters,
    *,
    most: int = MOST_EXPORTED,
    at_once: int = _AT_ONCE,
) -> AsyncIterator[str]:
    """The audit log as CSV, newest first: so much at once, and no more than `most` entries."""
    yield csv_lines.BYTE_ORDER_MARK + csv_lines.lines([_HEAD])
    after, written = None, 0
    while True:
        limit = min(at_once, most - written)
        rows = await list_entries(sessions, caller, filters, limit=limit + 1, after=after)
        page = rows[:limit]
        yield csv_lines.lines(_cells(entry, about) for entry, about in page)
        written += len(page)
        if len(rows) <= limit:
            return
        if written >= most:
            yield csv_lines.lines([MORE])
            return
        after = page[-1][0].id


def _cells(entry: Entry, about: ShownObject | None) -> tuple[str, ...]:
    return (
        entry.at.isoformat(),
        entry.actor_kind,
        entry.actor_name or "",
        entry.action,
        about.kind.value if about else "",
        (about.name or "") if about else "",
        str(entry.subject_id or ""),
        " ".join(f"{name}={value}" for name, value in sorted(entry.fields.items())),
    )
