"""Small limits on real sockets: who goes too far is told so, and nobody else notices."""

import asyncio
import socket
import struct
import time

import asyncpg
import httpx2
import pytest

from deploy.demo.postgres import OWNER
from shared.database import Sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.integration.mailrelay.accepting import (
    DOMAIN,
    Client,
    Relay,
    connect,
    running_relay,
    stored_mails,
)
from tests.no_tls import NO_AUTHORITIES

ADDRESS = f"mabtekrud@{DOMAIN}"
UNKNOWN = "RCPT TO:<nobodyatall@" + DOMAIN + ">"
DELAY = 0.2


@pytest.fixture(autouse=True)
async def address(database: Database, sessions: Sessions, keyring: Keyring) -> None:
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        await make_relay_address(session, await make_integration(session, account.id), local_part="mabtekrud")


async def bites(relay: Relay, limit: str) -> float:
    """How often a limit bit, as the metrics say."""
    async with httpx2.AsyncClient(
        verify=NO_AUTHORITIES, base_url=f"http://127.0.0.1:{relay.side_port}"
    ) as side:
        figures = (await side.get("/metrics")).text
    name = f'replyco_smtp_limits_total{{limit="{limit}"}} '
    return sum(float(line.removeprefix(name)) for line in figures.splitlines() if line.startswith(name))


async def first_words(relay: Relay) -> str:
    """What a new client hears first."""
    client = Client(*await asyncio.open_connection("127.0.0.1", relay.smtp_port))
    words = await client.reply()
    client.writer.close()
    return words


async def timed(client: Client, line: str) -> tuple[str, float]:
    began = time.monotonic()
    return await client.say(line), time.monotonic() - began


async def test_one_network_gets_so_many_connections(database: Database, keys: Keys):
    async with running_relay(database, keys, network_connection_limit=2) as relay:
        async with relay.client() as first, relay.client():
            assert (await first_words(relay)).startswith("421 4.7.0 too many connections")
            await first.say("QUIT")
            assert await first.reader.read() == b""
            assert (await first_words(relay)).startswith("220 ")
        assert await bites(relay, "network_connections") == 1


async def test_a_trusted_network_has_no_limit_of_its_own(database: Database, keys: Keys):
    async with (
        running_relay(
            database,
            keys,
            trusted_networks="127.0.0.0/8",
            network_connection_limit=1,
            unknown_recipient_delay_from=1,
            unknown_recipient_limit=1,
        ) as relay,
        relay.client(),
        relay.client() as second,
    ):
        await second.say("EHLO amazon.example")
        await second.say("MAIL FROM:<>")
        for _ in range(5):
            assert await second.say(UNKNOWN) == "550 5.1.1 no such address here"
        assert (await second.say("NOOP")).startswith("250")


async def test_too_many_commands_without_a_mail_end_the_session(database: Database, keys: Keys):
    async with (
        running_relay(database, keys, command_limit=100) as relay,
        relay.client() as delivering,
        relay.client() as idling,
    ):
        for _ in range(40):
            assert (await delivering.deliver(ADDRESS, b"text")).startswith("250 ")
        idling.send(b"NOOP\r\n" * 150)
        replies = [reply.rpartition(b" ")[0] for reply in (await idling.reader.read()).splitlines()]

        assert replies == [b"250 2.0.0 OK"] * 100 + [b"421 4.7.0 too many commands without a mail, closing"]


async def test_errors_are_delayed_and_then_end_the_session(database: Database, keys: Keys):
    limits = {"error_delay_from": 2, "error_limit": 3, "delay_seconds": DELAY}
    async with running_relay(database, keys, **limits) as relay, relay.client() as client:
        quick = [await client.say("BLAH") for _ in range(2)]
        assert await bites(relay, "errors_delayed") == 0
        slow = [await timed(client, "BLAH") for _ in range(2)]

        assert all(reply.startswith("500 5.5.1") for reply in [*quick, *(reply for reply, _ in slow)])
        assert min(seconds for _, seconds in slow) >= DELAY
        assert (await client.reply()).startswith("421 4.7.0 too many errors")
        assert (await bites(relay, "errors_delayed"), await bites(relay, "errors")) == (2, 1)


async def test_a_harvester_is_braked_and_known_mail_of_its_network_is_not(database: Database, keys: Keys):
    limits = {
        "unknown_recipient_delay_from": 2,
        "unknown_recipient_limit": 3,
        "delay_seconds": DELAY,
    }
    async with running_relay(database, keys, **limits) as relay:
        async with relay.client() as harvester:
            await harvester.say("EHLO harvester.example")
            await harvester.say("MAIL FROM:<>")
            quick = [await harvester.say(UNKNOWN) for _ in range(2)]
            assert await bites(relay, "harvest_delayed") == 0
            slow = [await timed(harvester, UNKNOWN) for _ in range(2)]
            assert [reply[:9] for reply in [*quick, *(reply for reply, _ in slow)]] == ["550 5.1.1"] * 4
            assert min(seconds for _, seconds in slow) >= DELAY
            assert (await harvester.reply()).startswith("421 4.7.0 too many unknown recipients")
        async with relay.client() as honest:
            assert (await honest.deliver(ADDRESS, b"known")).startswith("250 ")
            assert await bites(relay, "harvest_delayed") == 2
            # One unknown address beside a known one costs time, but not the mail.
            await honest.say("MAIL FROM:<>")
            await honest.say(f"RCPT TO:<{ADDRESS}>")
            assert (await honest.say(UNKNOWN)).startswith("550 5.1.1")
            assert (await honest.say("DATA")).startswith("354")
            honest.send(b"known, too\r\n.\r\n")
            assert (await honest.reply()).startswith("250 ")
        assert await bites(relay, "harvest") == 1
    assert await stored_mails(database, keys) == [b"known\r\n", b"known, too\r\n"]


