"""Several processes on one port: replaced, killed and orphaned under load, without a mail lost or a client refused."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from sqlalchemy import Text, cast, func, select, update

from deploy.demo.postgres import OWNER, EmbeddedPostgres
from shared.channels import ADDRESS_CHANNEL
from shared.database import create_engine, create_sessions
from shared.keyring import Keyring
from shared.side_port import STOPPING
from shared.tables import RelayAddress
from tests.conftest import TEMPLATE, Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.faults.mailrelay.load import (
    ADDRESS,
    SAFETY_SECONDS,
    Load,
    Mail,
    RelayProcess,
    make_address,
    started,
    stored,
)
from tests.integration.mailrelay.accepting import DOMAIN, Client, connect
from tests.processes import whole_lines

PROCESSES = 2
CLIENTS = 10
# `make soak` kills some seventy, the supervisor among them.
KILLS = 1
# Accepted before and after each: of every client two.
MAILS = 20
# Where the load goes on while something else is waited for.
PAUSE_SECONDS = 0.2
NEW_ADDRESS = "newaddres"


class Log:
    """What a relay has said since the test began."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begin = len(whole_lines(path)) if path.exists() else 0

    @property
    def text(self) -> str:
        return whole_lines(self.path)[self._begin :]

    def events(self, name: str) -> list[dict[str, object]]:
        return _events(self.text, name)

    @property
    def side_port(self) -> int:
        """Of the relay that runs now, whenever it began."""
        return int(str(_events(whole_lines(self.path), "relay_ready")[-1]["side_port"]))


