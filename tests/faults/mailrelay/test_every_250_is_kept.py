"""A mail answered 250 is in the database, whatever was killed: the sentence that outranks every other goal."""

import asyncio
from pathlib import Path

import asyncpg

from deploy.demo.postgres import OWNER
from shared.driver import asyncpg_dsn
from tests.conftest import Database, Keys
from tests.faults.mailrelay.counting import assert_nothing_lost, assert_right
from tests.faults.mailrelay.kills import postgresql_ended, relay_killed
from tests.faults.mailrelay.load import Load, RelayProcess, make_address, running, started

# `make soak` kills it ten times.
KILLS = 1


async def test_the_relay_is_killed_under_load(database: Database, keys: Keys, tmp_path: Path):
    count = await relay_killed(database, keys, tmp_path, kills=KILLS, mails=30)

    assert_right(f"relay killed {KILLS} times", count)


async def test_postgresql_is_stopped_and_killed_under_load(
    own_database: Database, keys: Keys, tmp_path: Path
):
    count = await postgresql_ended(own_database, keys, tmp_path, mails=30)

    assert_right("PostgreSQL stopped once, killed once", count)


async def test_a_relay_that_starts_without_its_database_says_451_until_it_is_there(
    own_database: Database, keys: Keys, tmp_path: Path
):
    server = own_database.postgres
    await make_address(own_database, keys)
    relay = RelayProcess(own_database, keys, tmp_path / "relay.log")
    await asyncio.to_thread(server.stop)
    async with started(relay), Load(relay.port, clients=1) as load:
        await load.more("RCPT 451", 3)
        await asyncio.to_thread(server.start_again)
        await load.more("data 250", 3)

    await assert_nothing_lost("started without PostgreSQL", own_database, keys, load)


async def test_a_server_that_does_not_wait_for_its_disk_is_refused(
    own_database: Database, keys: Keys, tmp_path: Path
):
    connection = await asyncpg.connect(asyncpg_dsn(own_database.url(OWNER)))
    await connection.execute("ALTER SYSTEM SET fsync = off")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()

    async with running(own_database, keys, tmp_path / "relay.log") as relay:
        assert await relay.ended() == 2

    assert "PostgreSQL runs with fsync = off: set it to on" in (tmp_path / "relay.log").read_text()
    connection = await asyncpg.connect(asyncpg_dsn(own_database.url(OWNER)))
    await connection.execute("ALTER SYSTEM RESET fsync")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()