async def test_who_is_within_the_limits_is_answered_before_who_is_not(database: Database, keys: Keys):
    limits = {
        "error_delay_from": 2,
        "unknown_recipient_delay_from": 2,
        "unknown_recipient_limit": 3,
        "delay_seconds": 30,
    }
    async with (
        running_relay(database, keys, shutdown_seconds=0.1, **limits) as relay,
        relay.client() as harvester,
        relay.client() as honest,
    ):
        await harvester.say("EHLO harvester.example")
        await harvester.say("MAIL FROM:<>")
        for _ in range(2):
            await harvester.say(UNKNOWN)
        delayed = asyncio.create_task(harvester.say(UNKNOWN))
        await relay.counts('replyco_smtp_limits_total{limit="harvest_delayed"} 1.0')

        for _ in range(2):
            assert (await honest.say("BLAH")).startswith("500 5.5.1")
        assert (await honest.deliver(ADDRESS, b"known")).startswith("250 ")
        assert not delayed.done()
        delayed.cancel()


async def test_a_mail_below_the_data_rate_is_broken_off(database: Database, keys: Keys):
    async with (
        running_relay(database, keys, data_grace_seconds=0.3, data_rate_floor_bytes=1000) as relay,
        relay.client() as client,
    ):
        await client.begin(ADDRESS)
        reply = asyncio.create_task(client.reply())
        began = time.monotonic()
        while not reply.done():
            client.send(b"x")
            await asyncio.wait([reply], timeout=0.05)

        assert reply.result() == "421 4.4.2 mail arrives too slowly, closing"
        assert time.monotonic() - began < 60
        assert await bites(relay, "data_rate") == 1


async def test_a_mail_above_the_data_rate_is_not(database: Database, keys: Keys):
    async with (
        running_relay(database, keys, data_grace_seconds=0.1, data_rate_floor_bytes=100) as relay,
        relay.client() as client,
    ):
        for line in (
            "EHLO sender.example",
            "MAIL FROM:<buyer@marketplace.amazon.de>",
            f"RCPT TO:<{ADDRESS}>",
        ):
            assert (await client.say(line)).startswith("250")
        # So much comes with the command that it buys a minute, whichever of the two the system lets wait from here on.
        client.send(b"DATA\r\n" + (b"x" * 98 + b"\r\n") * 60)
        assert (await client.reply()).startswith("354")
        for _ in range(5):
            await asyncio.sleep(0.05)
            client.send(b"x" * 98 + b"\r\n")
        client.send(b".\r\n")

        assert (await client.reply()).startswith("250 ")


async def test_a_mail_for_which_there_is_no_memory_is_452_at_data(database: Database, keys: Keys):
    async with (
        running_relay(database, keys, memory_budget_bytes=3_000_000) as relay,
        relay.client() as first,
        relay.client() as second,
    ):
        await first.say("EHLO sender.example")
        await first.say("MAIL FROM:<> SIZE=1000000")
        await first.say(f"RCPT TO:<{ADDRESS}>")
        assert (await first.say("DATA")).startswith("354")
        await second.say("EHLO sender.example")
        await second.say("MAIL FROM:<> SIZE=1000")
        await second.say(f"RCPT TO:<{ADDRESS}>")
        assert (await second.say("DATA")).startswith("452 4.3.1")
        first.send(b"first\r\n.\r\n")
        assert (await first.reply()).startswith("250 ")
        # It tries again in the same session, and now there is room.
        assert (await second.say("DATA")).startswith("354")
        second.send(b"second\r\n.\r\n")
        assert (await second.reply()).startswith("250 ")
        assert await bites(relay, "memory") == 1
    assert await stored_mails(database, keys) == [b"first\r\n", b"second\r\n"]


async def test_a_mail_that_outgrows_the_memory_is_452_at_its_end(database: Database, keys: Keys):
    async with (
        running_relay(database, keys, memory_budget_bytes=6_000_000) as relay,
        relay.client() as first,
        relay.client() as second,
    ):
        await first.begin(ADDRESS)
        await second.begin(ADDRESS)
        second.send(b"s" * 3_000_000 + b"\r\n.\r\n")
        assert (await second.reply()).startswith("452 4.3.1")
        first.send(b"first\r\n.\r\n")
        assert (await first.reply()).startswith("250 ")
        assert (await second.deliver(ADDRESS, b"second")).startswith("250 ")
    assert await stored_mails(database, keys) == [b"first\r\n", b"second\r\n"]


