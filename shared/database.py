"""How a process reaches PostgreSQL: one engine a process, sessions handed down from its composition root.

A function that takes `sessions` opens one transaction and owns it, or reads without one; a function that takes `session`
runs inside its caller's. Nobody calls `commit()`.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import asyncpg
import sqlalchemy
import sqlalchemy.exc
from sqlalchemy import Select
from sqlalchemy.engine import AdaptedConnection, ExceptionContext
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import greenlet_spawn

from shared.availability import DATABASE
from shared.clock import Clock
from shared.database_cures import database_cure, version_problem
from shared.driver import (
    AWAY,
    DATABASE_AWAY,
    DRIVER_UNAVAILABLE,
    TABLES_MISSING,
    DatabaseTimedOut,
    DatabaseUnavailable,
    asyncpg_dsn,
    connect_driver,
)
from shared.errors import CannotStart
from shared.schema_revision import FIND_REVISION, packaged_revisions, schema_problem


class StatementCancelled(Exception):
    """PostgreSQL ended a statement that was asked of the driver: it took longer than its transaction allows, or somebody cancelled it."""


# The same as AWAY, with what SQLAlchemy makes of it.
UNAVAILABLE: Final = (
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.TimeoutError,
    *AWAY,
)
# SQLSTATE classes of a server that is going, coming, or full: connection, insufficient resources, operator intervention.
_UNAVAILABLE_STATES: Final = ("08", "53", "57P")


# SQLSTATEs: class 40 is a transaction that was rolled back (deadlock, serialization), then a lock not available, and a cancel.
_ENDED_FOR_OTHERS: Final = ("40", "55P03", "57014")


# All that SQLAlchemy need know: the URL is the driver's to read, who understands several hosts and sslmode as PostgreSQL does.
DIALECT: Final = "postgresql+asyncpg://"
CONNECT_SECONDS: Final = 5.0
STATEMENT_SECONDS: Final = 15.0
# A connection that was used this lately is alive, unless it is known to be closed: no question before each statement.
_TRUSTED_SECONDS: Final = 1.0
_CHECK_SECONDS: Final = 5.0
_IDS_A_PAGE: Final = 500
_IDLE_SINCE: Final = "replyco_idle_since"
# What a process that is frozen has locked is free again after this: PostgreSQL rolls its transaction back. No transaction of ours
# waits for anything but the database, so that none that lives is idle for so long.
_ABANDONED: Final = "SET idle_in_transaction_session_timeout = '60s'"


# What a SELECT of columns can be asked of.
Reader = AsyncSession | AsyncConnection


class Sessions(async_sessionmaker[AsyncSession]):
    """`begin()` for a transaction, whose objects stay readable after the commit; `reading()` for columns, without one.

    `now()` for the time that decides; to be asked before a transaction, not in it, because it may need a connection.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine, expire_on_commit=False)
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self.clock = Clock()

    def reading(self) -> AsyncConnection:
        """For SELECTs of columns: each stands alone, and the round trips of BEGIN and COMMIT are saved.

        Nothing is lost by it: in a transaction, too, each statement sees its own moment (READ COMMITTED).
        """
        return self._engine.connect()

    async def fetch(self, sql: str, *parameters: object) -> list[asyncpg.Record]:
        """The rows of one SELECT that stands alone, asked of the driver itself; for CompiledSelect. Raises what is in UNAVAILABLE."""
        with named_failures():
            borrowed = await self._engine.raw_connection()
            try:
                assert borrowed.driver_connection is not None
                rows: list[asyncpg.Record] = await borrowed.driver_connection.fetch(sql, *parameters)
            finally:
                # The pool's own way, which waits for nothing unless the connection has broken.
                await greenlet_spawn(borrowed.close)
        return rows

    async def now(self) -> datetime:
        """PostgreSQL's time, asked for every ten seconds and counted on between. Raises what is in UNAVAILABLE."""
        if self.clock.is_to_be_asked():
            await self._ask_clock()
        return self.clock.now()

    async def agreed_now(self) -> datetime:
        """PostgreSQL's time, asked for now, for whoever destroys something because its time is over.

        Raises ClocksDiffer if this machine's clock says another one, and what is in UNAVAILABLE.
        """
        await self._ask_clock()
        self.clock.require_agreement()
        return self.clock.now()

    async def _ask_clock(self) -> None:
        asked_at = datetime.now(UTC)
        [row] = await self.fetch("SELECT clock_timestamp()")
        self.clock.learn(row[0], asked_at=asked_at, answered_at=datetime.now(UTC))


