"""A mail answered 250 is in the database, whatever was killed: the sentence that outranks every other goal."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from deploy.demo.postgres import OWNER, EmbeddedPostgres
from migrations.upgrade import upgrade
from shared.database import asyncpg_dsn
from tests.conftest import Database, Keys
from tests.faults.mailrelay.load import Load, running, stored

CLIENTS = 20


@pytest.fixture
async def own_database(scratch: Path) -> AsyncIterator[Database]:
    """A database on a server of its own, which the test may stop and kill."""
    server = await asyncio.to_thread(EmbeddedPostgres.start, scratch / uuid4().hex[:8])
    await server.create_database("replyco")
    await upgrade(server.url(OWNER, "replyco"))
    await server.allow_logins()
    yield Database(server, "replyco")
    await asyncio.to_thread(server.stop)


def assert_nothing_lost(what: str, load: Load, in_database: Counter[tuple[str, str]]) -> None:
    """Every mail with a 250 is there once, with the same bytes. More may be there: their 250 never reached the client."""
    missing = [mail for mail in load.accepted.items() if in_database[mail] != 1]
    twice = [mail for mail, count in in_database.items() if count > 1]
    print(  # noqa: T201  # the counts are what this is for
        f"{what}: {len(load.accepted)} mails answered 250, {len(in_database)} in the database, "
        f"{len(missing)} missing, {len(twice)} twice; replies {dict(sorted(load.codes.items()))}"
    )
    assert missing == []
    assert twice == []
    assert [code for code in load.codes if code.split()[1].startswith("5") and code != "DATA 554"] == []


@pytest.mark.timeout(120)
async def test_the_relay_is_killed_ten_times_under_load(database: Database, keys: Keys, tmp_path: Path):
    async with (
        running(database, keys, tmp_path / "relay.log") as relay,
        Load(relay.port, clients=CLIENTS) as load,
    ):
        for _ in range(10):
            await load.more("data 250", 150)
            await relay.end(signal.SIGKILL)
            await relay.start()
        await load.more("data 250", 150)

    assert_nothing_lost("relay killed 10 times", load, await stored(database, keys))


@pytest.mark.timeout(120)
async def test_postgresql_is_stopped_and_killed_under_load(
    own_database: Database, keys: Keys, tmp_path: Path
):
    server = own_database.postgres
    async with (
        running(own_database, keys, tmp_path / "relay.log") as relay,
        Load(relay.port, clients=CLIENTS) as load,
    ):
        for end_server in (server.stop, server.kill):
            await load.more("data 250", 300)
            await asyncio.to_thread(end_server)
            await load.more("RCPT 451", 50)
            await asyncio.to_thread(server.start_again)
            await load.more("data 250", 300)

    assert_nothing_lost("PostgreSQL stopped once, killed once", load, await stored(own_database, keys))
    assert load.codes["RCPT 451"] >= 100


async def test_a_relay_that_starts_without_its_database_says_451_until_it_is_there(
    own_database: Database, keys: Keys, tmp_path: Path
):
    server = own_database.postgres
    async with running(own_database, keys, tmp_path / "relay.log") as relay:
        await relay.end(signal.SIGKILL)
        await asyncio.to_thread(server.stop)
        await relay.start()
        async with Load(relay.port, clients=1) as load:
            await load.more("RCPT 451", 3)
            await asyncio.to_thread(server.start_again)
            await load.more("data 250", 3)

    assert_nothing_lost("started without PostgreSQL", load, await stored(own_database, keys))


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
