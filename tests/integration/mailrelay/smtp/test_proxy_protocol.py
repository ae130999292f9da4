"""Behind a load balancer: who the client is, and who may say so."""

import asyncio
import contextlib
from ipaddress import ip_address, ip_network

import asyncpg
import pytest

from deploy.demo.postgres import OWNER
from services.mailrelay.smtp.proxy_protocol import SIGNATURE
from shared.database import Sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.integration.mailrelay.accepting import DOMAIN, Client, running_relay, stored_mails

HERE = (ip_network("127.0.0.0/8"),)
PORTS = b"\x30\x39\x00\x19"


def header(command: int, family: int, block: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + len(block).to_bytes(2, "big") + block


IPV4 = ip_address("203.0.113.7").packed + ip_address("127.0.0.1").packed + PORTS
IPV6 = ip_address("2001:db8::7").packed + ip_address("::1").packed + PORTS
MAPPED = ip_address("::ffff:203.0.113.7").packed + ip_address("::1").packed + PORTS
EXTENSION = b"\x04\x00\x03abc"


async def open_client(port: int) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", port))


@pytest.fixture
async def address(sessions: Sessions, keyring: Keyring) -> str:
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        await make_relay_address(session, await make_integration(session, account.id), local_part="mabtekrud")
    return f"mabtekrud@{DOMAIN}"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (header(0x21, 0x11, IPV4), "203.0.113.7"),
        (header(0x21, 0x11, IPV4 + EXTENSION), "203.0.113.7"),
        (header(0x21, 0x21, IPV6), "2001:db8::7"),
        (header(0x21, 0x21, MAPPED), "203.0.113.7"),
        (header(0x21, 0x00, b""), "127.0.0.1"),
        (header(0x20, 0x00, b""), "127.0.0.1"),
        (header(0x20, 0x11, IPV4), "127.0.0.1"),
    ],
)
async def test_a_mail_is_from_the_client_that_the_header_names(
    database: Database, keys: Keys, address: str, sent: bytes, expected: str
):
    async with running_relay(database, keys, proxy_protocol_from=HERE) as relay:
        client = await open_client(relay.smtp_port)
        client.send(sent)
        assert (await client.reply()).startswith("220 ")
        assert (await client.deliver(address, b"text")).startswith("250 ")
        client.writer.close()

    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    assert str(await connection.fetchval("SELECT peer_address FROM accepted_mail")) == expected
    await connection.close()


async def test_a_header_may_come_in_pieces_and_a_command_with_it(database: Database, keys: Keys):
    sent = header(0x21, 0x11, IPV4 + EXTENSION) + b"NOOP\r\n"

    async def try_split(port: int, at: int) -> str:
        client = await open_client(port)
        client.send(sent[:at])
        await client.writer.drain()
        await asyncio.sleep(0.02)
        client.send(sent[at:])
        replies = await client.reply() + " " + await client.reply()
        client.writer.close()
        return replies

    async with running_relay(database, keys, proxy_protocol_from=HERE) as relay:
        for at in range(1, len(sent) + 1):
            replies = await try_split(relay.smtp_port, at)
            assert replies.startswith("220 "), at
            assert replies.endswith("250 2.0.0 OK"), at


@pytest.mark.parametrize(
    "sent",
    [
        b"EHLO sender.example\r\n",
        b"PROXY TCP4 203.0.113.7 127.0.0.1 12345 25\r\nEHLO sender.example\r\n",
        b"\r\n" + header(0x21, 0x11, IPV4),
        header(0x11, 0x11, IPV4),
        header(0x31, 0x11, IPV4),
        header(0x22, 0x11, IPV4),
        header(0x21, 0x12, IPV4),
        header(0x21, 0x31, b"\0" * 216),
        header(0x21, 0x11, IPV4[:11]),
        header(0x21, 0x21, IPV4),
        header(0x21, 0x11, IPV4 + b"\0" * 2048),
        header(0x21, 0x11, IPV4)[:-1],
        SIGNATURE,
        b"",
    ],
)
async def test_without_a_valid_header_the_connection_is_closed_unanswered(
    database: Database, keys: Keys, sent: bytes
):
    settings = {"proxy_protocol_from": HERE, "proxy_protocol_timeout_seconds": 0.3}
    async with running_relay(database, keys, **settings) as relay:
        client = await open_client(relay.smtp_port)
        client.send(sent)
        with contextlib.suppress(ConnectionResetError):  # closed before everything was read
            assert await asyncio.wait_for(client.reader.read(), 10) == b""
        client.writer.close()

        await relay.counts('replyco_smtp_sessions_total{reason="proxy_header_wrong"} 1.0')


@pytest.mark.parametrize("networks", [(), (ip_network("10.0.0.0/8"), ip_network("::/0"))])
async def test_nobody_else_can_choose_an_address(
    database: Database, keys: Keys, networks: tuple[object, ...]
):
    async with running_relay(database, keys, proxy_protocol_from=networks) as relay:
        client = await open_client(relay.smtp_port)
        client.send(header(0x21, 0x11, IPV4) + b"\r\nQUIT\r\n")
        replies = (await client.reader.read()).decode().splitlines()
        client.writer.close()

    # The signature is made so that a server that does not know it sees wrong commands and QUIT.
    assert [reply[:3] for reply in replies] == ["220", "500", "500", "500", "221"]
    assert await stored_mails(database, keys) == []
