"""A postmaster quotes a reply; the operator sees what was said, and nobody's address or text."""

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest
from typer.testing import CliRunner

from services.mailrelay.__main__ import cli
from shared.database import Sessions
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.integration.mailrelay.accepting import DOMAIN, Relay, running_relay

ADDRESS = f"mabtekrud@{DOMAIN}"


@pytest.fixture
async def relay(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Relay]:
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        await make_relay_address(session, await make_integration(session, account.id), local_part="mabtekrud")
    async with running_relay(database, keys) as running:
        monkeypatch.setenv("REPLYCO_SIDE_PORT", str(running.side_port))
        yield running


async def _trace(session_id: str) -> tuple[int, str, str]:
    """What the command does: exit code, output, complaint."""
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["trace", session_id])
    return done.exit_code, done.stdout, done.stderr


async def _trace_by_a_process(session_id: str) -> tuple[int | None, str, str]:
    """The same, as an operator starts it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.mailrelay", "trace", session_id),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaint = await process.communicate()
    return process.returncode, out.decode(), complaint.decode()


async def test_a_session_is_told_with_its_contents_masked(relay: Relay):
    async with relay.client() as client:
        assert (await client.say("EHLO sender.example")).startswith("250")
        await client.say("MAIL FROM:<canary.sender@marketplace.amazon.de>")
        await client.say(f"RCPT TO:<canaryrcpt@{DOMAIN}>")
        await client.say("canary in no command")
        await client.say("AUTH PLAIN canary")
        accepted = await client.deliver(ADDRESS, b"Subject: canary\r\n\r\ncanary")
        await client.say("QUIT")

    code, told, _complaint = await _trace_by_a_process(client.session_id)

    assert code == 0
    assert "canary" not in told.lower()
    assert [line[11:] for line in told.splitlines()[1:] if " ms" not in line] == [
        "S: 220 mx.test.example ESMTP Replyco",
        "C: EHLO sender.example",
        "S: 250-mx.test.example",
        "C: MAIL FROM:<c…@marketplace.amazon.de>",
        "S: 250 2.1.0 sender OK",
        f"C: RCPT TO:<c…@{DOMAIN}>",
        "S: 550 5.1.1 no such address here",
        "C: [20 bytes]",
        "S: 500 5.5.1 command not recognized",
        "C: AUTH [12 bytes]",
        "S: 502 5.5.1 command not implemented",
        "C: EHLO sender.example",
        "S: 250-mx.test.example",
        "C: MAIL FROM:<b…@marketplace.amazon.de>",
        "S: 250 2.1.0 sender OK",
        f"C: RCPT TO:<m…@{DOMAIN}>",
        "S: 250 2.1.5 recipient OK",
        "C: DATA",
        "S: 354 end data with <CR><LF>.<CR><LF>",
        f"S: {accepted}",
        "C: QUIT",
        "S: 221 2.0.0 bye",
        "ended: quit",
    ]
    assert "a mail of 27 bytes in " in told


async def test_an_open_session_is_told_up_to_now(relay: Relay):
    async with relay.client() as client:
        await client.say("EHLO sender.example")

        code, told, _complaint = await _trace(client.session_id)

    assert (code, told.splitlines()[-1][11:]) == (0, "S: 250-mx.test.example")


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [("0123456789abcdef", "not known here, or not any more"), ("../metrics", "16 digits from 0 to f")],
)
@pytest.mark.usefixtures("relay")
async def test_what_cannot_be_told_is_said_in_words(asked: str, complaint: str):
    code, told, said = await _trace(asked)

    assert (code, told) == (1, "")
    assert complaint in said


async def test_no_relay_is_said_in_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REPLYCO_SIDE_PORT", "1")

    code, told, said = await _trace("(0123456789abcdef)")

    assert (code, told) == (1, "")
    assert "No relay answers at 127.0.0.1 port 1" in said
