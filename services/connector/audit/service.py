"""Reads the audit log. Entries are written in the transactions that they record (`accounts/audit.py`).

No process may change an entry, and nothing here does. What is older than twelve months ends with the nightly purge (`privacy/`).
"""

from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

from services.connector.accounts.callers import Caller
from services.connector.audit import queries
from services.connector.audit.exports import AT_ONCE, MOST_EXPORTED, exported
from services.connector.audit.objects import ShownObject, kind_of, shown, wanted_of
from services.connector.audit.queries import AuditFilters, Entry
from shared.database import Sessions

_HEAD: Final = ("time", "actor_kind", "actor", "action", "object_kind", "object", "object_id", "details")


async def list_entries(
    sessions: Sessions, caller: Caller, filters: AuditFilters, *, limit: int, after: UUID | None
) -> list[tuple[Entry, ShownObject | None]]:
    """A page of the audit log, newest first, with what each entry is about."""
    async with sessions.reading() as reader:
        rows = await queries.entries_of(reader, caller.account_id, filters, limit=limit, after=after)
        wanted = wanted_of(caller, ((kind_of(row.action), row.subject_id) for row in rows))
        named = await queries.names_of(reader, caller.account_id, wanted)
    return [(row, shown(caller, kind_of(row.action), row.subject_id, named)) for row in rows]


def export_entries(
    sessions: Sessions,
    caller: Caller,
    filters: AuditFilters,
    *,
    most: int = MOST_EXPORTED,
    at_once: int = AT_ONCE,
) -> AsyncIterator[str]:
    """The audit log as CSV, newest first: so much at once, and no more than `most` entries."""

    async def read(limit: int, after: UUID | None) -> list[tuple[Entry, ShownObject | None]]:
        return await list_entries(sessions, caller, filters, limit=limit, after=after)

    return exported(_HEAD, read, _cells, most=most, at_once=at_once)


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
