"""SIGKILL at random moments while mail comes in and is delivered: to any process of the relay, to the worker, to PostgreSQL."""

import asyncio
import contextlib
import secrets
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path

import psutil

from tests.conftest import Database, Keys
from tests.faults.mailrelay.counting import Count, counted
from tests.faults.mailrelay.load import Load, RelayProcess, running
from tests.faults.mailrelay.worker import worker_process

# So many that something is always in flight; so slow that the worker keeps up.
_CLIENTS = 10
_PAUSE_SECONDS = 0.05
# Where only the relay has to keep up.
_MANY_CLIENTS = 20
# Between what was killed being at work again and the next kill.
_LONGEST_WAIT_SECONDS = 0.5


class Victim(StrEnum):
    RELAY = "relay"
    WORKER = "worker"
    POSTGRESQL = "postgresql"


async def survived(
    database: Database,
    keys: Keys,
    folder: Path,
    victims: Sequence[Victim],
    *,
    killed: Callable[[Victim], None] = lambda _victim: None,
    pause_seconds: float = _PAUSE_SECONDS,
    **settings: str,
) -> Count:
    """Kill them one after the other, each start again, and count. `killed` is told of each."""
    relay_log = folder / "relay.log"
    async with (
        running(database, keys, relay_log, **settings) as relay,
        Load(relay.port, clients=_CLIENTS, pause_seconds=pause_seconds) as load,
    ):
        await load.more("data 250", _CLIENTS)
        remaining = list(victims)
        while remaining:
            # A worker lives until it is killed itself.
            async with worker_process(database, keys) as worker:
                while remaining:
                    victim = remaining.pop(0)
                    await load.more("data 250", _CLIENTS)
                    await asyncio.sleep(secrets.randbelow(1000) / 1000 * _LONGEST_WAIT_SECONDS)
                    killed(victim)
                    if victim is Victim.WORKER:
                        worker.kill()
                        break
                    if victim is Victim.RELAY:
                        await _kill_one_of(relay)
                    else:
                        await asyncio.to_thread(database.postgres.kill)
                        await asyncio.to_thread(database.postgres.start_again)
        await load.more("data 250", _CLIENTS)
    return await counted(database, keys, load)


async def relay_killed(database: Database, keys: Keys, folder: Path, *, kills: int, mails: int) -> Count:
    """The whole relay is killed again and again under load; `mails` are accepted before each kill and after the last."""
    async with (
        running(database, keys, folder / "relay.log") as relay,
        Load(relay.port, clients=_MANY_CLIENTS) as load,
    ):
        for _ in range(kills):
            await load.more("data 250", mails)
            await relay.kill()
            await relay.start()
        await load.more("data 250", mails)
    return await counted(database, keys, load)


async def postgresql_ended(database: Database, keys: Keys, folder: Path, *, mails: int) -> Count:
    """PostgreSQL is stopped once and killed once under load; the relay says `451` until it is there again."""
    server = database.postgres
    async with (
        running(database, keys, folder / "relay.log") as relay,
        Load(relay.port, clients=_MANY_CLIENTS) as load,
    ):
        for end_server in (server.stop, server.kill):
            await load.more("data 250", mails)
            await asyncio.to_thread(end_server)
            await load.more("RCPT 451", 50)
            await asyncio.to_thread(server.start_again)
            await load.more("data 250", mails)
    assert load.codes["RCPT 451"] >= 100
    return await counted(database, keys, load)


async def _kill_one_of(relay: RelayProcess) -> None:
    """Any of its processes. One that another one watches over is started again by that."""
    processes = relay.processes
    victim = secrets.choice(processes)
    if victim.pid == relay.pid:
        await relay.end(signal.SIGKILL)
        await relay.start()
    else:
        # It may have ended by itself just now.
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()


def mixed(kills: int) -> list[Victim]:
    """As many of each kind as of the others, in no order."""
    kinds = list(Victim)
    victims = [kinds[number % len(kinds)] for number in range(kills)]
    secrets.SystemRandom().shuffle(victims)
    return victims


def told(victims: Sequence[Victim]) -> str:
    """Such as `relay 4, worker 4`."""
    return ", ".join(f"{victim} {count}" for victim, count in sorted(Counter(victims).items()))
