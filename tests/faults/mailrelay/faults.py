"""Faults as functions of how much: the tests ask for little, `make soak` for much."""

from collections.abc import Sequence
from pathlib import Path

from tests.conftest import Database, Keys
from tests.faults.mailrelay import proxy
from tests.faults.mailrelay.clock import Clock
from tests.faults.mailrelay.counting import Count, counted
from tests.faults.mailrelay.load import ADDRESS, Load, Mail, reachable, running
from tests.faults.mailrelay.worker import all_delivered, worker_process
from tests.integration.mailrelay.accepting import connect


async def slowed(
    database: Database,
    keys: Keys,
    folder: Path,
    *,
    delay_seconds: float,
    mails: int,
    commit_timeout_seconds: float,
) -> Count:
    """PostgreSQL gets slow, and whatever the relay asks takes so much longer."""
    timeout = {"commit_timeout_seconds": str(commit_timeout_seconds)}
    async with (
        proxy.before(database) as between,
        running(database, keys, folder / "relay.log", database_url=between.url, **timeout) as relay,
        Load(relay.port, clients=20) as load,
    ):
        await load.more("data 250", 20)
        between.delay_seconds = delay_seconds
        await load.more("data 250", mails)
        assert load.codes["data 451"] == 0
    return await counted(database, keys, load)


async def answers_lost(database: Database, keys: Keys, folder: Path, *, times: int, clients: int) -> Count:
    """PostgreSQL commits so many times, and its answer does not reach the relay: nobody can know, so it says 451."""
    async with (
        proxy.before(database) as between,
        running(database, keys, folder / "relay.log", database_url=between.url) as relay,
    ):
        await reachable(relay)
        between.answers_to_lose = 1
        async with Load(relay.port, clients=clients) as load:
            await load.more("data 451", 1)
            for _ in range(times - 1):
                await load.more("data 250", clients)
                between.answers_to_lose = 1
                await load.more("data 451", 1)
            await load.more("data 250", clients)
    return await counted(database, keys, load)


async def clock_jumped(
    database: Database, keys: Keys, folder: Path, clock: Clock, *, jumps: Sequence[str], mails: int
) -> Count:
    """The clock of relay and worker jumps, so many mails after each other; within a mail and within a silent session, too."""
    async with (
        running(database, keys, folder / "relay.log", clock.environment) as relay,
        worker_process(database, keys, environment=clock.environment),
    ):
        await reachable(relay)
        silent = await connect(relay.port)
        async with Load(relay.port, clients=5) as load:
            for number, jump in enumerate(jumps):
                await load.more("data 250", mails)
                mail = Mail.new(f"half{number}-0")
                half = len(mail.raw) // 2
                within = await connect(relay.port)
                await within.begin(ADDRESS)
                within.send(mail.raw[:half])
                clock.jump(jump)
                await load.more("data 250", mails)
                within.send(mail.raw[half:] + b".\r\n")
                assert (await within.reply()).startswith("250 ")
                load.offered[mail.id] = load.accepted[mail.id] = mail.digest
                within.writer.close()
                # Far more than any limit of time has passed by the clock, and nothing by the session's own.
                assert (await silent.say("NOOP")).startswith("250 ")
        silent.writer.close()
        await all_delivered(database)
        assert load.codes["data 451"] == 0
    return await counted(database, keys, load)
