"""What every role needs of its database, as `doctor` finds it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import asyncpg

from shared.database_cures import DURABLE_COMMITS, database_cure, version_problem
from shared.doctor.findings import Finding, Severity, note, ok, warning, wrong
from shared.driver import TABLES_MISSING, asyncpg_dsn, connect_driver
from shared.schema_revision import FIND_REVISION, packaged_revisions, schema_problem

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

_CLOCK_TOLERANCE: Final = timedelta(seconds=30)
_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Rights:
    """What the user of a role has to have, and what it must not have: each a table with a privilege, and what that means in words."""

    role: str
    needed: Sequence[tuple[str, str]]
    forbidden: Sequence[tuple[str, str, str]]


async def database_findings(
    database_url: str, rights: Rights, more: "Callable[[Connection], Awaitable[Sequence[Finding]]]"
) -> list[Finding]:
    """Whether the database can be worked on, and what `more` finds in its tables, which is asked only where there are any."""
    try:
        connection = await connect_driver(
            asyncpg_dsn(database_url), timeout=_SECONDS, command_timeout=_SECONDS
        )
    except (
        OSError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        ValueError,
    ) as error:
        return [
            wrong(
                database_cure(error)
                or f"The database cannot be reached ({type(error).__name__}). Is PostgreSQL running, and does "
                "REPLYCO_DATABASE_URL name the right host, database, user and password?",
            )
        ]
    findings = [_version(connection)]
    try:
        findings += [
            await _pooler(connection),
            await _durability(connection),
            await _clock(connection),
        ]
        migrated = await _migrated(connection)
        findings.append(migrated)
        if migrated.severity is not Severity.WRONG:
            findings += await _rights(connection, rights)
            findings += await _restored(connection)
            findings += await more(connection)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        findings.append(
            wrong(
                database_cure(error)
                or f"The database does not answer our questions ({type(error).__name__}). Run `python -m migrations upgrade`."
            )
        )
    finally:
        connection.terminate()
    return findings


def _version(connection: "Connection") -> Finding:
    major = connection.get_server_version().major
    problem = version_problem(major)
    return ok(f"The database answers (PostgreSQL {major}).") if problem is None else wrong(problem)


async def _pooler(connection: "Connection") -> Finding:
    """Whoever keeps sessions apart from connections tells a process number that is not the session's."""
    if await connection.fetchval("SELECT pg_backend_pid()") == connection.get_server_pid():
        return ok("The way to PostgreSQL has no pooler in it.")
    return wrong(
        "A pooler (PgBouncer) stands before PostgreSQL. Let REPLYCO_DATABASE_URL name PostgreSQL itself: locks, LISTEN and prepared statements "
        "belong to a session, and a pooler gives it to somebody else. Replyco keeps few connections: docs/operations/connections.md counts them.",
    )


async def _durability(connection: "Connection") -> Finding:
    """What a power cut would undo."""
    fsync, pages, commit = await connection.fetchrow(
        "SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')"
    ) or (None, None, None)
    off = [name for name, value in (("fsync", fsync), ("full_page_writes", pages)) if value != "on"]
    if off:
        return wrong(
            f"PostgreSQL runs with {' and '.join(off)} = off: a power cut may destroy the whole database, and the relay refuses to start. "
            "Set it to on in postgresql.conf."
        )
    if commit not in DURABLE_COMMITS:
        return wrong(
            f"PostgreSQL runs with synchronous_commit = {commit}: what was stored last is undone by a power cut or a failover, and a reply that has "
            "been sent would be sent once more. Set it to on (`ALTER SYSTEM SET synchronous_commit = on`). The relay sets it for its own mail."
        )
    return ok(f"What is stored survives a power cut (synchronous_commit = {commit}).")


async def _clock(connection: "Connection") -> Finding:
    """Whatever ends, ends by the database's clock; ours has to confirm it before something is destroyed."""
    asked = datetime.now(UTC)
    theirs: datetime = await connection.fetchval("SELECT clock_timestamp()")
    apart = abs(theirs - asked)
    if apart <= _CLOCK_TOLERANCE:
        return ok("Our clock and the database's agree.")
    return wrong(
        f"Our clock and the database's are {int(apart.total_seconds())} seconds apart. Set both by NTP. From a minute on, "
        "nothing is deleted because of its age, and no address is retired."
    )


async def _migrated(connection: "Connection") -> Finding:
    try:
        found = await connection.fetchval(FIND_REVISION)
    except TABLES_MISSING:
        found = None
    problem = schema_problem(found, packaged_revisions())
    if problem is not None:
        return wrong(problem[0].upper() + problem[1:])
    if found != packaged_revisions().head:
        return note("The tables are of a later version than this code, which goes on working with them.")
    return ok("The tables are up to date.")


async def _restored(connection: "Connection") -> list[Finding]:
    found = await connection.fetchrow(
        "SELECT restored_at, ends_at FROM restorations WHERE ends_at > now() ORDER BY ends_at DESC LIMIT 1"
    )
    if found is None:
        return []
    return [
        warning(
            f"The database was restored ({found['restored_at']:%Y-%m-%d %H:%M}Z): until {found['ends_at']:%Y-%m-%d %H:%M}Z unknown addresses are answered 451, "
            "and no blob is swept. When nothing is to be put right any more: `python -m migrations restored --done`, as the database's owner."
        )
    ]


async def _rights(connection: "Connection", rights: Rights) -> list[Finding]:
    """Somebody who took a process over could do whatever its user may."""
    missing = [
        f"{privilege} on {table}"
        for table, privilege in rights.needed
        if not await _may(connection, table, privilege)
    ]
    too_many = [
        meaning for table, privilege, meaning in rights.forbidden if await _may(connection, table, privilege)
    ]
    findings = []
    if missing:
        findings.append(
            wrong(
                f"The user of REPLYCO_DATABASE_URL lacks {', '.join(missing)}. Let the URL name {rights.role}, the user of this role; "
                "`python -m migrations upgrade` gives it its rights."
            )
        )
    findings += [
        wrong(
            f"The user of REPLYCO_DATABASE_URL {meaning}. It is the owner of the tables or has too many rights; name {rights.role}, "
            "the user of this role."
        )
        for meaning in too_many
    ]
    return findings or [
        ok("The database user may do what this role does, and nothing else that we asked about.")
    ]


async def _may(connection: "Connection", table: str, privilege: str) -> bool:
    """Of any of its columns, or of the table: some privileges are given by column, some only by table."""
    by_column = {"SELECT", "INSERT", "UPDATE"}
    function = "has_any_column_privilege" if privilege in by_column else "has_table_privilege"
    return bool(await connection.fetchval(f"SELECT {function}($1::text, $2::text)", table, privilege))
