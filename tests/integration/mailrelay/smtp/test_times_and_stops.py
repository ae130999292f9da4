"""Silence, slowness, and the relay's own end."""

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator

import asyncpg

from deploy.demo.postgres import OWNER, RELAY
from services.mailrelay.intake.journal import AcceptedRow
from services.mailrelay.smtp.data_reader import DataReader
from services.mailrelay.smtp.dialogue import Dialogue
from services.mailrelay.smtp.protocol import RelaySession
from services.mailrelay.smtp.reader import ClientReader
from shared.database import Sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.integration.mailrelay.accepting import DOMAIN, connect, running_relay, stored_mails

ADDRESS = f"mabtekrud@{DOMAIN}"


async def _make_address(sessions: Sessions, keyring: Keyring) -> None:
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        await make_relay_address(session, await make_integration(session, account.id), local_part="mabtekrud")


async def test_silence_ends_a_session(database: Database, keys: Keys):
    async with running_relay(database, keys, idle_timeout_seconds=0.3) as relay, relay.client() as client:
        assert await client.reply() == "421 4.4.2 timed out, closing"


async def test_silence_before_the_first_mail_ends_a_session_sooner(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    await _make_address(sessions, keyring)
    async with (
        running_relay(database, keys, first_mail_timeout_seconds=2) as relay,
        relay.client() as silent,
        relay.client() as encrypted_nothing,
        relay.client() as honest,
    ):
        await honest.begin(ADDRESS)
        await encrypted_nothing.say("EHLO sender.example")
        for client in (silent, encrypted_nothing):
            assert await client.reply() == "421 4.4.2 timed out, closing"

        honest.send(b"a mail\r\n.\r\n")
        assert (await honest.reply()).startswith("250 ")
        # Between two mails it may be silent for as long as RFC 5321 says.
        await asyncio.wait([asyncio.create_task(silent.reader.read())])
        assert (await honest.say("NOOP")).startswith("250 ")


async def test_a_mail_that_trickles_in_for_ever_is_broken_off(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    await _make_address(sessions, keyring)
    async with running_relay(database, keys, data_timeout_seconds=0.5) as relay, relay.client() as client:
        await client.begin(ADDRESS)
        reply = asyncio.create_task(client.reply())
        while not reply.done():
            client.send(b"x")
            await asyncio.wait([reply], timeout=0.05)

        assert reply.result().startswith("421 4.4.2")


async def test_a_session_that_talks_for_ever_is_sent_away(database: Database, keys: Keys):
    async with (
        running_relay(database, keys, session_timeout_seconds=1) as relay,
        relay.client() as client,
        asyncio.timeout(60),
    ):
        while (reply := await client.say("NOOP")).startswith("250 "):  # noqa: ASYNC110 - it is who talks
            await asyncio.sleep(0.1)

    assert reply.startswith("421 4.4.2")


async def test_a_stopping_relay_sends_idle_clients_away_and_lets_a_mail_finish(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    await _make_address(sessions, keyring)
    async with running_relay(database, keys) as relay, relay.client() as idle, relay.client() as busy:
        await busy.begin(ADDRESS)
        busy.send(b"first half, ")
        relay.stop.set()
        assert (await idle.reply()).startswith("421 4.3.2")

        busy.send(b"second half\r\n.\r\n")
        assert (await busy.reply()).startswith("250 ")
        assert (await busy.reply()).startswith("421 4.3.2")
    assert await stored_mails(database, keys) == [b"first half, second half\r\n"]


async def test_a_stopping_relay_still_answers_for_a_mail_whose_commit_is_under_way(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    await _make_address(sessions, keyring)
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    async with running_relay(database, keys) as relay, relay.client() as client:
        await client.begin(ADDRESS)
        async with connection.transaction():
            await connection.execute("LOCK TABLE accepted_mail IN SHARE MODE")
            client.send(b"text\r\n.\r\n")
            await asyncio.sleep(0.2)
            relay.stop.set()
            await asyncio.sleep(0.2)

        assert (await client.reply()).startswith("250 ")
    await connection.close()


async def test_a_mail_that_never_ends_does_not_hold_up_the_stop(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    await _make_address(sessions, keyring)
    async with running_relay(database, keys, shutdown_seconds=0.2) as relay, relay.client() as client:
        await client.begin(ADDRESS)
        relay.stop.set()

        assert (await client.reply()).startswith("421 4.3.2")


@contextlib.asynccontextmanager
async def _command(role: str, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m services.mailrelay role`; never left running when a test fails."""
    settings = {"development": "true", "tls_required": "false", **settings}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.mailrelay",
        role,
        env={"PATH": os.defpath} | {f"REPLYCO_{name.upper()}": value for name, value in settings.items()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _ready(process: asyncio.subprocess.Process) -> bytes:
    """The line that says that mail is accepted, behind those that say that this is development."""
    assert process.stdout is not None
    while b"REPLYCO_TLS_REQUIRED" in (line := await process.stdout.readline()):
        pass
    return line


async def test_wrong_settings_stop_the_start_with_name_and_cure():
    async with _command("serve", smtp_port="99999") as process:
        _out, problem = await process.communicate()

    assert process.returncode == 2
    for name in ("REPLYCO_DATABASE_URL", "REPLYCO_MAIL_PUBLIC_KEY_FILE", "REPLYCO_SMTP_PORT"):
        assert name.encode() in problem


async def test_a_taken_port_is_named_with_its_setting(database: Database, keys: Keys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        for setting in ("smtp_port", "side_port"):
            ports = {"smtp_port": "0", "side_port": "0"} | {setting: str(port)}
            async with _command(
                "serve",
                database_url=database.url(RELAY),
                mail_public_key_file=str(keys.mail_public_key_file),
                **ports,
            ) as process:
                _out, problem = await process.communicate()

            assert process.returncode == 2
            cure = f"Port {port} is taken. Set REPLYCO_{setting.upper()} to a free one.\n"
            assert problem.decode() == cure


async def test_sigterm_is_a_clean_stop(database: Database, keys: Keys):
    async with _command(
        "serve",
        database_url=database.url(RELAY),
        mail_public_key_file=str(keys.mail_public_key_file),
        smtp_port="0",
        side_port="0",
    ) as process:
        assert b"relay_ready" in await _ready(process)
        process.send_signal(signal.SIGTERM)
        out, problem = await process.communicate()

    assert (process.returncode, problem) == (0, b"")
    assert b"relay_stopped" in out


async def test_nothing_of_a_mail_reaches_the_logs(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    await _make_address(sessions, keyring)
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    async with _command(
        "serve",
        database_url=database.url(RELAY),
        mail_public_key_file=str(keys.mail_public_key_file),
        smtp_port="0",
        side_port="0",
        log_level="DEBUG",
    ) as process:
        ready = await _ready(process)
        client = await connect(json.loads(ready)["smtp_port"])

        await client.say("EHLO canaryhelo.example")
        await client.say("MAIL FROM:<canarysender@canary.example>")
        await client.say(f"RCPT TO:<canarynobody@{DOMAIN}>")
        await client.say("CANARYCOMMAND canaryargument")
        await client.say(b"MAIL FROM:<canary\xff>")
        await client.say("RSET")
        assert (await client.deliver(ADDRESS, b"Subject: canarysubject\r\n\r\ncanarybody")).startswith("250 ")
        # Failures are logged as well, and their texts hold values.
        await connection.execute("ALTER TABLE accepted_mail ADD CONSTRAINT none CHECK (size < 0) NOT VALID")
        assert (await client.deliver(ADDRESS, b"Subject: canarysubject\r\n\r\ncanarybody")).startswith("451 ")
        await client.say("QUIT")
        client.writer.close()
        await client.writer.wait_closed()
        process.send_signal(signal.SIGTERM)
        out, problem = await process.communicate()

    assert b"session_ended" in out
    assert b"mail_not_storable" in out
    for trace in (b"canary", b"mabtekrud", b"127.0.0.1"):
        assert trace not in (ready + out + problem).lower()
    await connection.close()


def _alive() -> int:
    kept = RelaySession | Dialogue | ClientReader | DataReader | AcceptedRow
    return sum(isinstance(thing, kept) for thing in gc.get_objects())


@contextlib.contextmanager
def _without_garbage_collector() -> Iterator[None]:
    """The relay collects seldom, so a mail that it alone could free would stay for long."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def test_a_session_that_has_ended_leaves_nothing_for_the_garbage_collector(
    database: Database, keys: Keys
):
    async with running_relay(database, keys) as relay, relay.client() as client:
        await client.say("EHLO sender.example")
        with _without_garbage_collector():
            while_it_lasts = _alive()
            await client.say("QUIT")
            await relay.counts('replyco_smtp_sessions_total{reason="quit"} 1.0')
            afterwards = _alive()

    assert afterwards == while_it_lasts - 3


async def test_neither_does_a_client_that_breaks_off_within_a_mail(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    await _make_address(sessions, keyring)
    async with running_relay(database, keys) as relay:
        with _without_garbage_collector():
            before = _alive()
            async with relay.client() as client:
                await client.begin(ADDRESS)
                client.send(b"half a mail\r\n" * 1000)
                while "replyco_smtp_memory_bytes 39000.0" not in await relay.metrics():
                    pass
                client.writer.transport.abort()
                await relay.counts('replyco_smtp_sessions_total{reason="disconnected"} 1.0')
            afterwards = _alive()

    assert afterwards == before


async def test_neither_does_a_mail_that_could_not_be_stored(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    await _make_address(sessions, keyring)
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    async with running_relay(database, keys, commit_timeout_seconds=0.5) as relay:
        with _without_garbage_collector():
            before = _alive()
            async with connection.transaction(), relay.client() as client, relay.client() as impatient:
                await connection.execute("LOCK TABLE accepted_mail")
                for each in (client, impatient):
                    await each.begin(ADDRESS)
                    each.send(b"a mail\r\n.\r\n")
                impatient.writer.transport.abort()
                await relay.counts('replyco_smtp_sessions_total{reason="disconnected"} 1.0')
                assert (await client.reply()).startswith("451 ")
                await client.say("QUIT")
                await relay.counts('replyco_smtp_sessions_total{reason="quit"} 1.0')
                # The journal has given up, too.
                await relay.counts("replyco_journal_queued_bytes 0.0")
            afterwards = _alive()
    await connection.close()

    assert afterwards == before