def is_unavailable(error: BaseException) -> bool:
    """Whether the database is away, rather than our SQL wrong. SQLAlchemy wraps some of these in its general class, and a
    group of tasks all of its errors in one.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(is_unavailable(one) for one in error.exceptions)
    if isinstance(error, UNAVAILABLE):
        return True
    if not isinstance(error, sqlalchemy.exc.DBAPIError):
        return False
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return error.connection_invalidated or state.startswith(_UNAVAILABLE_STATES)


def was_ended_for_others(error: BaseException) -> bool:
    """Whether PostgreSQL ended the statement because of what others do, not because of what it says: a deadlock, a serialization
    failure, a lock that did not come in time, a statement that was cancelled.
    """
    if not isinstance(error, sqlalchemy.exc.DBAPIError):
        return False
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return state.startswith(_ENDED_FOR_OTHERS)


async def database_answers(sessions: "Sessions") -> bool:
    """Whether the database can be asked something now: what `/readyz` tells."""
    try:
        async with sessions() as session:
            await session.execute(sqlalchemy.text("SELECT 1"))
    except (*UNAVAILABLE, sqlalchemy.exc.DBAPIError):
        return False
    return True


async def database_problem(sessions: "Sessions") -> str | None:
    """Why this code cannot work on the database now, as `/readyz` tells it: it is away, or it or its tables are of an older version."""
    try:
        async with sessions() as session:
            if problem := version_problem(await _major_version(session)):
                return problem
            found = await session.scalar(sqlalchemy.text(FIND_REVISION))
    except (*UNAVAILABLE, sqlalchemy.exc.DBAPIError) as error:
        if isinstance(getattr(getattr(error, "orig", None), "__cause__", None), TABLES_MISSING):
            return schema_problem(None, packaged_revisions())
        return database_cure(error) or DATABASE_AWAY
    return schema_problem(found, packaged_revisions())


async def require_version(sessions: "Sessions") -> "Sessions":
    """The same, at a role's start. Raises CannotStart if the server is too old; of one that is away nothing is known yet: `/readyz` will tell."""
    with contextlib.suppress(*UNAVAILABLE, sqlalchemy.exc.DBAPIError):
        async with sessions() as session:
            if problem := version_problem(await _major_version(session)):
                raise CannotStart(problem)
    return sessions


async def _major_version(session: AsyncSession) -> int:
    """As the server has said when the connection was made: nothing is asked."""
    connection = await (await session.connection()).get_raw_connection()
    driver: asyncpg.Connection[asyncpg.Record] | None = connection.driver_connection
    assert driver is not None
    return driver.get_server_version().major


async def connect(
    database_url: str,
    *,
    application_name: str,
    connect_seconds: float = CONNECT_SECONDS,
    statement_seconds: float = STATEMENT_SECONDS,
) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection of asyncpg's own, such as for LISTEN. Raises DatabaseUnavailable, also if the server is there and takes nobody yet."""
    try:
        # What the driver raises here, SQLAlchemy's pool turns into errors without a SQLSTATE, which nobody could tell apart any more.
        with named_failures():
            connection = await connect_driver(
                asyncpg_dsn(database_url),
                timeout=connect_seconds,
                command_timeout=statement_seconds,
                server_settings={"application_name": application_name, "timezone": "UTC"},
            )
            # As a statement: a pooler between us and PostgreSQL refuses it as a parameter of the connection.
            try:
                await connection.execute(_ABANDONED)
            except BaseException:
                # Whoever has no time left for this, because they end, has nobody who would close it.
                connection.terminate()
                raise
            return connection
    except asyncpg.InterfaceError as error:
        raise _as_unavailable(error) from error