def _events(text: str, name: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


@dataclass(frozen=True, slots=True)
class Shared:
    """A relay with two processes that accept mail, for all tests of this module: each leaves it as it was, or has ended it."""

    database: Database
    relay: RelayProcess
    log: Path


@pytest.fixture(scope="module")
async def shared(
    postgres: EmbeddedPostgres, keys: Keys, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shared]:
    database = Database(postgres, f"test_{uuid4().hex}")
    await postgres.create_database(database.name, template=TEMPLATE)
    await make_address(database, keys)
    log = tmp_path_factory.mktemp("restart") / "relay.log"
    relay = RelayProcess(
        database, keys, log, processes=str(PROCESSES), trusted_networks="127.0.0.0/8", shutdown_seconds="5"
    )
    yield Shared(database, relay, log)
    await relay.kill()
    await postgres.drop_database(database.name)


@pytest.fixture
def database(shared: Shared) -> Database:
    return shared.database


@pytest.fixture
async def relay(shared: Shared) -> RelayProcess:
    """It is ready."""
    relay = shared.relay
    if relay.has_ended or len(accepting(relay)) != PROCESSES:
        await relay.kill()
        log = Log(shared.log)
        await relay.start()
        await said(log, "relay_ready")
    return relay


@pytest.fixture
def log(shared: Shared, relay: RelayProcess) -> Log:
    return Log(shared.log)


async def until(is_so: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
    """There is no event to await across processes."""
    async with asyncio.timeout(SAFETY_SECONDS):
        while True:
            outcome = is_so()
            if outcome is True or (not isinstance(outcome, bool) and await outcome):
                return
            await asyncio.sleep(0.05)


async def said(log: Log, name: str, times: int = 1) -> None:
    await until(lambda: len(log.events(name)) >= times)


async def side(log: Log, path: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", log.side_port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


async def figure(log: Log, name: str) -> float:
    """A metric's value now."""
    status, figures = await side(log, "/metrics")
    assert status == 200
    [value] = [line.removeprefix(f"{name} ") for line in figures.splitlines() if line.startswith(f"{name} ")]
    return float(value)


async def _is_above(log: Log, name: str, value: float) -> bool:
    return await figure(log, name) > value


def accepting(relay: RelayProcess) -> dict[int, psutil.Process]:
    """The processes that accept mail, by pid."""
    return {process.pid: process for process in relay.processes if process.pid != relay.pid}


async def assert_all_is_kept(database: Database, keys: Keys, load: Load) -> None:
    in_database = await stored(database, keys)
    assert [mail for mail in load.accepted.items() if mail not in in_database] == []


async def test_every_process_takes_sessions_and_the_side_port_tells_of_all(
    relay: RelayProcess, log: Log, database: Database, keys: Keys
):
    accepted = [f'replyco_smtp_mails_accepted_total{{process="{number}"}}' for number in range(PROCESSES)]
    before = [await figure(log, name) for name in accepted]
    async with Load(relay.port, clients=30) as load:
        await load.more("data 250", 2 * MAILS)
        # Which of them is the first to come to its mail is up to the system.
        for name, value in zip(accepted, before, strict=True):
            await until(lambda name=name, value=value: _is_above(log, name, value))
        status, figures = await side(log, "/metrics")

        assert status == 200
        assert "\nreplyco_relay_processes 2.0\n" in figures
        assert figures.count("# TYPE replyco_smtp_mails_accepted_total counter\n") == 1
    assert await side(log, "/livez") == (200, "ok\n")
    assert await side(log, "/readyz") == (200, "ready\n")
    status, told = await side(log, "/status")
    processes = json.loads(told)["processes"]
    assert (status, json.loads(told)["is_ready"]) == (200, True)
    assert [(each["process"], each["is_ready"]) for each in processes] == [
        (number, True) for number in range(PROCESSES)
    ]
    assert (await side(log, "/status.html"))[1].startswith("<!doctype html>")
    assert (await side(log, "/trace/nobody"))[0] == 404
    assert (await side(log, "/trace/%0A1%20/livez"))[0] == 404
    await assert_all_is_kept(database, keys, load)


async def test_a_rolling_restart_under_load_refuses_nobody_and_loses_nothing(
    relay: RelayProcess, log: Log, database: Database, keys: Keys
):
    first = set(accepting(relay))
    async with Load(relay.port, clients=CLIENTS, pause_seconds=PAUSE_SECONDS) as load:
        await load.more("data 250", MAILS)
        psutil.Process(relay.pid).send_signal(signal.SIGHUP)
        await said(log, "restart_done")
        await load.more("data 250", MAILS)

    assert first.isdisjoint(accepting(relay))
    assert len(accepting(relay)) == PROCESSES
    assert load.refused == 0
    assert {code.split()[1] for code in load.codes} <= {"250", "354", "421"}
    await assert_all_is_kept(database, keys, load)


async def test_a_mail_under_way_is_finished_by_the_process_that_began_it(
    relay: RelayProcess, log: Log, database: Database, keys: Keys
):
    mail = Mail.new("under-way")
    clients = [await _client(relay.port) for _ in range(6)]
    for client in clients:
        await client.begin(ADDRESS)
        client.send(mail.raw[:1000])
    psutil.Process(relay.pid).send_signal(signal.SIGHUP)
    # The first process has a successor; it waits for its clients.
    await until(lambda: len(accepting(relay)) == PROCESSES + 1)
    for client in clients:
        client.send(mail.raw[1000:] + b".\r\n")

        assert (await client.reply()).startswith("250 2.0.0 accepted")
        client.writer.close()
    await said(log, "restart_done")
    assert (await stored(database, keys))[mail.id, mail.digest] == len(clients)


async def test_a_process_killed_under_load_comes_back(
    relay: RelayProcess, log: Log, database: Database, keys: Keys
):
    before = await figure(log, "replyco_relay_process_deaths_total")
    async with Load(relay.port, clients=CLIENTS, pause_seconds=PAUSE_SECONDS) as load:
        for kills in range(1, KILLS + 1):
            await load.more("data 250", MAILS)
            # The other one may still be starting, and whoever dies before it accepts mail is no death but a failed start.
            min(accepting(relay).values(), key=psutil.Process.create_time).kill()
            await said(log, "process_died", kills)
            await until(lambda: len(accepting(relay)) == PROCESSES)
            await until(lambda: _is_ready(log))
        await load.more("data 250", MAILS)

    assert await figure(log, "replyco_relay_process_deaths_total") == before + KILLS
    await assert_all_is_kept(database, keys, load)


async def test_a_frozen_process_is_replaced_and_who_waited_for_it_is_answered(
    relay: RelayProcess, log: Log, database: Database, keys: Keys
):
    frozen, *_ = accepting(relay).values()
    before = await figure(log, "replyco_relay_process_hangs_total")
    async with Load(relay.port, clients=CLIENTS, pause_seconds=PAUSE_SECONDS) as load:
        await load.more("data 250", MAILS)
        frozen.suspend()
        assert (await side(log, "/livez"))[0] == 503
        waiting = [asyncio.create_task(connect(relay.port)) for _ in range(20)]
        await said(log, "process_died")
        for client in await asyncio.gather(*waiting):
            client.writer.close()
        await until(lambda: _is_ready(log))
        await load.more("data 250", MAILS)

    assert not frozen.is_running()
    assert (await side(log, "/livez"))[0] == 200
    assert await figure(log, "replyco_relay_process_hangs_total") == before + 1
    await assert_all_is_kept(database, keys, load)


async def _is_ready(log: Log) -> bool:
    return (await side(log, "/readyz"))[0] == 200


@pytest.fixture
def broken_key(keys: Keys) -> Iterator[Callable[[], None]]:
    """The relay's key file cannot be used until the mending is called."""
    good = keys.mail_public_key_file.read_bytes()

    def mend() -> None:
        keys.mail_public_key_file.write_bytes(good)

    yield mend
    mend()


async def test_what_cannot_start_replaces_nothing(
    relay: RelayProcess, log: Log, database: Database, keys: Keys, broken_key: Callable[[], None]
):
    before = set(accepting(relay))
    keys.mail_public_key_file.write_bytes(b"broken")
    psutil.Process(relay.pid).send_signal(signal.SIGHUP)
    await said(log, "restart_given_up")
    broken_key()

    assert set(accepting(relay)) == before
    assert "The key file" in log.text
    async with Load(relay.port, clients=CLIENTS) as load:
        await load.more("data 250", MAILS)
    await assert_all_is_kept(database, keys, load)


async def test_a_process_that_cannot_start_again_is_tried_until_it_can(
    relay: RelayProcess, log: Log, keys: Keys, broken_key: Callable[[], None]
):
    keys.mail_public_key_file.write_bytes(b"broken")
    min(accepting(relay).items())[1].kill()
    await said(log, "process_not_started", 2)
    assert not await _is_ready(log)
    # Its share of the connections waits; the other process's is served.
    waiting = [asyncio.create_task(connect(relay.port)) for _ in range(20)]
    await until(lambda: any(client.done() for client in waiting))
    broken_key()

    for client in await asyncio.gather(*waiting):
        client.writer.close()
    await until(lambda: _is_ready(log))


async def test_the_side_port_finds_a_session_whichever_process_had_it(relay: RelayProcess, log: Log):
    for _ in range(10):
        client = await _client(relay.port)
        status, dialogue = await side(log, f"/trace/{client.session_id.strip('()')}")
        client.writer.close()

        assert status == 200
        assert "EHLO sender.example" in dialogue


async def test_a_stop_drains_first_and_a_second_signal_ends_it_at_once(
    database: Database, keys: Keys, tmp_path: Path
):
    log = Log(tmp_path / "relay.log")
    async with started(
        RelayProcess(database, keys, log.path, drain_seconds="600", trusted_networks="127.0.0.0/8")
    ) as relay:
        await said(log, "relay_ready")
        processes = list(accepting(relay).values())
        psutil.Process(relay.pid).send_signal(signal.SIGTERM)
        await said(log, "draining")
        assert await side(log, "/readyz") == (503, f"{STOPPING}\n")
        assert (await side(log, "/livez"))[0] == 200
        async with Load(relay.port, clients=2) as load:
            await load.more("data 250", 10)
        ended = asyncio.create_task(relay.ended())
        # One that comes right behind the first is taken for the same.
        while not ended.done():
            with suppress(psutil.NoSuchProcess):
                psutil.Process(relay.pid).send_signal(signal.SIGTERM)
            await asyncio.wait([ended], timeout=1)

        assert await ended == 128 + signal.SIGTERM
    assert len(log.events("ended_at_once")) == 1
    assert load.refused == 0
    await asyncio.to_thread(psutil.wait_procs, processes, timeout=SAFETY_SECONDS)
    assert [process for process in processes if process.is_running()] == []
    await assert_all_is_kept(database, keys, load)


async def test_a_new_address_works_at_once_in_every_process_and_a_retired_one_stops(
    relay: RelayProcess, log: Log, database: Database, keyring: Keyring
):
    engine = create_engine(database.url(OWNER), application_name="tests")
    sessions = create_sessions(engine)
    await until(lambda: _all_listen(log))
    clients = [await _client(relay.port) for _ in range(20)]
    assert await _answers(clients) == {"550"}

    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        integration = await make_integration(session, account.id)
        await make_relay_address(session, integration, local_part=NEW_ADDRESS)
    assert await _answers(clients) == {"250"}

    async with sessions.begin() as session:
        is_new = RelayAddress.local_part == NEW_ADDRESS
        await session.execute(update(RelayAddress).where(is_new).values(retired_at=func.now()))
        await session.execute(
            select(func.pg_notify(ADDRESS_CHANNEL, cast(RelayAddress.id, Text))).where(is_new)
        )
    async with asyncio.timeout(SAFETY_SECONDS):
        while await _answers(clients) != {"550"}:
            pass
    for client in clients:
        client.writer.close()
    await engine.dispose()


async def _all_listen(log: Log) -> bool:
    figures = (await side(log, "/metrics"))[1]
    return all(
        f'\nreplyco_recipients_listening{{process="{number}"}} 1.0\n' in figures
        for number in range(PROCESSES)
    )


async def _client(port: int) -> Client:
    client = await connect(port)
    assert (await client.say("EHLO sender.example")).startswith("250")
    return client


async def _answers(clients: list[Client]) -> set[str]:
    """What they are told of the new address, without the rest of the reply."""
    told = set()
    for client in clients:
        await client.say("RSET")
        await client.say("MAIL FROM:<buyer@marketplace.amazon.de>")
        told.add((await client.say(f"RCPT TO:<{NEW_ADDRESS}@{DOMAIN}>"))[:3])
    return told


async def test_a_stop_ends_every_process_cleanly(relay: RelayProcess, log: Log):
    processes = list(accepting(relay).values())
    async with Load(relay.port, clients=CLIENTS) as load:
        await load.more("data 250", MAILS)
        await relay.end(signal.SIGTERM)

    assert await relay.ended() == 0
    assert [process for process in processes if process.is_running()] == []
    assert len(log.events("relay_stopped")) == 1
    assert log.events("process_killed") == []


async def test_a_killed_supervisor_leaves_no_process_behind(relay: RelayProcess):
    orphans = list(accepting(relay).values())

    await relay.end(signal.SIGKILL)

    await asyncio.to_thread(psutil.wait_procs, orphans, timeout=SAFETY_SECONDS)
    assert [orphan for orphan in orphans if orphan.is_running()] == []