async def test_every_connection_leaves_its_place(database: Database, keys: Keys):
    async with running_relay(database, keys, connection_limit=3, network_connection_limit=3) as relay:
        for _ in range(10):
            clients = [await connect(relay.smtp_port) for _ in range(3)]
            assert (await first_words(relay)).startswith("421 4.7.0")
            for client in clients:
                client.send(b"QUIT\r\n")
                assert (await client.reader.read()).startswith(b"221 ")
                client.writer.close()
        assert await bites(relay, "network_connections") == 10


async def test_silent_connections_make_way_for_one_that_brings_mail(database: Database, keys: Keys):
    async with (
        running_relay(database, keys, connection_limit=4, network_connection_limit=100) as relay,
        relay.client() as useful,
    ):
        assert (await useful.deliver(ADDRESS, b"first")).startswith("250 ")
        silent = [await connect(relay.smtp_port) for _ in range(3)]

        async with relay.client() as newcomer:
            assert (await newcomer.deliver(ADDRESS, b"second")).startswith("250 ")
            assert (await silent[0].reply()).startswith("421 4.7.0 too many connections")
            assert (await useful.say("NOOP")).startswith("250 ")
        assert await bites(relay, "made_way") == 1
        for client in silent:
            client.writer.close()


async def test_clients_that_read_nothing_make_way_at_once(database: Database, keys: Keys):
    async with running_relay(database, keys, connection_limit=2, network_connection_limit=100) as relay:
        deaf = [await connect(relay.smtp_port) for _ in range(2)]
        for client in deaf:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a socket's
            client.send(b"HELP\r\n" * 5000)
        for _ in range(5):
            async with relay.client() as newcomer:
                assert (await newcomer.deliver(ADDRESS, b"a mail")).startswith("250 ")
        for client in deaf:
            client.writer.close()


async def test_an_address_that_has_had_its_mail_of_the_hour_takes_more_later(database: Database, keys: Keys):
    async with running_relay(database, keys, address_mails_per_hour=4) as relay, relay.client() as client:
        for text in (b"first", b"second"):
            assert (await client.deliver(ADDRESS, text)).startswith("250 ")

        # One network may send half of them.
        await client.say("MAIL FROM:<>")
        refused = "452 4.2.1 too much mail within an hour, try again later"
        assert await client.say(f"RCPT TO:<{ADDRESS}>") == refused
        assert await client.say("DATA") == refused
        assert await client.say("NOOP") == "250 2.0.0 OK"
        assert await bites(relay, "address_rate") == 1
    assert await stored_mails(database, keys) == [b"first\r\n", b"second\r\n"]


async def test_a_mail_counts_although_its_sender_does_not_wait_for_the_reply(database: Database, keys: Keys):
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    async with running_relay(database, keys, address_mails_per_hour=2) as relay:
        async with owner.transaction(), relay.client() as hasty:
            await owner.execute("LOCK TABLE accepted_mail")  # the row waits here
            await hasty.begin(ADDRESS)
            hasty.send(b"a mail\r\n.\r\n")
            while not await owner.fetchval(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'accepted_mail'::regclass"
            ):
                pass
            # Not closed but reset: a sender that has only finished sending is still answered.
            connection = hasty.writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            hasty.writer.transport.abort()
            await relay.counts("replyco_smtp_sessions_open 0.0")

        async with relay.client() as client:
            await client.say("HELO client.example")
            await client.say("MAIL FROM:<>")
            assert (await client.say(f"RCPT TO:<{ADDRESS}>")).startswith("452 4.2.1")
    await owner.close()
    assert await stored_mails(database, keys) == [b"a mail\r\n"]


async def test_a_network_that_has_sent_its_bytes_of_the_hour_sends_more_later(database: Database, keys: Keys):
    async with (
        running_relay(database, keys, network_bytes_per_hour=1_048_576) as relay,
        relay.client() as client,
    ):
        assert (await client.deliver(ADDRESS, b"x" * 2_000_000)).startswith("250 ")
        await client.say("MAIL FROM:<>")
        assert (await client.say(f"RCPT TO:<{ADDRESS}>")).startswith("452 4.2.1")
        assert await bites(relay, "network_rate") == 1


async def test_mail_goes_into_the_lane_of_its_sender_or_of_its_network(database: Database, keys: Keys):
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))

    async def deliver(sender: str) -> str:
        async with relay.client() as client:
            await client.begin(ADDRESS, sender=sender)
            client.send(b"a mail\r\n.\r\n")
            assert (await client.reply()).startswith("250 ")
        return str(await owner.fetchval("SELECT lane FROM accepted_mail ORDER BY id DESC LIMIT 1"))

    async with running_relay(database, keys) as relay:
        assert await deliver("bounce@amazon.de") == "quick"
        assert await deliver("someone@shop.example") == "other"
    await owner.execute("INSERT INTO proven_networks VALUES ('127.0.0.1/32')")
    async with running_relay(database, keys) as relay:
        while await deliver("someone@shop.example") != "quick":  # it reads them when it starts
            pass
    await owner.close()
