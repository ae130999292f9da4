"""File descriptors run out: the relay waits for some, and is there again when there are."""

import asyncio
import resource
import sys
from pathlib import Path

from tests.conftest import Database, Keys
from tests.faults.mailrelay.counting import assert_nothing_lost
from tests.faults.mailrelay.crowd import make_room_for_connections, reply
from tests.faults.mailrelay.load import Load, RelayProcess, reachable, running


async def test_when_there_are_no_more_accepting_pauses_and_goes_on_and_no_mail_is_lost(
    database: Database, keys: Keys, tmp_path: Path
):
    make_room_for_connections()
    settings = {"network_connection_limit": "1000", "inline_limit_bytes": "1000"}
    async with running(database, keys, tmp_path / "log", **settings) as relay:
        await reachable(relay)
        await _accepting_pauses_and_goes_on(relay, tmp_path / "log")
        # Each mail needs a file of its own; the later clients and the database connections may get none.
        async with Load(relay.port, clients=5, pause_seconds=0.02) as load:
            await load.more("data 250", 20)
            for process in relay.processes:
                process.rlimit(resource.RLIMIT_NOFILE, (process.num_fds(), 4096))
            async with Load(relay.port, clients=20, name="late", pause_seconds=0.02) as late:
                await load.more("data 451", 20)
                for process in relay.processes:
                    process.rlimit(resource.RLIMIT_NOFILE, (4096, 4096))
                await load.more("data 250", 20)
                await late.more("data 250", 20)

    await assert_nothing_lost("no file descriptors", database, keys, load, late)


async def _accepting_pauses_and_goes_on(relay: RelayProcess, log: Path) -> None:
    process = relay.accepting
    usual, before = process.rlimit(resource.RLIMIT_NOFILE), process.num_fds()
    process.rlimit(resource.RLIMIT_NOFILE, (before + 50, usual[1]))
    clients = [await asyncio.open_connection("127.0.0.1", relay.port) for _ in range(80)]
    greeted = [await reply(reader) for reader, _ in clients[:40]]

    began = process.cpu_times().user + process.cpu_times().system
    await asyncio.sleep(3)
    used = process.cpu_times().user + process.cpu_times().system - began
    for _, writer in clients[:60]:
        writer.close()

    assert set(greeted) == {"220"}
    assert used < 1.5
    # One line for each pause of a second, not one for each connection that waits.
    assert 1 <= log.read_text().count("accepting_paused") <= 6  # noqa: ASYNC240
    assert await asyncio.wait_for(reply(clients[79][0]), 20) == "220"
    for _, writer in clients[60:]:
        writer.close()
    process.rlimit(resource.RLIMIT_NOFILE, usual)
    async with asyncio.timeout(20):
        while process.num_fds() > before:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)


_FITTING = """
import resource
from shared.file_limits import raise_file_limit

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512))
print(raise_file_limit(2000), raise_file_limit(100), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


async def test_no_more_connections_are_taken_than_there_are_descriptors_for():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _FITTING, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()

    assert out.splitlines()[-1] == b"312 100 512"
