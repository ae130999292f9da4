"""No process opens more connections than the page says, whatever the load."""

import asyncio
import re
from collections import Counter
from pathlib import Path

import asyncpg
from sqlalchemy import text

from deploy.demo.postgres import CONNECTOR, OWNER
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn
from tests.conftest import Database, Keys
from tests.faults.mailrelay.load import Load, running
from tests.faults.mailrelay.worker import worker_process

_PAGE = Path(__file__).parents[3] / "docs" / "operations" / "connections.md"
_PROCESSES = 2


def _told() -> dict[str, int]:
    """What the page's table says, by command."""
    rows = re.findall(r"^\| `([a-z ]+)`[^|]*\| (\d+) \|", _PAGE.read_text(), re.MULTILINE)
    return {command: int(count) for command, count in rows}


async def _most(owner: "asyncpg.Connection[asyncpg.Record]", samples: int) -> Counter[str]:
    """The most connections that each role had at one time."""
    most: Counter[str] = Counter()
    for _ in range(samples):
        for role, count in await owner.fetch(
            "SELECT usename, count(*) FROM pg_stat_activity WHERE datname = current_database() GROUP BY usename"
        ):
            most[role] = max(most[role], count)
        await asyncio.sleep(0.01)
    return most


async def test_relay_and_mail_worker_keep_to_what_the_page_says(
    database: Database, keys: Keys, tmp_path: Path
):
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    async with (
        running(database, keys, tmp_path / "relay.log", processes=str(_PROCESSES)) as relay,
        worker_process(database, keys),
    ):
        async with asyncio.timeout(60):
            while "replyco_mail_worker" not in await _most(owner, 1):
                pass
        async with Load(relay.port, clients=40) as load:
            await load.more("data 250", 40)
            sampling = asyncio.create_task(_most(owner, 20))
            await load.more("data 250", 100)
            most = await sampling
    await owner.close()

    told = _told()
    assert 1 <= most["replyco_relay"] <= _PROCESSES * told["mailrelay serve"]
    assert 1 <= most["replyco_mail_worker"] <= told["mailrelay worker"]


async def test_a_pool_has_as_many_as_the_page_says_and_the_rest_wait(database: Database):
    engine = create_engine(database.url(CONNECTOR), application_name="all at once")
    sessions = create_sessions(engine)
    numbers: list[set[int]] = []

    async def ask_once() -> None:
        async with sessions.reading() as connection:
            counted = await connection.execute(
                text("SELECT pid FROM pg_stat_activity WHERE application_name = 'all at once'")
            )
            numbers.append(set(counted.scalars()))

    await asyncio.gather(*(ask_once() for _ in range(200)))
    await engine.dispose()

    told = _told()
    assert max(map(len, numbers)) == told["connector worker"]
    assert told["connector serve"] == told["connector worker"] + 1
