"""Partitions are made while mail is accepted: nobody waits for them, and nothing is lost where there is none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from deploy.demo.postgres import CONNECTOR, OWNER
from shared.driver import asyncpg_dsn
from tests.conftest import Database, Keys
from tests.faults.mailrelay.counting import assert_nothing_lost
from tests.faults.mailrelay.load import Load, running

MAKE = "SELECT ensure_partitions($1)"
HALF_A_YEAR = timedelta(days=183)


@asynccontextmanager
async def connected(database: Database, role: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(asyncpg_dsn(database.url(role)))
    yield connection
    await connection.close()


async def test_a_long_reader_holds_up_neither_partitions_nor_mail(
    database: Database, keys: Keys, tmp_path: Path
):
    """A backup that runs over midnight on the last of a month."""
    later = datetime.now(UTC) + HALF_A_YEAR
    is_over = asyncio.Event()

    async def keep_trying() -> list[int]:
        """As a worker does, without a pause; how many were missing after each time."""
        missing = []
        async with connected(database, CONNECTOR) as worker:
            while not is_over.is_set():
                missing.append(await worker.fetchval(MAKE, later))
        return missing

    async def watch() -> int:
        """How often a relay was seen to wait for a lock."""
        seen = 0
        async with connected(database, OWNER) as owner:
            while not is_over.is_set():
                seen += await owner.fetchval(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = $1 AND application_name = 'mailrelay journal' AND wait_event_type = 'Lock'",
                    database.name,
                )
                # Whoever waits behind the worker waits as long as it does: half a second.
                await asyncio.sleep(0.01)
        return seen

    async with connected(database, OWNER) as backup, backup.transaction():
        await backup.fetchval("SELECT count(*) FROM accepted_mail")
        async with (
            running(database, keys, tmp_path / "log") as relay,
            # As long as two hundred that come as fast as they can.
            Load(relay.port, clients=5, pause_seconds=0.05) as load,
        ):
            trying, watching = asyncio.create_task(keep_trying()), asyncio.create_task(watch())
            await load.more("data 250", 80)
            is_over.set()
            missing, relays_seen_waiting = await trying, await watching

    codes = {code for code in load.codes if code.startswith("data ")}
    assert (codes, relays_seen_waiting) == ({"data 250"}, 0)
    # What the reader has not read was made; what is left is made as soon as it has ended.
    assert 0 < missing[-1] <= missing[0]
    async with connected(database, CONNECTOR) as worker:
        assert await worker.fetchval(MAKE, later) == 0
        assert await worker.fetch("SELECT partitions_missing($1)", later) == []
    await assert_nothing_lost("a reader over the end of the month", database, keys, load)


async def test_where_no_partition_takes_a_mail_its_sender_keeps_it(
    database: Database, keys: Keys, tmp_path: Path
):
    async with connected(database, OWNER) as owner:
        month = await owner.fetchval(
            "SELECT partition FROM partition_ranges() WHERE parent = 'accepted_mail'"
            " AND first <= uuid_at(now()) AND uuid_at(now()) < past"
        )
        await owner.execute(
            f"DROP TABLE accepted_mail_other; ALTER TABLE accepted_mail DETACH PARTITION {month}"
        )
        missing = await owner.fetch("SELECT partitions_missing(now()) AS name")
        async with (
            running(database, keys, tmp_path / "log") as relay,
            Load(relay.port, clients=2, pause_seconds=0.02) as load,
        ):
            await load.more("data 451", 5)
            assert load.accepted == {}
            await owner.execute(
                f"DROP TABLE {month}; CREATE TABLE accepted_mail_other PARTITION OF accepted_mail DEFAULT"
            )
            await load.more("data 250", 5)
        assert await owner.fetchval(MAKE, datetime.now(UTC)) == 0

    assert [row["name"] for row in missing] == ["accepted_mail"]
    await assert_nothing_lost("no partition", database, keys, load)
