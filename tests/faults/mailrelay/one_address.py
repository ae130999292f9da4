"""Thousands of connections from one address: it gets its share, everybody else does not notice."""

import asyncio
from pathlib import Path
from typing import Final

import psutil

from tests.conftest import Database, Keys
from tests.faults.mailrelay.counting import Count, counted
from tests.faults.mailrelay.crowd import make_room_for_connections, peak_mb, reply
from tests.faults.mailrelay.load import Load, reachable, running

_AT_ONCE: Final = 250
_SHARE: Final = 100
_GROWTH_LIMIT_MB: Final = 40


async def crowded_by_one(database: Database, keys: Keys, folder: Path, *, connections: int) -> Count:
    """All but its share are told to come later, and it gets its share again once they have gone; the count is of the others' mails."""
    # As many as the machine lets one process have.
    connections = min(connections, make_room_for_connections() // 2)
    writers: list[asyncio.StreamWriter] = []
    settings = {
        "network_connection_limit": str(_SHARE),
        "idle_timeout_seconds": "60",
        "first_mail_timeout_seconds": "60",
    }
    async with running(database, keys, folder / "relay.log", **settings) as relay:
        await reachable(relay)
        async with Load(relay.port, clients=5, source="127.0.0.2") as others:
            await others.more("data 250", 20)
            descriptors_before = _descriptors(relay.processes)
            peak_before = max(peak_mb(process.pid) for process in relay.processes)

            codes = await _crowd(relay.port, connections, writers)

            assert codes.count("220") == _SHARE
            assert codes.count("421") == connections - _SHARE
            # Meanwhile and now: who comes from another address is served.
            async with Load(relay.port, clients=5, name="new", source="127.0.0.3") as newcomers:
                await newcomers.more("data 250", 20)
            await others.more("data 250", 20)
            assert max(peak_mb(process.pid) for process in relay.processes) < peak_before + _GROWTH_LIMIT_MB

            for writer in writers:
                writer.close()
            async with asyncio.timeout(20):
                while _descriptors(relay.processes) > descriptors_before:  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(0.05)
            again = await _crowd(relay.port, _AT_ONCE, writers)
            assert again.count("220") == _SHARE
            for writer in writers[-_AT_ONCE:]:
                writer.close()

    return await counted(database, keys, others, newcomers)


async def _greeted(port: int, writers: list[asyncio.StreamWriter]) -> str:
    """The code that a new connection is greeted with; after a 421 it is closed. The client's side stays open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writers.append(writer)
    code = await reply(reader)
    if code == "421":
        assert await reader.read() == b""
    return code


async def _crowd(port: int, count: int, writers: list[asyncio.StreamWriter]) -> list[str]:
    codes: list[str] = []
    while len(codes) < count:
        at_once = min(_AT_ONCE, count - len(codes))
        codes += await asyncio.gather(*(_greeted(port, writers) for _ in range(at_once)))
    return codes


def _descriptors(processes: list[psutil.Process]) -> int:
    return sum(process.num_fds() for process in processes)
