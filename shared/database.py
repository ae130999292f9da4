"""How a process reaches PostgreSQL: one engine a process, sessions handed down from its composition root.

A function that takes `sessions` opens one transaction and owns it, or reads without one; a function that takes `session`
runs inside its caller's. Nobody calls `commit()`.
"""

import time
from typing import Final
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import sqlalchemy
import sqlalchemy.exc
from sqlalchemy.engine import AdaptedConnection
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.pool import ConnectionPoolEntry
from uuid_utils.compat import uuid7

# What SQLAlchemy and asyncpg raise when the server is away, refuses, or breaks the connection (not: our SQL is wrong).
UNAVAILABLE: Final = (
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    ConnectionError,
    TimeoutError,
    OSError,
)


# SQLSTATE classes of a server that is going, coming, or full: connection, insufficient resources, operator intervention.
_UNAVAILABLE_STATES: Final = ("08", "53", "57P")


# A connection that was used this lately is alive, unless it is known to be closed: no question before each statement.
_TRUSTED_SECONDS: Final = 1.0
_CHECK_SECONDS: Final = 5.0
_IDLE_SINCE: Final = "replyco_idle_since"


# What a SELECT of columns can be asked of.
Reader = AsyncSession | AsyncConnection


class Sessions(async_sessionmaker[AsyncSession]):
    """`begin()` for a transaction, whose objects stay readable after the commit; `reading()` for columns, without one."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine, expire_on_commit=False)
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    def reading(self) -> AsyncConnection:
        """For SELECTs of columns: each stands alone, and the round trips of BEGIN and COMMIT are saved.

        Nothing is lost by it: in a transaction, too, each statement sees its own moment (READ COMMITTED).
        """
        return self._engine.connect()


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


async def database_answers(sessions: "Sessions") -> bool:
    """Whether the database can be asked something now: what `/readyz` tells."""
    try:
        async with sessions() as session:
            await session.execute(sqlalchemy.text("SELECT 1"))
    except (*UNAVAILABLE, sqlalchemy.exc.DBAPIError):
        return False
    return True


def new_id() -> UUID:
    """A primary key: UUIDv7 (RFC 9562 §5.7), so that rows made together lie together and partitions can be cut by id."""
    return uuid7()


def create_engine(database_url: str, *, application_name: str, pool_size: int = 10) -> AsyncEngine:
    """The engine of one process. `application_name` shows in pg_stat_activity.

    Times are bounded: 5 s to connect, 5 s to wait for a connection, 15 s for a statement.
    """
    engine = create_async_engine(
        sqlalchemy_url(database_url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        hide_parameters=True,
        connect_args={
            "timeout": 5,
            "command_timeout": 15,
            "server_settings": {"application_name": application_name, "timezone": "UTC"},
        },
    )
    sqlalchemy.event.listen(engine.sync_engine, "checkin", _note_idle)
    sqlalchemy.event.listen(engine.sync_engine, "checkout", _replace_dead)
    return engine


def _note_idle(_connection: AdaptedConnection | None, entry: ConnectionPoolEntry) -> None:
    entry.info[_IDLE_SINCE] = time.monotonic()


def _replace_dead(connection: AdaptedConnection, entry: ConnectionPoolEntry, _proxy: object) -> None:
    """Let the pool connect anew instead of handing out a connection whose server is gone.

    A server that goes closes its connections, which asyncpg hears of at once. One that vanishes without a word is found out
    when its connection has rested; within the trusted second the caller gets the error of his statement (503, try again).
    """
    driver: asyncpg.Connection[asyncpg.Record] = connection.driver_connection
    is_dead = driver.is_closed()
    idle_since = entry.info.get(_IDLE_SINCE)
    if not is_dead and idle_since is not None and time.monotonic() - idle_since > _TRUSTED_SECONDS:
        try:
            connection.run_async(lambda asked: asked.fetchval("SELECT 1", timeout=_CHECK_SECONDS))
        except (*UNAVAILABLE, asyncpg.PostgresError):
            is_dead = True
    if is_dead:
        raise sqlalchemy.exc.DisconnectionError


def create_sessions(engine: AsyncEngine) -> Sessions:
    """What a composition root hands down."""
    return Sessions(engine)


def sqlalchemy_url(database_url: str) -> str:
    """The same database for SQLAlchemy: `postgresql://` and `postgres://` become `postgresql+asyncpg://`."""
    return urlunsplit(urlsplit(database_url)._replace(scheme="postgresql+asyncpg"))


def asyncpg_dsn(database_url: str) -> str:
    """The same database for asyncpg itself, for COPY and LISTEN."""
    return urlunsplit(urlsplit(database_url)._replace(scheme="postgresql"))
