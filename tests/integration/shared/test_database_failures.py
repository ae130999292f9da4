"""A database that is away is told from a bug of ours, in each way in which it can be away."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from sqlalchemy import Float, bindparam, event, func, select, text
from sqlalchemy.engine import AdaptedConnection
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.demo.postgres import CONNECTOR, OWNER, RELAY
from shared.compiled_select import CompiledSelect
from shared.database import Sessions, connect, create_engine, create_sessions, is_unavailable
from shared.driver import DatabaseTimedOut, DatabaseUnavailable, asyncpg_dsn
from tests.conftest import Database
from tests.faults.mailrelay.proxy import PostgresProxy, before
from tests.processes import free_port

# What a client asks first: whether the server speaks TLS.
_TLS_REQUEST = (80877103).to_bytes(4)


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


@contextlib.asynccontextmanager
async def refusing_server(state: str) -> AsyncIterator[str]:
    """The URL of a server that refuses everybody with this SQLSTATE, as PostgreSQL does while it starts or stops."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = b""
        while not asked or asked.startswith(_TLS_REQUEST):
            length = int.from_bytes(await reader.readexactly(4))
            asked = await reader.readexactly(length - 4)
            if asked.startswith(_TLS_REQUEST):
                writer.write(b"N")
        fields = f"SFATAL\0VFATAL\0C{state}\0Mnot now\0\0".encode()
        writer.write(b"E" + (len(fields) + 4).to_bytes(4) + fields)
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        yield f"postgresql://somebody@127.0.0.1:{server.sockets[0].getsockname()[1]}/replyco"


async def by_transaction(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await session.execute(text("SELECT 1"))


async def by_reading(sessions: Sessions) -> None:
    async with sessions.reading():
        pass


async def by_driver(sessions: Sessions) -> None:
    await sessions.fetch("SELECT 1")


@pytest.mark.parametrize(
    ("state", "is_away"),
    [
        ("57P03", True),  # starts, or recovers
        ("57P01", True),  # stops
        ("57P02", True),  # another backend has crashed
        ("53300", True),  # full
        ("53200", True),  # out of memory
        ("08006", True),
        ("28P01", False),  # a wrong password
        ("3D000", False),  # no such database
    ],
)
@pytest.mark.parametrize("ask", [by_transaction, by_reading, by_driver])
async def test_a_server_that_takes_nobody_yet_is_away_in_whatever_way_it_is_asked(
    state: str, is_away: bool, ask: Callable[[Sessions], Awaitable[object]]
):
    async with refusing_server(state) as url:
        engine = create_engine(url, application_name="tests")
        with pytest.raises(Exception) as failure:  # noqa: PT011 - which one, is looked at
            await ask(create_sessions(engine))
        await engine.dispose()

    assert is_unavailable(failure.value) is is_away


async def test_a_connection_that_ends_before_its_first_statement_is_a_database_that_is_away(
    database: Database,
):
    engine = create_engine(database.url(CONNECTOR), application_name="tests")

    @event.listens_for(engine.sync_engine, "connect")
    def end(connection: AdaptedConnection, _entry: object) -> None:
        driver: asyncpg.Connection[asyncpg.Record] = connection.driver_connection
        driver.terminate()

    with pytest.raises(DatabaseUnavailable):
        await create_sessions(engine).fetch("SELECT 1")
    await engine.dispose()


@pytest.mark.parametrize("ask", [by_transaction, by_driver])
async def test_a_server_that_has_said_that_it_stops_is_away_though_its_connection_is_still_there(
    database: Database, ask: Callable[[Sessions], Awaitable[object]]
):
    async with before(database) as proxy:
        # With a connection that is trusted, the statement itself meets it.
        engine = create_engine(
            proxy.url.replace(RELAY, CONNECTOR), application_name="tests", pool_size=1, trusted_seconds=60
        )
        sessions = create_sessions(engine)
        await ask(sessions)
        await heard_of_the_end(proxy)

        with pytest.raises(Exception) as failure:  # noqa: PT011 - which one, is looked at
            await ask(sessions)
        await engine.dispose()

    assert is_unavailable(failure.value)


@pytest.mark.parametrize("ask", [by_transaction, by_driver])
async def test_a_connection_that_has_rested_meanwhile_is_replaced_unnoticed(
    database: Database, ask: Callable[[Sessions], Awaitable[object]]
):
    async with before(database) as proxy:
        engine = create_engine(
            proxy.url.replace(RELAY, CONNECTOR), application_name="tests", pool_size=1, trusted_seconds=0
        )
        sessions = create_sessions(engine)
        await ask(sessions)
        await heard_of_the_end(proxy)

        await ask(sessions)
        await engine.dispose()


async def heard_of_the_end(proxy: PostgresProxy) -> None:
    """Let the driver read what the proxy has written: it lies ready in the loop's next turns."""
    proxy.announce_end()
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_wrong_statement_is_a_bug(database: Database):
    failure = await failure_of(
        create_engine(database.url(CONNECTOR), application_name="tests"), "SELECT nothing FROM nowhere"
    )

    assert isinstance(failure, ProgrammingError | DBAPIError)
    assert not is_unavailable(failure)


async def test_a_host_that_answers_nothing_leaves_time_for_the_next(database: Database):
    socket_folder = database.postgres.server.get_postmaster_info().socket_dir
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = (
            f"postgresql://{CONNECTOR}@/{database.name}?host=127.0.0.1,{socket_folder}&port={port},5432"
            "&target_session_attrs=primary"
        )

        connection = await connect(url, application_name="tests", connect_seconds=4)

        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