def create_engine(
    database_url: str,
    *,
    application_name: str,
    pool_size: int = 10,
    connect_seconds: float = CONNECT_SECONDS,
    pool_seconds: float = CONNECT_SECONDS,
    statement_seconds: float = STATEMENT_SECONDS,
    trusted_seconds: float = _TRUSTED_SECONDS,
) -> AsyncEngine:
    """The engine of one process. `application_name` shows in pg_stat_activity.

    All times are bounded: to connect, to wait for a connection of the pool, for a statement.
    """

    def replace_dead(connection: AdaptedConnection, entry: ConnectionPoolEntry, _proxy: object) -> None:
        _replace_dead(connection, entry, trusted_seconds)

    async def connected() -> "asyncpg.Connection[asyncpg.Record]":
        return await connect(
            database_url,
            application_name=application_name,
            connect_seconds=connect_seconds,
            statement_seconds=statement_seconds,
        )

    engine = create_async_engine(
        DIALECT,
        async_creator=connected,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_seconds,
        hide_parameters=True,
    )
    sqlalchemy.event.listen(engine.sync_engine, "handle_error", _name_failure)
    sqlalchemy.event.listen(engine.sync_engine, "after_cursor_execute", _note_answer)
    sqlalchemy.event.listen(engine.sync_engine, "checkin", _note_idle)
    sqlalchemy.event.listen(engine.sync_engine, "checkout", replace_dead)
    return engine


def _note_answer(*_statement: object) -> None:
    DATABASE.answers()


def _name_failure(context: ExceptionContext) -> BaseException | None:
    """Wrap the driver's bare errors, so that they can be told from others; SQLAlchemy raises what is returned."""
    error = context.original_exception
    return _as_unavailable(error) if isinstance(error, OSError) else None


@contextlib.contextmanager
def named_failures() -> Iterator[None]:
    """The same for what is asked of the driver without SQLAlchemy between."""
    try:
        yield
    except asyncpg.QueryCanceledError as error:
        raise StatementCancelled from error
    except asyncpg.PostgresError as error:
        if str(error.sqlstate).startswith(_UNAVAILABLE_STATES):
            raise _as_unavailable(error) from error
        raise
    except OSError as error:
        raise _as_unavailable(error) from error


async def each_id(sessions: Sessions, ids: Select[UUID]) -> AsyncIterator[UUID]:
    """The ids that a statement selects, in their order. They are read by pages, so that no transaction is open while something is done with one."""
    [column] = ids.selected_columns
    page = ids.order_by(column).limit(_IDS_A_PAGE)
    after = UUID(int=0)
    while True:
        async with sessions.begin() as session:
            found = (await session.scalars(page.where(column > after))).all()
        for each in found:
            yield each
        if len(found) < _IDS_A_PAGE:
            return
        after = found[-1]


async def now_in(session: AsyncSession) -> datetime:
    """PostgreSQL's time, for whoever needs it in a transaction and was not given it."""
    now: datetime = (await session.execute(sqlalchemy.select(sqlalchemy.func.clock_timestamp()))).scalar_one()
    return now


async def bound_statements(session: AsyncSession, seconds: float) -> None:
    """From here to the end of the session's transaction, a statement that takes longer ends with StatementCancelled."""
    await session.execute(sqlalchemy.text(f"SET LOCAL statement_timeout = '{seconds}s'"))


def _as_unavailable(error: Exception) -> DatabaseUnavailable:
    # Without the text, which may name the host.
    kind = DatabaseTimedOut if isinstance(error, TimeoutError) else DatabaseUnavailable
    return kind(type(error).__name__)


def _note_idle(_connection: AdaptedConnection | None, entry: ConnectionPoolEntry) -> None:
    entry.info[_IDLE_SINCE] = time.monotonic()


def _replace_dead(connection: AdaptedConnection, entry: ConnectionPoolEntry, trusted_seconds: float) -> None:
    """Let the pool connect anew instead of handing out a connection whose server is gone.

    A server that goes closes its connections, which asyncpg hears of at once. One that vanishes without a word is
    noticed when a connection that was idle is used; within the trusted second the caller gets the error of the statement (503, try again).
    """
    driver: asyncpg.Connection[asyncpg.Record] = connection.driver_connection
    is_dead = driver.is_closed()
    idle_since = entry.info.get(_IDLE_SINCE)
    if not is_dead and idle_since is not None and time.monotonic() - idle_since > trusted_seconds:
        try:
            connection.run_async(lambda asked: asked.fetchval("SELECT 1", timeout=_CHECK_SECONDS))
        except (*DRIVER_UNAVAILABLE, asyncpg.PostgresError):
            is_dead = True
    if is_dead and idle_since is None:
        # It was made just now. The pool itself would end in an error that looks like a mistake of ours.
        raise DatabaseUnavailable
    if is_dead:
        raise sqlalchemy.exc.DisconnectionError


def create_sessions(engine: AsyncEngine) -> Sessions:
    """What a composition root hands down."""
    return Sessions(engine)
