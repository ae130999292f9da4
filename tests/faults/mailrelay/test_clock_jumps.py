"""The clock jumps while mail is accepted: sessions, limits of time, ids and the journal go on."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import asyncpg
import httpx2
import pytest

from deploy.demo.postgres import OWNER
from shared.driver import asyncpg_dsn
from tests.conftest import Database, Keys
from tests.faults.mailrelay import clock
from tests.faults.mailrelay.clock import Clock
from tests.faults.mailrelay.counting import assert_nothing_lost, assert_right
from tests.faults.mailrelay.faults import clock_jumped
from tests.faults.mailrelay.load import Load, running, stored
from tests.faults.mailrelay.worker import worker_process
from tests.integration.mailrelay.accepting import connect
from tests.no_tls import NO_AUTHORITIES
from tests.processes import free_port

# `make soak` has more of them, with a hundred mails before and after each.
JUMPS = ["-1d", "+1d", "+1h", "-1h", "+20d", "+0"]
# A month's partition is made three months ahead, and none for the past.
OUTSIDE_OF_THE_MONTHS = ["-40d", "+150d"]


@pytest.fixture
def jumping(tmp_path: Path) -> Clock:
    library = clock.installed()
    if library is None:
        pytest.skip(clock.REASON)
    return Clock(tmp_path / "clock", library)


async def test_mail_is_accepted_and_shown_through_every_jump(
    database: Database, keys: Keys, tmp_path: Path, jumping: Clock
):
    assert_right("clock jumps", await clock_jumped(database, keys, tmp_path, jumping, jumps=JUMPS, mails=6))
    # Each client's mails are dated in the order that it sent them in: by the database's clock, not by the relay's.
    dated = [mail_id.split("-") for mail_id, _ in await stored(database, keys, order_by="accepted_at")]
    for client in map(str, range(5)):
        numbers = [int(number) for name, number in dated if name == client]
        assert numbers == sorted(numbers)


async def test_a_mail_worker_a_month_ahead_sweeps_no_blobs(database: Database, keys: Keys, jumping: Clock):
    jumping.jump("+35d")
    port = free_port()
    environment = {**jumping.environment, "REPLYCO_WORKER_PORT": str(port)}
    shown: dict[str, str] = {}
    async with (
        worker_process(database, keys, environment=environment),
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=NO_AUTHORITIES) as client,
        asyncio.timeout(50),
    ):
        while shown.get("replyco_blob_sweep_put_off") != "1.0":
            await asyncio.sleep(0.05)
            with suppress(httpx2.TransportError):
                lines = (await client.get("/metrics")).text.splitlines()
                shown = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))

    assert float(shown["replyco_clock_difference_seconds"]) > timedelta(days=34).total_seconds()
    assert shown["replyco_blobs_swept_total"] == "0.0"


async def test_an_id_of_a_month_without_a_partition_costs_no_mail_and_a_silent_session_ends_though_the_clock_is_put_back(
    database: Database, keys: Keys, tmp_path: Path, jumping: Clock
):
    jumping.jump(OUTSIDE_OF_THE_MONTHS[0])
    async with running(
        database, keys, tmp_path / "log", jumping.environment, idle_timeout_seconds="2"
    ) as relay:
        async with Load(relay.port, clients=5, pause_seconds=0.02) as load:
            for jump in OUTSIDE_OF_THE_MONTHS:
                jumping.jump(jump)
                await load.more("data 250", 20)
        client = await connect(relay.port)
        jumping.jump("-1d")
        assert (await client.reply()).startswith("421 ")
        client.writer.close()

    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    tables = await connection.fetch("SELECT DISTINCT tableoid::regclass::text AS name FROM accepted_mail")
    days = await connection.fetch(
        "SELECT DISTINCT round(extract(epoch FROM uuid_extract_timestamp(id) - accepted_at) / 86400)::int AS count"
        " FROM accepted_mail"
    )
    # The month that such rows lie in can still come.
    await connection.execute("SELECT ensure_partitions(now() + interval '150 days')")
    await connection.close()
    assert [table["name"] for table in tables] == ["accepted_mail_other"]
    assert {day["count"] for day in days} == {-40, 150}
    await assert_nothing_lost("clock outside of the months", database, keys, load)
