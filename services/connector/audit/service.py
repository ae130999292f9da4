"""Reads the audit log. Entries are written in the transactions that they record (`accounts/audit.py`).

No process may change an entry, and nothing here does. What is older than twelve months ends with the nightly purge (`privacy/`).
"""

from uuid import UUID

from services.connector.audit import queries
from services.connector.audit.queries import AuditFilters, Entry
from shared.database import Sessions


async def list_entries(
    sessions: Sessions, account_id: UUID, filters: AuditFilters, *, limit: int, after: UUID | None
) -> list[Entry]:
    """A page of the audit log, newest first."""
    async with sessions.begin() as session:
        return await queries.entries_of(session, account_id, filters, limit=limit, after=after)
