"""Rows of the read log: written in one statement each, and read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.connector.accounts.callers import Caller
from services.connector.audit.queries import page_of_log
from shared.database import Sessions
from shared.driver import new_id
from shared.tables import ApiKey, ReadEntry, ReadKind, User

_ADD: Final = (
    "INSERT INTO read_log (id, account_id, reader_kind, reader_id, kind, subject_id, part_id, found)"
    " SELECT $1::uuid, $2::uuid, $3::text, $4::uuid, $5::text, $6::uuid, $7::uuid, $8::integer"
)
# For this statement's own transaction.
_WITHOUT_DISK: Final = " WHERE set_config('synchronous_commit', 'off', true) IS NOT NULL"
_ADD_QUICKLY: Final = f"{_ADD}{_WITHOUT_DISK} RETURNING id"
_ADD_UNLESS_TOLD: Final = (
    f"{_ADD}{_WITHOUT_DISK} AND NOT EXISTS (SELECT FROM read_log WHERE account_id = $2 AND subject_id = $6"
    " AND reader_id = $4 AND kind = $5 AND id >= uuid_at(now() - make_interval(secs => $9::float8))) RETURNING id"
)


@dataclass(frozen=True, slots=True)
class ReadFilters:
    """Which entries to read; a filter that is left out filters nothing."""

    reader_id: UUID | None = None
    subject_id: UUID | None = None
    kind: ReadKind | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReadRow:
    """An entry with the name of who read, as they are called now."""

    id: UUID
    at: datetime
    reader_kind: str
    reader_id: UUID
    reader_name: str | None
    kind: str
    subject_id: UUID | None
    part_id: UUID | None
    found: int | None


def _values(
    caller: Caller, kind: ReadKind, subject_id: UUID | None, part_id: UUID | None, found: int | None
) -> tuple[object, ...]:
    reader_kind = "user" if caller.is_browser else "api_key"
    return (
        new_id(),
        caller.account_id,
        reader_kind,
        caller.id,
        kind.value,
        subject_id,
        part_id,
        found,
    )


async def add_taken(
    sessions: Sessions, caller: Caller, kind: ReadKind, *, subject_id: UUID, part_id: UUID
) -> None:
    """Every time, and on the disk when this returns."""
    await sessions.fetch(f"{_ADD} RETURNING id", *_values(caller, kind, subject_id, part_id, None))


async def add_search(sessions: Sessions, caller: Caller, found: int) -> None:
    await sessions.fetch(_ADD_QUICKLY, *_values(caller, ReadKind.SEARCH, None, None, found))


async def add_opened(
    sessions: Sessions, caller: Caller, kind: ReadKind, subject_id: UUID, *, again_seconds: float
) -> bool:
    """Whether it was written: not if the same was within the last `again_seconds`."""
    rows = await sessions.fetch(
        _ADD_UNLESS_TOLD, *_values(caller, kind, subject_id, None, None), again_seconds
    )
    return bool(rows)


async def reads_of(
    reader: AsyncConnection, account_id: UUID, filters: ReadFilters, *, limit: int, after: UUID | None
) -> list[ReadRow]:
    """A page of the read log, newest first, in one statement."""
    statement = (
        select(
            ReadEntry.id,
            ReadEntry.at,
            ReadEntry.reader_kind,
            ReadEntry.reader_id,
            func.coalesce(User.name, ApiKey.name).label("reader_name"),
            ReadEntry.kind,
            ReadEntry.subject_id,
            ReadEntry.part_id,
            ReadEntry.found,
        )
        .outerjoin(User, and_(ReadEntry.reader_kind == "user", User.id == ReadEntry.reader_id))
        .outerjoin(ApiKey, and_(ReadEntry.reader_kind == "api_key", ApiKey.id == ReadEntry.reader_id))
        .where(ReadEntry.account_id == account_id)
    )
    wanted = {
        ReadEntry.reader_id: filters.reader_id,
        ReadEntry.subject_id: filters.subject_id,
        ReadEntry.kind: filters.kind,
    }
    page = page_of_log(
        statement, ReadEntry, wanted, since=filters.since, until=filters.until, limit=limit, after=after
    )
    return [ReadRow(**row) for row in (await reader.execute(page)).mappings()]
