"""A database that is emptied after each test: to copy the template and to drop the copy takes longer than most tests do.

So does a connection, for which a server's process reads the catalogue anew, and an engine, which compiles each statement anew: those
of `sessions`, of the application and of the processes beside it stay from test to test.
"""

from typing import Final, Self
from uuid import uuid4

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement
from sqlalchemy import AsyncAdaptedQueuePool
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.demo.postgres import OWNER, EmbeddedPostgres
from shared.availability import DATABASE
from shared.database import Sessions, create_engine, create_sessions
from shared.driver import asyncpg_dsn

_KEPT: Final = "tests-kept"
# How often rows are deleted until the tables are made short again: autovacuum, which would do it, is off (`postgres`).
_DELETIONS: Final = 100
_CONNECT_SECONDS: Final = 30.0

# Whatever a test may leave besides rows: other tables, columns, indexes, functions, triggers, rights and settings of the database;
# and what an analysis or a vacuum has noted of the tables, by which statements would be planned in another way.
# Each catalogue is looked through once; what is younger than the transaction $1 has been changed.
_YOUNGER: Final = "count(*), count(*) FILTER (WHERE age(xmin) < (SELECT age($1::text::xid)))"
_CATALOGUES: Final = ("pg_attribute", "pg_index", "pg_constraint", "pg_trigger", "pg_namespace", "pg_proc")
_SHAPE: Final = f"""
SELECT
    (SELECT ({_YOUNGER}, sum(reltuples), sum(relpages)) FROM pg_class),
    {",".join(f"(SELECT ({_YOUNGER}) FROM {catalogue})" for catalogue in _CATALOGUES)},
    (SELECT count(*) FROM pg_statistic WHERE starelid >= 16384),
    (SELECT count(*) FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase AND datname = current_database()),
    (SELECT version_num FROM alembic_version)
"""
_THROW_OUT: Final = """
SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
# The template has rows in no other table.
_TABLES: Final = """
SELECT oid::regclass::text FROM pg_class
WHERE relkind IN ('r', 'p') AND NOT relispartition AND oid >= 16384 AND relname <> 'alembic_version'
"""


class KeptDatabase:
    """The database of a worker of the run."""

    def __init__(
        self,
        postgres: EmbeddedPostgres,
        name: str,
        owner: "asyncpg.Connection[asyncpg.Record]",
        tables: list[str],
        deletions: int,
    ) -> None:
        self.name = name
        self._postgres = postgres
        self._owner = owner
        self._tables = tables
        self._since = ""
        self._shape: asyncpg.Record | None = None
        self._deletion: PreparedStatement[asyncpg.Record] | None = None
        self._deletions = self._deletions_left = deletions
        self._engines: dict[tuple[str, str], AsyncEngine] = {}

    @classmethod
    async def create(
        cls, postgres: EmbeddedPostgres, template: str, *, copy_files: bool, deletions: int = _DELETIONS
    ) -> Self:
        name = f"test_{uuid4().hex}"
        await postgres.create_database(name, template=template, copy_files=copy_files)
        owner = await asyncpg.connect(asyncpg_dsn(postgres.url(OWNER, name)))
        # Without triggers: neither an order among the tables nor what they say of a row that goes.
        await owner.execute("SET session_replication_role = replica")
        tables = [row[0] for row in await owner.fetch(_TABLES)]
        kept = cls(postgres, name, owner, tables, deletions)
        await kept._remember()
        return kept

    def sessions(self, role: str) -> Sessions:
        """Sessions with the rights of a role."""
        return create_sessions(self._engine(role, "tests"))

    def application_engine(self, role: str) -> AsyncEngine:
        """For an application: what a test holds meanwhile takes no connection from it."""
        return self._engine(role, "application")

    def process_engine(self, role: str, number: int = 0, *, pool_size: int = 10) -> AsyncEngine:
        """For what a test runs as a process besides the application: each number is a process, with connections of its own."""
        return self._engine(role, f"process {number} with {pool_size}", pool_size)

    def _engine(self, role: str, use: str, pool_size: int = 10) -> AsyncEngine:
        if (role, use) not in self._engines:
            self._engines[role, use] = create_engine(
                self._postgres.url(role, self.name),
                application_name=_KEPT,
                pool_size=pool_size,
                # On a busy machine a new connection takes longer than production waits for one, and nothing here is about that;
                # a page would show it.
                connect_seconds=_CONNECT_SECONDS,
                pool_seconds=_CONNECT_SECONDS,
            )
        return self._engines[role, use]

    async def is_as_new(self) -> bool:
        """Throw out whoever is still connected, and empty it. Whether the next test may have it: more than rows may be different."""
        try:
            await self._owner.execute(self._throw_out())
            if await self._owner.fetchrow(_SHAPE, self._since) != self._shape:
                return False
            await self._empty()
        except (asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    async def _remember(self) -> None:
        """What it is like now, and, as one statement that is planned once, how its rows go."""
        self._since = await self._owner.fetchval("SELECT pg_current_xact_id()::xid::text")
        self._shape = await self._owner.fetchrow(_SHAPE, self._since)
        deletions = (f"d{number} AS (DELETE FROM {table})" for number, table in enumerate(self._tables))
        self._deletion = await self._owner.prepare(f"WITH {', '.join(deletions)} SELECT")
        # Once at once: until then the driver leaves open what it was prepared in, with its locks.
        await self._deletion.fetch()
        self._deletions_left = self._deletions

    async def shorten(self) -> None:
        """Its tables are as short as new ones: rows that were deleted take room in them, by which PostgreSQL plans; and what has been
        read until now is counted: a connection tells it up to ten seconds later, unless it ends. Nobody may use it meanwhile.
        """
        for engine in self._engines.values():
            await engine.dispose()
        await self._owner.execute(f"{_THROW_OUT}; SELECT pg_stat_force_next_flush()")
        if self._deletions_left < self._deletions:
            await self._owner.execute(f"TRUNCATE {', '.join(self._tables)}")
            await self._remember()

    async def _empty(self) -> None:
        if self._deletion is None or not self._deletions_left:
            await self.shorten()
            return
        await self._deletion.fetch()
        self._deletions_left -= 1

    def _throw_out(self) -> str:
        pools = [engine.pool for engine in self._engines.values()]
        # A session that a test has left open is nobody's any more.
        if any(isinstance(pool, AsyncAdaptedQueuePool) and pool.checkedout() for pool in pools):
            self._engines.clear()
            return _THROW_OUT
        return f"{_THROW_OUT} AND application_name <> '{_KEPT}'"

    async def drop(self) -> None:
        for engine in self._engines.values():
            await engine.dispose()
        await self._owner.close()
        await self._postgres.drop_database(self.name)


def forget_outages() -> None:
    """As a process that has just started: the database was not away, whatever others in this process have met."""
    DATABASE._stay_away()
    DATABASE._away_since, DATABASE._failures = None, 0
