"""What only somebody who means harm sends: huge, endless, or for somebody else. The reply to each, and that others go on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

import pytest

from shared.database import Sessions
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.integration.mailrelay.accepting import DOMAIN, Client, Relay, running_relay, stored_mails

ADDRESS = f"mabtekrud@{DOMAIN}"
MEGABYTE = 1024 * 1024


@pytest.fixture(autouse=True)
async def address(sessions: Sessions, keyring: Keyring) -> None:
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        await make_relay_address(session, await make_integration(session, account.id), local_part="mabtekrud")


@pytest.fixture
async def relay(database: Database, keys: Keys) -> AsyncIterator[Relay]:
    """With every limit as it is out of the box, but nobody waits."""
    async with running_relay(database, keys, delay_seconds=0) as running:
        yield running


async def send_all(client: Client, pieces: Iterable[bytes]) -> None:
    """Until the server has had enough."""
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            client.send(piece)
            await client.writer.drain()


async def read_all(client: Client) -> bytes | None:
    """To the end; None after a reset."""
    try:
        return await client.reader.read()
    except ConnectionError:
        return None


@pytest.mark.parametrize(
    "path",
    [
        f"<victim%elsewhere.example@{DOMAIN}>",
        f"<mabtekrud%{DOMAIN}@elsewhere.example>",
        f"<elsewhere.example!victim@{DOMAIN}>",
        f"<{DOMAIN}!mabtekrud>",
        f"<@{DOMAIN}:victim@elsewhere.example>",
        f"<@{DOMAIN},@elsewhere.example:victim@elsewhere.example>",
        "<victim@elsewhere.example>",
        f"<mabtekrud@sub.{DOMAIN}>",
        f"<mabtekrud@{DOMAIN}.elsewhere.example>",
        f"<mabtekrud@not-{DOMAIN}>",
        "<mabtekrud@[127.0.0.1]>",
        "<mabtekrud@[IPv6:::1]>",
        "<mabtekrud@localhost>",
        "<mabtekrud>",
        f'<"victim@elsewhere.example"@{DOMAIN}>',
        f'<"mabtekrud"@{DOMAIN}>',
        f"<mabtekrud@elsewhere.example@{DOMAIN}>",
        f"<mabtekrud@{DOMAIN}@elsewhere.example>",
    ],
)
async def test_nothing_is_passed_on(relay: Relay, path: str):
    async with relay.client() as client:
        await client.say("EHLO sender.example")
        await client.say("MAIL FROM:<buyer@sender.example>")

        assert (await client.say(f"RCPT TO:{path}")).startswith("550 5.1.1 no such address here")
        assert (await client.say("DATA")).startswith("554 5.5.1 no valid recipients")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"<@a.example,@b.example:{ADDRESS}>", "250 2.1.5"),
        (ADDRESS, "250 2.1.5"),
        (f" <{ADDRESS}>", "250 2.1.5"),
        (f"<MabTekRud+de+fr@{DOMAIN.upper()}.>", "250 2.1.5"),
        (f"<mab tekrud@{DOMAIN}>", "501 5.5.4"),
        (f'<"mab tekrud"@{DOMAIN}>', "550 5.1.1"),
        (f'<"mabtekrud@{DOMAIN}>', "501 5.5.4"),
        (f"<{ADDRESS}", "501 5.5.4"),
        (f"<<{ADDRESS}>>", "501 5.5.4"),
        (f"<{ADDRESS}> NOTIFY=NEVER", "555 5.5.4"),
        (f"<{'x' * (319 - len(DOMAIN))}@{DOMAIN}>", "550 5.1.1"),
        (f"<mabtekrud@{'x' * 310}>", "550 5.1.1"),
        ("<@>", "550 5.1.1"),
        ("<>", "501 5.5.4"),
    ],
)
async def test_each_way_to_write_a_recipient_has_its_reply(relay: Relay, path: str, expected: str):
    async with relay.client() as client:
        await client.say("EHLO sender.example")
        await client.say("MAIL FROM:<>")

        assert (await client.say(f"RCPT TO:{path}")).startswith(expected)
        assert (await client.say("NOOP")).startswith("250 ")


@pytest.mark.parametrize(
    "path",
    [
        "<@a.example,@b.example:buyer@c.example>",
        '<"a b \\" c"@c.example>',
        f"<{'x' * 300}@c.example>",
        "<buyer@[192.0.2.1]>",
        "<buyer%c.example@d.example>",
        "<MAILER-DAEMON>",
        "buyer@c.example",
    ],
)
async def test_an_odd_sender_is_no_reason_to_refuse_a_mail(relay: Relay, path: str):
    async with relay.client() as client:
        await client.say("EHLO sender.example")

        assert (await client.say(f"MAIL FROM:{path}")).startswith("250 2.1.0")


@pytest.mark.parametrize("command", ["XCLIENT ADDR=192.0.2.1", "XFORWARD ADDR=192.0.2.1", "XEXCH50 1 2"])
async def test_nobody_says_who_he_is_but_his_address(relay: Relay, command: str):
    async with relay.client() as client:
        offers = await client.say("EHLO sender.example")

        assert command.partition(" ")[0] not in offers
        assert (await client.say(command)).startswith("500 5.5.1")


@pytest.mark.parametrize(
    ("recipient", "expected", "limit"),
    [
        (f"nobody12x@{DOMAIN}", b"421 4.7.0 too many unknown recipients, try again later", "harvest"),
        (ADDRESS, b"421 4.7.0 too many commands without a mail, closing", "commands"),
    ],
)
async def test_a_hundred_thousand_recipients_end_the_session(
    relay: Relay, recipient: str, expected: bytes, limit: str
):
    recipients = f"RCPT TO:<{recipient}>\r\n".encode() * 1000
    async with relay.client() as client:
        client.send(b"EHLO sender.example\r\nMAIL FROM:<>\r\n")
        async with asyncio.timeout(30):
            _, replies = await asyncio.gather(
                send_all(client, (recipients for _ in range(100))), read_all(client)
            )

        # So much was sent in vain that a reset may come in place of the last reply.
        assert replies is None or expected in replies
        await relay.counts(f'replyco_smtp_limits_total{{limit="{limit}"}} 1.0')
        await relay.counts("replyco_smtp_sessions_open 0.0")


async def test_sixty_megabytes_that_were_announced_are_552_at_mail(relay: Relay):
    async with relay.client() as client:
        await client.say("EHLO sender.example")

        assert (await client.say(f"MAIL FROM:<> SIZE={60 * MEGABYTE}")).startswith("552 5.3.4")
        assert (await client.deliver(ADDRESS, b"small")).startswith("250 ")


async def test_sixty_megabytes_that_were_not_are_552_at_the_end(relay: Relay, database: Database, keys: Keys):
    line = b"x" * 78 + b"\r\n"
    megabyte = line * (MEGABYTE // len(line))
    async with relay.client() as client:
        await client.begin(ADDRESS)
        await send_all(client, (megabyte for _ in range(60)))
        client.send(b".\r\n")

        assert (await client.reply()).startswith("552 5.3.4")
        assert (await client.deliver(ADDRESS, b"small")).startswith("250 ")
    assert await stored_mails(database, keys) == [b"small\r\n"]


async def test_a_thousand_connections_from_one_address(relay: Relay):
    """`make soak ONLY=one-address` has five thousand."""

    async def knock() -> Client | None:
        client = Client(*await asyncio.open_connection("127.0.0.1", relay.smtp_port))
        words = await client.reply()
        if words.startswith("220 "):
            return client
        assert words.startswith("421 4.7.0 too many connections, try again later")
        assert await client.reader.read() == b""
        client.writer.close()
        return None

    let_in: list[Client] = []
    for _ in range(10):
        let_in += [client for client in await asyncio.gather(*(knock() for _ in range(100))) if client]

    assert len(let_in) == 100
    assert (await let_in[0].deliver(ADDRESS, b"one of them")).startswith("250 ")
    for client in let_in:
        client.writer.close()
    await relay.counts('replyco_smtp_limits_total{limit="network_connections"} 900.0')


async def test_a_command_of_ten_megabytes_is_500_once(relay: Relay):
    async with relay.client() as client:
        await send_all(client, (b"N" * MEGABYTE for _ in range(10)))

        assert (await client.say("")).startswith("500 5.5.2")
        assert (await client.say("NOOP")).startswith("250 ")


async def test_a_line_of_ten_megabytes_in_a_mail_is_kept_as_it_is(
    relay: Relay, database: Database, keys: Keys
):
    mail = b"Subject: long\r\n\r\n" + b"x" * 10 * MEGABYTE
    async with relay.client() as client:
        assert (await client.deliver(ADDRESS, mail)).startswith("250 ")

    assert await stored_mails(database, keys) == [mail + b"\r\n"]
