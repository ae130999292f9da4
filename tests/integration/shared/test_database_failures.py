"""A database that is away is told from a bug of ours, in each way in which it can be away."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import Float, bindparam, func, select, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.demo.postgres import CONNECTOR, OWNER, RELAY
from shared.compiled_select import CompiledSelect
from shared.database import (
    DatabaseTimedOut,
    DatabaseUnavailable,
    asyncpg_dsn,
    connect,
    create_engine,
    create_sessions,
    is_unavailable,
)
from tests.conftest import Database
from tests.faults.mailrelay.proxy import before
from tests.processes import free_port


async def failure_of(engine: AsyncEngine, statement: str = "SELECT 1") -> Exception:
    """What a transaction with this statement raises."""
    with pytest.raises(Exception) as failure:  # noqa: PT011 - which one, the tests look at
        async with create_sessions(engine).begin() as session:
            await session.execute(text(statement))
    await engine.dispose()
    return failure.value


@contextlib.contextmanager
def silent_server():
    """A port whose connections are taken and never answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def test_nobody_listens():
    url = f"postgresql://somebody@127.0.0.1:{free_port()}/replyco"

    failure = await failure_of(create_engine(url, application_name="tests"))

    assert isinstance(failure, DatabaseUnavailable)
    assert isinstance(failure.__cause__, ConnectionRefusedError)
    with pytest.raises(DatabaseUnavailable):
        await connect(url, application_name="tests")


async def test_the_hosts_name_is_not_known():
    engine = create_engine("postgresql://somebody@nowhere.invalid/replyco", application_name="tests")

    failure = await failure_of(engine)

    assert isinstance(failure, DatabaseUnavailable)
    assert isinstance(failure.__cause__, socket.gaierror)
    assert "nowhere" not in str(failure)


async def test_the_server_takes_the_connection_and_says_nothing():
    with silent_server() as port:
        url = f"postgresql://somebody@127.0.0.1:{port}/replyco"
        failure = await failure_of(create_engine(url, application_name="tests", connect_seconds=0.2))

    assert isinstance(failure, DatabaseTimedOut)
    assert is_unavailable(failure)


async def test_a_statement_takes_too_long(database: Database):
    engine = create_engine(database.url(CONNECTOR), application_name="tests", statement_seconds=0.2)

    failure = await failure_of(engine, "SELECT pg_sleep(30)")

    assert isinstance(failure, DatabaseTimedOut)
    assert is_unavailable(failure)


async def test_all_connections_are_taken(database: Database):
    engine = create_engine(database.url(CONNECTOR), application_name="tests", pool_size=1, pool_seconds=0.2)
    async with engine.connect() as taken:
        await taken.execute(text("SELECT 1"))
        failure = await failure_of(engine)

    assert is_unavailable(failure)


@pytest.fixture
async def owner(database: Database) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    yield connection
    await connection.close()


async def is_sleeping(
    owner: "asyncpg.Connection[asyncpg.Record]", statement: str = "SELECT pg_sleep(30)"
) -> int:
    """Wait until the sleeping statement is under way; its backend."""
    while True:
        found: int | None = await owner.fetchval(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE $1 AND state = 'active' AND datname = current_database()",
            statement,
        )
        if found is not None:
            return found


async def test_the_server_ends_the_connection_in_the_middle_of_a_statement(
    database: Database, owner: "asyncpg.Connection[asyncpg.Record]"
):
    engine = create_engine(database.url(CONNECTOR), application_name="tests")
    asking = asyncio.create_task(failure_of(engine, "SELECT pg_sleep(30)"))

    await owner.execute("SELECT pg_terminate_backend($1)", await is_sleeping(owner))

    assert is_unavailable(await asking)


async def test_the_network_breaks_off_in_the_middle_of_a_statement(
    database: Database, owner: "asyncpg.Connection[asyncpg.Record]"
):
    async with before(database) as proxy:
        engine = create_engine(proxy.url.replace(RELAY, CONNECTOR), application_name="tests")
        asking = asyncio.create_task(failure_of(engine, "SELECT pg_sleep(30)"))
        await is_sleeping(owner)
        await proxy.close()

        assert is_unavailable(await asking)


async def test_the_same_holds_for_what_is_asked_of_the_driver_itself(
    database: Database, owner: "asyncpg.Connection[asyncpg.Record]"
):
    sleeping = CompiledSelect(select(func.pg_sleep(bindparam("seconds", type_=Float)).label("slept")))
    hurried = create_engine(database.url(CONNECTOR), application_name="tests", statement_seconds=0.2)
    with pytest.raises(DatabaseTimedOut):
        await sleeping.all(create_sessions(hurried), seconds=30.0)
    await hurried.dispose()

    patient = create_engine(database.url(CONNECTOR), application_name="tests")

    async def ask() -> None:
        await sleeping.all(create_sessions(patient), seconds=30.0)

    asking = asyncio.create_task(ask())
    await owner.execute("SELECT pg_terminate_backend($1)", await is_sleeping(owner, "SELECT pg_sleep($1%"))
    await asyncio.wait([asking])
    await patient.dispose()
    failure = asking.exception()
    assert failure is not None
    assert is_unavailable(failure)


async def test_a_wrong_statement_is_a_bug(database: Database):
    failure = await failure_of(
        create_engine(database.url(CONNECTOR), application_name="tests"), "SELECT nothing FROM nowhere"
    )

    assert isinstance(failure, ProgrammingError | DBAPIError)
    assert not is_unavailable(failure)
