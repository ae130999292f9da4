"""The one read of the audit log."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.tables import ApiKey, AuditEntry, User

# An id is made by another clock than its row's time; ids only bound what is looked at.
_CLOCKS_DIFFER: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """Which entries to read; a filter that is left out filters nothing."""

    actor_id: UUID | None = None
    subject_id: UUID | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry with the name of who did it, as they are called now."""

    id: UUID
    at: datetime
    actor_kind: str
    actor_id: UUID | None
    actor_name: str | None
    action: str
    subject_id: UUID | None
    fields: dict[str, Any]


async def entries_of(
    session: AsyncSession, account_id: UUID, filters: AuditFilters, *, limit: int, after: UUID | None
) -> list[Entry]:
    """A page of the audit log, newest first, in one statement."""
    statement = (
        select(
            AuditEntry.id,
            AuditEntry.at,
            AuditEntry.actor_kind,
            AuditEntry.actor_id,
            func.coalesce(User.name, ApiKey.name).label("actor_name"),
            AuditEntry.action,
            AuditEntry.subject_id,
            AuditEntry.fields,
        )
        .outerjoin(User, and_(AuditEntry.actor_kind == "user", User.id == AuditEntry.actor_id))
        .outerjoin(ApiKey, and_(AuditEntry.actor_kind == "api_key", ApiKey.id == AuditEntry.actor_id))
        .where(AuditEntry.account_id == account_id)
    )
    if after is not None:
        statement = statement.where(AuditEntry.id < after)
    for column, value in (
        (AuditEntry.actor_id, filters.actor_id),
        (AuditEntry.subject_id, filters.subject_id),
        (AuditEntry.action, filters.action),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if filters.since is not None:
        statement = statement.where(
            AuditEntry.at >= filters.since, AuditEntry.id >= func.uuid_at(filters.since - _CLOCKS_DIFFER)
        )
    if filters.until is not None:
        statement = statement.where(
            AuditEntry.at < filters.until, AuditEntry.id < func.uuid_at(filters.until + _CLOCKS_DIFFER)
        )
    rows = await session.execute(statement.order_by(AuditEntry.id.desc()).limit(limit))
    return [Entry(**row) for row in rows.mappings()]
