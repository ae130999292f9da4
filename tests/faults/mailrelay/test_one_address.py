"""Five thousand connections from one address: it gets its share, everybody else does not notice."""

import asyncio
from pathlib import Path

import psutil

from tests.conftest import Database, Keys
from tests.faults.mailrelay.counting import assert_nothing_lost
from tests.faults.mailrelay.crowd import make_room_for_connections, peak_mb, reply
from tests.faults.mailrelay.load import Load, reachable, running

CONNECTIONS = 5_000
AT_ONCE = 250
SHARE = 100
GROWTH_LIMIT_MB = 40


async def greeted(port: int, writers: list[asyncio.StreamWriter]) -> str:
    """The code that a new connection is greeted with; after a 421 it is closed. The client's side stays open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writers.append(writer)
    code = await reply(reader)
    if code == "421":
        assert await reader.read() == b""
    return code


async def crowd(port: int, count: int, writers: list[asyncio.StreamWriter]) -> list[str]:
    codes: list[str] = []
    while len(codes) < count:
        at_once = min(AT_ONCE, count - len(codes))
        codes += await asyncio.gather(*(greeted(port, writers) for _ in range(at_once)))
    return codes


def descriptors(processes: list[psutil.Process]) -> int:
    return sum(process.num_fds() for process in processes)


async def test_all_but_its_share_are_told_to_come_later(database: Database, keys: Keys, tmp_path: Path):
    # As many as the machine lets one process have.
    connections = min(CONNECTIONS, make_room_for_connections() // 2)
    writers: list[asyncio.StreamWriter] = []
    settings = {
        "network_connection_limit": str(SHARE),
        "idle_timeout_seconds": "60",
        "first_mail_timeout_seconds": "60",
    }
    async with running(database, keys, tmp_path / "log", **settings) as relay:
        await reachable(relay)
        async with Load(relay.port, clients=5, source="127.0.0.2") as others:
            await others.more("data 250", 20)
            descriptors_before = descriptors(relay.processes)
            peak_before = max(peak_mb(process.pid) for process in relay.processes)

            codes = await crowd(relay.port, connections, writers)

            assert codes.count("220") == SHARE
            assert codes.count("421") == connections - SHARE
            # Meanwhile and now: who comes from another address is served.
            async with Load(relay.port, clients=5, name="new", source="127.0.0.3") as newcomers:
                await newcomers.more("data 250", 20)
            await others.more("data 250", 20)
            assert max(peak_mb(process.pid) for process in relay.processes) < peak_before + GROWTH_LIMIT_MB

            for writer in writers:
                writer.close()
            async with asyncio.timeout(20):
                while descriptors(relay.processes) > descriptors_before:  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(0.05)
            again = await crowd(relay.port, AT_ONCE, writers)
            assert again.count("220") == SHARE
            for writer in writers[-AT_ONCE:]:
                writer.close()

    await assert_nothing_lost("5,000 connections from one address", database, keys, others, newcomers)
