"""Several processes on one port: replaced, killed and orphaned under load, without a mail lost or a client refused."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Text, cast, func, select, update

from shared.database import Sessions
from shared.events import ADDRESS_CHANNEL
from shared.keyring import Keyring
from shared.side_port import STOPPING
from shared.tables import RelayAddress
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.faults.mailrelay.load import ADDRESS, Load, Mail, RelayProcess, running, stored
from tests.integration.mailrelay.accepting import DOMAIN, Client, connect

PROCESSES = 2
CLIENTS = 10


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "relay.log"


@pytest.fixture
async def relay(database: Database, keys: Keys, log: Path) -> AsyncIterator[RelayProcess]:
    """Two processes that accept mail."""
    async with running(
        database, keys, log, processes=str(PROCESSES), trusted_networks="127.0.0.0/8", shutdown_seconds="5"
    ) as relay:
        await said(log, "relay_ready")
        yield relay


def text_of(log: Path) -> str:
    return log.read_text()


def events(log: Path, name: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in text_of(log).splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


async def until(is_so: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
    """There is no event to await across processes."""
    async with asyncio.timeout(30):
        while True:
            outcome = is_so()
            if outcome is True or (not isinstance(outcome, bool) and await outcome):
                return
            await asyncio.sleep(0.05)


async def said(log: Path, name: str, times: int = 1) -> None:
    await until(lambda: len(events(log, name)) >= times)


async def side(log: Path, path: str) -> tuple[int, str]:
    port = events(log, "relay_ready")[0]["side_port"]
    reader, writer = await asyncio.open_connection("127.0.0.1", int(str(port)))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


def accepting(relay: RelayProcess) -> dict[int, psutil.Process]:
    """The processes that accept mail, by pid."""
    return {process.pid: process for process in relay.processes if process.pid != relay.pid}


async def assert_all_is_kept(database: Database, keys: Keys, load: Load) -> None:
    in_database = await stored(database, keys)
    assert [mail for mail in load.accepted.items() if mail not in in_database] == []


async def test_every_process_takes_sessions_and_the_side_port_tells_of_all(
    relay: RelayProcess, log: Path, database: Database, keys: Keys
):
    async with Load(relay.port, clients=30) as load:
        await load.more("data 250", 100)
        status, figures = await side(log, "/metrics")

        assert status == 200
        for number in range(PROCESSES):
            name = f'replyco_smtp_mails_accepted_total{{process="{number}"}} '
            [value] = [line.removeprefix(name) for line in figures.splitlines() if line.startswith(name)]
            assert float(value) > 0
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
    relay: RelayProcess, log: Path, database: Database, keys: Keys
):
    first = set(accepting(relay))
    async with Load(relay.port, clients=CLIENTS) as load:
        for restarts in (1, 2):
            await load.more("data 250", 100)
            psutil.Process(relay.pid).send_signal(signal.SIGHUP)
            await said(log, "restart_done", restarts)
        await load.more("data 250", 100)

    assert first.isdisjoint(accepting(relay))
    assert len(accepting(relay)) == PROCESSES
    assert load.refused == 0
    assert {code.split()[1] for code in load.codes} <= {"250", "354", "421"}
    await assert_all_is_kept(database, keys, load)


async def test_a_mail_under_way_is_finished_by_the_process_that_began_it(
    relay: RelayProcess, log: Path, database: Database, keys: Keys
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
    relay: RelayProcess, log: Path, database: Database, keys: Keys
):
    async with Load(relay.port, clients=CLIENTS) as load:
        for kills in range(1, 6):
            await load.more("data 250", 100)
            # The other one may still be starting, and whoever dies before it accepts mail is no death but a failed start.
            min(accepting(relay).values(), key=psutil.Process.create_time).kill()
            await said(log, "process_died", kills)
            await until(lambda: len(accepting(relay)) == PROCESSES)
            await until(lambda: _is_ready(log))
        await load.more("data 250", 100)

    assert "\nreplyco_relay_process_deaths_total 5.0\n" in (await side(log, "/metrics"))[1]
    await assert_all_is_kept(database, keys, load)


async def test_a_frozen_process_is_replaced_and_who_waited_for_it_is_answered(
    relay: RelayProcess, log: Path, database: Database, keys: Keys
):
    frozen, *_ = accepting(relay).values()
    async with Load(relay.port, clients=CLIENTS) as load:
        await load.more("data 250", 20)
        frozen.suspend()
        assert (await side(log, "/livez"))[0] == 503
        waiting = [asyncio.create_task(connect(relay.port)) for _ in range(20)]
        await said(log, "process_died")
        for client in await asyncio.gather(*waiting):
            client.writer.close()
        await until(lambda: _is_ready(log))
        await load.more("data 250", 20)

    assert not frozen.is_running()
    assert (await side(log, "/livez"))[0] == 200
    assert "\nreplyco_relay_process_hangs_total 1.0\n" in (await side(log, "/metrics"))[1]
    await assert_all_is_kept(database, keys, load)


async def _is_ready(log: Path) -> bool:
    return (await side(log, "/readyz"))[0] == 200


async def test_a_killed_supervisor_leaves_no_process_behind(relay: RelayProcess):
    orphans = list(accepting(relay).values())

    await relay.end(signal.SIGKILL)

    await asyncio.to_thread(psutil.wait_procs, orphans, timeout=20)
    assert [orphan for orphan in orphans if orphan.is_running()] == []


@pytest.fixture
def broken_key(keys: Keys) -> Iterator[Callable[[], None]]:
    """The relay's key file cannot be used until the mending is called."""
    good = keys.mail_public_key_file.read_bytes()

    def mend() -> None:
        keys.mail_public_key_file.write_bytes(good)

    yield mend
    mend()


