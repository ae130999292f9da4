"""PostgreSQL by asyncpg alone, the driver below `shared.database`: for whoever accepts mail, whose processes start in half the time without
SQLAlchemy and the tables.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from shared.availability import DATABASE


class DatabaseUnavailable(Exception):
    """The way to the server failed: nobody listens there, its name is not known, or the network broke off."""


class DatabaseTimedOut(DatabaseUnavailable, TimeoutError):
    """Connecting or a statement took longer than it may; the statement alone may be to blame."""


# What our connections raise when the server is away, refuses, or breaks off (not: our SQL is wrong). A bare OSError is not among
# them: a file or another server may have raised it, and that is a bug, to be seen as one.
AWAY: Final = (
    DatabaseUnavailable,
    asyncpg.InterfaceError,
    # What a connection says to the next statement between a server's last words and its end.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)
# Only for an `except` around calls of asyncpg itself, where a bare OSError (a TimeoutError is one) comes from the database.
DRIVER_UNAVAILABLE: Final = (*AWAY, OSError)

# What the question for the tables' version raises in a database that was never migrated, or not since a role may ask.
TABLES_MISSING: Final = (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError)
DATABASE_AWAY: Final = "the database does not answer"

# The driver's own, for commands.
_DRIVER_SECONDS: Final = 60.0


def new_id() -> UUID:
    """A primary key: UUIDv7 (RFC 9562 §5.7), so that rows made together lie together and partitions can be cut by id."""
    return uuid7()


def asyncpg_dsn(database_url: str) -> str:
    """The same database for asyncpg itself, for COPY and LISTEN."""
    return urlunsplit(urlsplit(database_url)._replace(scheme="postgresql"))


def each_host(dsn: str) -> list[str]:
    """The same database at each of the hosts that a URL names: `postgresql://role@one:5432,two:5432/name`, or `?host=one,two`."""
    url = urlsplit(dsn)
    user, at, hosts = url.netloc.rpartition("@")
    if "," in hosts:
        return [urlunsplit(url._replace(netloc=f"{user}{at}{host}")) for host in hosts.split(",")]
    named = dict(parse_qsl(url.query))
    listed = named.get("host", "").split(",")
    ports = named.get("port", "").split(",")
    if len(ports) == 1:
        ports *= len(listed)
    return (
        [
            urlunsplit(
                url._replace(query=urlencode(named | {"host": host} | ({"port": port} if port else {})))
            )
            for host, port in zip(listed, ports, strict=True)
        ]
        if len(listed) > 1
        else [dsn]
    )


async def connect_driver(
    dsn: str,
    *,
    timeout: float = _DRIVER_SECONDS,  # noqa: ASYNC109 - as the driver calls it, whose pool may call this
    **arguments: Any,
) -> "asyncpg.Connection[asyncpg.Record]":
    """`asyncpg.connect`, but of several hosts each has its part of the time, and whatever is wrong with one, the next is tried.

    The driver gives all of it to the first one, which may have lost its power and answer nothing, and does not go on from one that is only starting.
    """
    connection = await _first_connected(each_host(dsn), timeout, arguments)
    DATABASE.answers()
    return connection


async def _first_connected(
    hosts: Sequence[str], seconds: float, arguments: Mapping[str, Any]
) -> "asyncpg.Connection[asyncpg.Record]":
    for host in hosts[:-1]:
        with contextlib.suppress(*DRIVER_UNAVAILABLE):
            return await asyncpg.connect(host, timeout=seconds / len(hosts), **arguments)
    return await asyncpg.connect(hosts[-1], timeout=seconds / len(hosts), **arguments)
