"""What clients do wrong, on purpose or not: each gets its reply, and the session goes on."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from shared.database import Sessions
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.integration.mailrelay.accepting import (
    DOMAIN,
    NO_END_OF_DATA,
    Relay,
    connect,
    running_relay,
    stored_mails,
)

ADDRESS = f"mabtekrud@{DOMAIN}"
LIMIT = 100_000


@pytest.fixture
async def relay(database: Database, keys: Keys, sessions: Sessions, keyring: Keyring) -> AsyncIterator[Relay]:
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        await make_relay_address(session, await make_integration(session, account.id), local_part="mabtekrud")
    async with running_relay(database, keys, message_size_limit_bytes=LIMIT) as running:
        yield running


async def test_only_what_works_is_offered(relay: Relay):
    async with relay.client() as client:
        offers = (await client.say("EHLO sender.example")).splitlines()

    assert [offer[4:] for offer in offers[1:]] == [
        "PIPELINING",
        f"SIZE {LIMIT}",
        "8BITMIME",
        "SMTPUTF8",
        "ENHANCEDSTATUSCODES",
        "HELP",
    ]


async def test_each_wrong_command_gets_its_reply_and_the_session_goes_on(relay: Relay):
    dialogue: list[tuple[str | bytes, str]] = [
        ("", "500 5.5.1"),
        ("MAIL FROM:<a@b.example>", "503 5.5.1"),
        ("EHLO", "501 5.5.4"),
        ("EHLO " + "x" * 2000, "500 5.5.2"),
        ("EHLO sender.example", "250-"),
        ("DATA", "503 5.5.1"),
        (f"RCPT TO:<{ADDRESS}>", "503 5.5.1"),
        ("MAIL FROM:<a@b.example", "501 5.5.4"),
        ("MAIL FROM:<a@b.example> X=Y", "555 5.5.4"),
        (f"MAIL FROM:<a@b.example> SIZE={LIMIT + 1}", "552 5.3.4"),
        (b"MAIL FROM:<\xff@b.example>", "500 5.5.2"),
        ("MAIL FROM:<ä@b.example>", "553 5.6.7"),
        (b"MA\0IL FROM:<>", "500 5.5.1"),
        (b"\xff\xfe", "500 5.5.1"),
        ("AUTH PLAIN AAAA", "502 5.5.1"),
        ("BDAT 10 LAST", "502 5.5.1"),
        ("STARTTLS", "502 5.5.1"),
        ("GET / HTTP/1.1", "500 5.5.1"),
        ("mail from:<a@b.example> size=1000", "250 2.1.0"),
        ("MAIL FROM:<a@b.example>", "503 5.5.1"),
        ("DATA", "503 5.5.1"),
        ("RCPT TO:<>", "501 5.5.4"),
        ("DATA now", "501 5.5.4"),
        (f"RCPT TO:<{ADDRESS}>", "250 2.1.5"),
        ("NOOP", "250 2.0.0"),
        ("VRFY someone", "252 2.5.2"),
        ("RSET", "250 2.0.0"),
        ("DATA", "503 5.5.1"),
        ("QUIT", "221 2.0.0"),
    ]
    async with relay.client() as client:
        for command, expected in dialogue:
            assert (await client.say(command)).startswith(expected), command


async def test_a_command_may_come_byte_by_byte(relay: Relay):
    async with relay.client() as client:
        for byte in b"EHLO sender.example\r\n":
            client.send(bytes([byte]))
            await client.writer.drain()
            await asyncio.sleep(0)

        assert (await client.reply()).startswith("250-")


async def test_ten_thousand_commands_at_once_are_answered(relay: Relay):
    async with relay.client() as client:
        client.send(b"NOOP\r\n" * 10_000 + b"QUIT\r\n")

        assert (await client.reader.read()).count(b"250 2.0.0 OK (") == 10_000


async def test_a_whole_session_in_one_packet_is_answered_in_order(
    relay: Relay, database: Database, keys: Keys
):
    one = f"MAIL FROM:<a@b.example>\r\nRCPT TO:<{ADDRESS}>\r\nDATA\r\n".encode()
    async with relay.client() as client:
        client.send(b"EHLO x\r\n" + one + b"first\r\n.\r\n" + one + b"second\r\n.\r\nQUIT\r\n")
        client.writer.write_eof()
        replies = (await client.reader.read()).decode().splitlines()

    codes = [reply[:3] for reply in replies if reply[3] == " "]
    assert codes == ["250", "250", "250", "354", "250", "250", "250", "354", "250", "221"]
    assert await stored_mails(database, keys) == [b"first\r\n", b"second\r\n"]


@pytest.mark.parametrize("sequence", NO_END_OF_DATA)
async def test_nothing_can_be_smuggled(relay: Relay, database: Database, keys: Keys, sequence: bytes):
    async with relay.client() as client:
        await client.try_to_smuggle(ADDRESS, sequence)
    assert len(await stored_mails(database, keys)) == 1


async def test_a_mail_beyond_the_limit_is_552_and_the_session_goes_on(
    relay: Relay, database: Database, keys: Keys
):
    async with relay.client() as client:
        assert (await client.deliver(ADDRESS, b"x" * (LIMIT - 1))).startswith("552 5.3.4")
        assert (await client.deliver(ADDRESS, b"x" * (LIMIT - 2))).startswith("250 ")

    assert [len(mail) for mail in await stored_mails(database, keys)] == [LIMIT]


async def test_a_mail_with_no_line_end_at_all_is_552(relay: Relay):
    async with relay.client() as client:
        assert (await client.deliver(ADDRESS, b"x" * 10_000_000)).startswith("552 5.3.4")


@pytest.mark.parametrize("state", range(5))
async def test_a_client_that_vanishes_leaves_nothing_behind(
    relay: Relay, database: Database, keys: Keys, state: int
):
    said = [
        b"EHLO x\r\n",
        b"MAIL FROM:<>\r\n",
        f"RCPT TO:<{ADDRESS}>\r\n".encode(),
        b"DATA\r\n",
        b"half a mail\r\n.",
    ][: state + 1]
    client = await connect(relay.smtp_port)
    for line in said:
        client.send(line)
    await client.writer.drain()
    if state < 4:
        await client.reply()
    # A reset, not a goodbye.
    client.writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"
    )
    client.writer.transport.abort()

    async with relay.client() as other:
        assert (await other.deliver(ADDRESS, b"whole")).startswith("250 ")
    assert await stored_mails(database, keys) == [b"whole\r\n"]


async def test_the_101st_recipient_is_put_off(
    relay: Relay, sessions: Sessions, keyring: Keyring, database: Database, keys: Keys
):
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        for number in range(101):
            integration = await make_integration(session, account.id, name=f"Store {number}")
            await make_relay_address(session, integration, local_part=f"many{number:05d}")

    async with relay.client() as client:
        await client.say("EHLO x")
        await client.say("MAIL FROM:<>")
        replies = [await client.say(f"RCPT TO:<many{number:05d}@{DOMAIN}>") for number in range(101)]
        assert replies[99].startswith("250 2.1.5")
        assert replies[100].startswith("452 4.5.3")

        await client.say("DATA")
        client.send(b"to all\r\n.\r\n")
        assert (await client.reply()).startswith("250 ")
    assert await stored_mails(database, keys) == [b"to all\r\n"] * 100
