"""What a process may expect of its connections to PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.demo.postgres import CONNECTOR, OWNER
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn
from tests.conftest import Database

BACKEND = text("SELECT pg_backend_pid()")


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[AsyncEngine]:
    """With a single connection, so that the next statement would get the one that is dead."""
    engine = create_engine(database.url(CONNECTOR), application_name="tests", pool_size=1)
    yield engine
    await engine.dispose()


async def test_a_connection_that_the_server_has_ended_is_replaced_unnoticed(
    engine: AsyncEngine, database: Database
):
    sessions, ended = create_sessions(engine), asyncio.Event()
    async with sessions.reading() as reader:
        before = await reader.scalar(BACKEND)
        driver = (await reader.get_raw_connection()).driver_connection
        assert isinstance(driver, asyncpg.Connection)
        driver.add_termination_listener(lambda _connection: ended.set())
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await owner.execute("SELECT pg_terminate_backend($1)", before)
    await owner.close()
    await ended.wait()

    async with sessions.begin() as session:
        assert await session.scalar(BACKEND) != before


async def test_a_connection_that_has_rested_is_asked_first_and_kept(database: Database):
    asked: list[str] = []
    # However short it rests, it has rested.
    engine = create_engine(database.url(CONNECTOR), application_name="tests", pool_size=1, trusted_seconds=0)
    sessions = create_sessions(engine)
    async with sessions.reading() as reader:
        before = await reader.scalar(BACKEND)
        driver = (await reader.get_raw_connection()).driver_connection
        assert isinstance(driver, asyncpg.Connection)
        driver.add_query_logger(lambda query: asked.append(query.query))

    async with sessions.reading() as reader:
        assert await reader.scalar(BACKEND) == before
    assert asked[0] == "SELECT 1"
    await engine.dispose()


async def test_reading_opens_no_transaction(engine: AsyncEngine):
    transaction = text("SELECT pg_current_xact_id()::text")
    sessions = create_sessions(engine)
    async with sessions.reading() as reader:
        assert await reader.scalar(transaction) != await reader.scalar(transaction)
    async with sessions.begin() as session:
        assert await session.scalar(transaction) == await session.scalar(transaction)


async def test_a_statement_that_stands_alone_gives_its_connection_back_whatever_becomes_of_it(
    engine: AsyncEngine, database: Database
):
    sessions = create_sessions(engine)
    ((before,),) = await sessions.fetch("SELECT pg_backend_pid()")

    given_up = asyncio.create_task(sessions.fetch("SELECT pg_sleep(30)"))
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    while not await owner.fetchval(
        "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND state = 'active' AND query LIKE 'SELECT pg_sleep%'",
        before,
    ):
        pass
    given_up.cancel()
    await asyncio.wait([given_up])
    with pytest.raises(asyncpg.PostgresError):
        await sessions.fetch("SELECT nothing FROM nowhere")

    # The pool has only this one.
    ((after,),) = await sessions.fetch("SELECT pg_backend_pid()")
    assert after == before
    await owner.close()
