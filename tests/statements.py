"""What a process sends to PostgreSQL, whichever way it takes to the driver."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import Engine, Pool, event
from sqlalchemy.engine import AdaptedConnection

# Around statements, before one on a connection that has rested, and every ten seconds (`Sessions.now`).
_NOT_COUNTED = {"BEGIN", "COMMIT", "ROLLBACK", "SELECT 1", "SELECT clock_timestamp()"}
# What asyncpg asks when a connection meets a type for the first time: which of the pool a test gets is chance.
_OF_TYPES = ("typeinfo_tree", "set_config('jit'")


@asynccontextmanager
async def sent_statements(engine: Engine | type[Engine]) -> AsyncIterator[list[str]]:
    """The SQL that is sent by this engine, or by every one (`Engine`), meanwhile.

    SQLAlchemy tells of what it executes itself, asyncpg of what it is asked without SQLAlchemy between.
    """
    sent: list[str] = []
    pool = engine if isinstance(engine, Engine) else Pool

    def executes(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    def asked(query: asyncpg.connection.LoggedQuery) -> None:
        is_around = query.query.partition(" ISOLATION")[0].rstrip(";") in _NOT_COUNTED
        if not is_around and not any(of_types in query.query for of_types in _OF_TYPES):
            sent.append(query.query)

    def begin(connection: AdaptedConnection, *_: object) -> None:
        connection.driver_connection.add_query_logger(asked)

    def end(connection: AdaptedConnection | None, *_: object) -> None:
        if connection is not None:
            connection.driver_connection.remove_query_logger(asked)

    listeners = (
        (engine, "before_cursor_execute", executes),
        (pool, "checkout", begin),
        (pool, "checkin", end),
    )
    for listener in listeners:
        event.listen(*listener)
    try:
        yield sent
        # The driver tells of a statement in the loop's next turn.
        await asyncio.sleep(0)
    finally:
        for listener in listeners:
            event.remove(*listener)
