"""How a process reaches PostgreSQL: one engine a process, sessions handed down from its composition root.

A function that takes `sessions` opens one transaction and owns it; a function that takes `session` runs inside its
caller's. Nobody calls `commit()`.
"""

from typing import Final
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import sqlalchemy
import sqlalchemy.exc
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from uuid_utils.compat import uuid7

Sessions = async_sessionmaker[AsyncSession]

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


def is_unavailable(error: BaseException) -> bool:
    """Whether the database is away, rather than our SQL wrong. SQLAlchemy wraps some of these in its general class."""
    if isinstance(error, UNAVAILABLE):
        return True
    if not isinstance(error, sqlalchemy.exc.DBAPIError):
        return False
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return error.connection_invalidated or state.startswith(_UNAVAILABLE_STATES)


async def answers(sessions: "Sessions") -> bool:
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
    return create_async_engine(
        sqlalchemy_url(database_url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "timeout": 5,
            "command_timeout": 15,
            "server_settings": {"application_name": application_name, "timezone": "UTC"},
        },
    )


def create_sessions(engine: AsyncEngine) -> Sessions:
    """Sessions whose objects stay readable after the commit."""
    return async_sessionmaker(engine, expire_on_commit=False)


def sqlalchemy_url(database_url: str) -> str:
    """The same database for SQLAlchemy: `postgresql://` and `postgres://` become `postgresql+asyncpg://`."""
    return urlunsplit(urlsplit(database_url)._replace(scheme="postgresql+asyncpg"))


def asyncpg_dsn(database_url: str) -> str:
    """The same database for asyncpg itself, for COPY and LISTEN."""
    return urlunsplit(urlsplit(database_url)._replace(scheme="postgresql"))