async def test_what_cannot_start_replaces_nothing(
    relay: RelayProcess, log: Path, database: Database, keys: Keys, broken_key: Callable[[], None]
):
    before = set(accepting(relay))
    keys.mail_public_key_file.write_bytes(b"broken")
    psutil.Process(relay.pid).send_signal(signal.SIGHUP)
    await said(log, "restart_given_up")
    broken_key()

    assert set(accepting(relay)) == before
    assert "The key file" in text_of(log)
    async with Load(relay.port, clients=CLIENTS) as load:
        await load.more("data 250", 20)
    await assert_all_is_kept(database, keys, load)


async def test_a_process_that_cannot_start_again_is_tried_until_it_can(
    relay: RelayProcess, log: Path, keys: Keys, broken_key: Callable[[], None]
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


async def test_the_side_port_finds_a_session_whichever_process_had_it(relay: RelayProcess, log: Path):
    for _ in range(10):
        client = await _client(relay.port)
        status, dialogue = await side(log, f"/trace/{client.session_id.strip('()')}")
        client.writer.close()

        assert status == 200
        assert "EHLO sender.example" in dialogue


async def test_a_stop_ends_every_process_cleanly(relay: RelayProcess, log: Path):
    processes = list(accepting(relay).values())
    async with Load(relay.port, clients=CLIENTS) as load:
        await load.more("data 250", 50)
        await relay.end(signal.SIGTERM)

    assert await relay.ended() == 0
    assert [process for process in processes if process.is_running()] == []
    assert len(events(log, "relay_stopped")) == 1
    assert events(log, "process_killed") == []


async def test_a_stop_drains_first_and_a_second_signal_ends_it_at_once(
    database: Database, keys: Keys, log: Path
):
    async with running(database, keys, log, drain_seconds="600", trusted_networks="127.0.0.0/8") as relay:
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
    assert len(events(log, "ended_at_once")) == 1
    assert load.refused == 0
    await asyncio.to_thread(psutil.wait_procs, processes, timeout=20)
    assert [process for process in processes if process.is_running()] == []
    await assert_all_is_kept(database, keys, load)


async def test_a_new_address_works_at_once_in_every_process_and_a_retired_one_stops(
    relay: RelayProcess, log: Path, sessions: Sessions, keyring: Keyring
):
    await until(lambda: _all_listen(log))
    clients = [await _client(relay.port) for _ in range(20)]
    assert await _answers(clients) == {"550"}

    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        integration = await make_integration(session, account.id)
        await make_relay_address(session, integration, local_part="newaddres")
    assert await _answers(clients) == {"250"}

    async with sessions.begin() as session:
        await session.execute(update(RelayAddress).values(retired_at=func.now()))
        await session.execute(select(func.pg_notify(ADDRESS_CHANNEL, cast(RelayAddress.id, Text))))
    async with asyncio.timeout(10):
        while await _answers(clients) != {"550"}:
            pass
    for client in clients:
        client.writer.close()


async def _all_listen(log: Path) -> bool:
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
        told.add((await client.say(f"RCPT TO:<newaddres@{DOMAIN}>"))[:3])
    return told
