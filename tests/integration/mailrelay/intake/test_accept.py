"""SMTP dialogues on a socket, with a real database behind."""

import asyncio
import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

from deploy.demo.postgres import OWNER, RELAY
from shared.database import Sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.integration.mailrelay.accepting import DOMAIN, Relay, opened, running_relay, stored_mails

ADDRESS = f"mabtekrud@{DOMAIN}"
MAIL = b"From: buyer@marketplace.amazon.de\r\nSubject: Lamp\r\n\r\nWhere is it?"


@pytest.fixture
async def address(sessions: Sessions, keyring: Keyring) -> str:
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        integration = await make_integration(session, account.id)
        await make_relay_address(session, integration, local_part="mabtekrud")
    return ADDRESS


@pytest.fixture
async def relay(database: Database, keys: Keys, address: str) -> AsyncIterator[Relay]:
    async with running_relay(database, keys) as running:
        yield running


async def test_an_accepted_mail_is_stored_byte_for_byte(relay: Relay, database: Database, keys: Keys):
    async with relay.client() as client:
        reply = await client.deliver(ADDRESS, MAIL)

    assert reply.startswith("250 2.0.0 accepted as ")
    assert await stored_mails(database, keys) == [MAIL + b"\r\n"]


async def test_the_envelope_is_kept_sealed(relay: Relay, database: Database, keys: Keys):
    async with relay.client() as client:
        await client.deliver(ADDRESS, MAIL)

    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    row = await connection.fetchrow("SELECT * FROM accepted_mail")
    await connection.close()
    assert row is not None
    assert json.loads(opened(row, keys, "envelope")) == {
        "mail_from": "buyer@marketplace.amazon.de",
        "rcpt_to": ADDRESS,
        "helo": "sender.example",
        "options": [],
    }
    assert (str(row["peer_address"]), row["size"], row["tls_version"]) == (
        "127.0.0.1",
        len(MAIL) + 2,
        None,
    )


async def test_the_workers_are_told(relay: Relay, database: Database):
    told: asyncio.Queue[str] = asyncio.Queue()
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await connection.add_listener("replyco_accepted_mail", lambda *_arguments: told.put_nowait("told"))

    async with relay.client() as client:
        await client.deliver(ADDRESS, MAIL)

    assert await asyncio.wait_for(told.get(), 60) == "told"
    await connection.close()


@pytest.mark.parametrize(
    "recipient",
    [f"nobody12x@{DOMAIN}", "mabtekrud@elsewhere.example", "postmaster", "mäbtekrud@replyco.email"],
)
async def test_an_unknown_address_is_refused_before_any_data(relay: Relay, recipient: str):
    async with relay.client() as client:
        await client.say("EHLO sender.example")
        await client.say("MAIL FROM:<buyer@sender.example> SMTPUTF8")

        assert await client.say(f"RCPT TO:<{recipient}>") == "550 5.1.1 no such address here"
        assert await client.say("DATA") == "554 5.5.1 no valid recipients"
        assert (await client.say("QUIT")).startswith("221")


@pytest.mark.parametrize(
    "spelling", ["MabTekRud@Replyco.Email", "mabtekrud+x@replyco.email", "mabtekrud@replyco.email."]
)
async def test_an_address_is_known_in_every_spelling(relay: Relay, spelling: str):
    async with relay.client() as client:
        assert (await client.deliver(spelling, MAIL)).startswith("250 ")


@pytest.mark.parametrize("recipient", ["Postmaster", f"postmaster@{DOMAIN}", f"abuse@{DOMAIN}"])
async def test_whoever_runs_the_domain_can_be_reached(
    database: Database, keys: Keys, address: str, recipient: str
):
    async with running_relay(database, keys) as relay, relay.client() as client:
        await client.say("EHLO sender.example")
        await client.say("MAIL FROM:<>")
        assert (await client.say(f"RCPT TO:<{recipient}>")).startswith("550 5.1.1")
    async with (
        running_relay(database, keys, postmaster_local_part=address.partition("@")[0]) as relay,
        relay.client() as client,
    ):
        assert (await client.deliver(recipient, MAIL)).startswith("250 ")
    assert await stored_mails(database, keys) == [MAIL + b"\r\n"]


async def test_the_null_sender_is_accepted(relay: Relay, database: Database, keys: Keys):
    async with relay.client() as client:
        await client.begin(ADDRESS, sender="")
        client.send(MAIL + b"\r\n.\r\n")

        assert (await client.reply()).startswith("250 ")


async def test_a_second_mail_in_the_same_session_is_accepted(relay: Relay, database: Database, keys: Keys):
    async with relay.client() as client:
        await client.deliver(ADDRESS, b"first")
        await client.deliver(ADDRESS, b"second")

    assert await stored_mails(database, keys) == [b"first\r\n", b"second\r\n"]


async def test_every_recipient_gets_a_copy_and_one_named_twice_gets_one(
    relay: Relay, database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        integration = await make_integration(session, account.id)
        await make_relay_address(session, integration, local_part="secondone")

    async with relay.client() as client:
        await client.begin(ADDRESS, f"secondone@{DOMAIN}", ADDRESS.upper())
        client.send(MAIL + b"\r\n.\r\n")
        await client.reply()

    assert await stored_mails(database, keys) == [MAIL + b"\r\n"] * 2


async def test_an_address_works_as_soon_as_it_exists(relay: Relay, sessions: Sessions, keyring: Keyring):
    async with relay.client() as client:
        await client.say("EHLO sender.example")
        await client.say("MAIL FROM:<>")
        assert (await client.say(f"RCPT TO:<brandnewx@{DOMAIN}>")).startswith("550")
        async with sessions.begin() as session:
            account = await make_account(session, keyring)
            await make_relay_address(
                session, await make_integration(session, account.id), local_part="brandnewx"
            )

        assert (await client.say(f"RCPT TO:<brandnewx@{DOMAIN}>")).startswith("250")


async def test_a_retired_address_is_forgotten(relay: Relay, database: Database):
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    async with relay.client() as client:
        await client.deliver(ADDRESS, MAIL)
        await connection.execute(
            "UPDATE relay_addresses SET retired_at = now();"
            " SELECT pg_notify('replyco_relay_addresses', CAST(id AS text)) FROM relay_addresses"
        )

        async def is_refused() -> bool:
            await client.say("RSET")
            await client.say("MAIL FROM:<>")
            return (await client.say(f"RCPT TO:<{ADDRESS}>")).startswith("550 5.1.1")

        async with asyncio.timeout(20):
            while not await is_refused():
                pass
    await connection.close()


async def test_a_forged_notification_costs_a_look_up_and_no_mail(relay: Relay, database: Database):
    """Whoever may connect may notify: of addresses that are as they were, of none, of any number."""
    connection = await asyncpg.connect(asyncpg_dsn(database.url(RELAY)))
    notify = "SELECT pg_notify('replyco_relay_addresses', {}) FROM {}"
    async with relay.client() as client:
        for forged, of in (
            ("CAST(id AS text)", "relay_addresses"),
            ("repeat('x', 7999)", "relay_addresses"),
            ("CAST(uuidv7() AS text)", "generate_series(1, 3000)"),
        ):
            assert (await client.deliver(ADDRESS, MAIL)).startswith("250 2.0.0")
            await connection.execute(notify.format(forged, of))

        assert (await client.deliver(ADDRESS, MAIL)).startswith("250 2.0.0")
    await connection.close()


async def test_250_comes_only_after_the_commit(relay: Relay, database: Database, keys: Keys):
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    async with relay.client() as client:
        await client.begin(ADDRESS)
        async with connection.transaction():
            await connection.execute("LOCK TABLE accepted_mail IN SHARE MODE")
            client.send(MAIL + b"\r\n.\r\n")
            reply = asyncio.create_task(client.reply())
            await asyncio.wait([reply], timeout=0.5)
            assert not reply.done()
            assert await stored_mails(database, keys) == []

        assert (await reply).startswith("250 2.0.0")
    assert await stored_mails(database, keys) == [MAIL + b"\r\n"]
    await connection.close()


async def test_a_commit_that_takes_too_long_is_451(database: Database, keys: Keys, address: str):
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    async with running_relay(database, keys, commit_timeout_seconds=2) as relay, relay.client() as client:
        async with connection.transaction():
            await connection.execute("LOCK TABLE accepted_mail IN SHARE MODE")
            assert (await client.deliver(address, MAIL)).startswith("451 4.3.0")

        assert (await client.deliver(address, MAIL)).startswith("250 2.0.0")
    assert await stored_mails(database, keys) == [MAIL + b"\r\n"]
    await connection.close()


async def test_more_than_may_wait_is_452(database: Database, keys: Keys, address: str):
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    large = b"x" * 700_000
    async with (
        running_relay(database, keys, journal_queue_bytes=1_048_576, inline_limit_bytes=1_048_576) as relay,
        relay.client() as first,
        relay.client() as second,
    ):
        async with connection.transaction():
            await connection.execute("LOCK TABLE accepted_mail IN SHARE MODE")
            waiting = asyncio.create_task(first.deliver(address, large))
            async with asyncio.timeout(60):
                while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                    pass
            assert (await second.deliver(address, large)).startswith("452 4.3.1")

        assert (await waiting).startswith("250 ")
        assert (await second.deliver(address, large)).startswith("250 ")
    await connection.close()


async def test_a_large_mail_is_stored_byte_for_byte(relay: Relay, database: Database, keys: Keys):
    line = b"0123456789" * 7 + b"\r\n"
    mail = (line * 100 + b".dotted\r\n") * 700
    assert len(mail) > 5_000_000

    async with relay.client() as client:
        reply = await client.deliver(ADDRESS, mail.replace(b"\r\n.", b"\r\n..").removesuffix(b"\r\n"))

    assert reply.startswith("250 ")
    assert await stored_mails(database, keys) == [mail]


async def test_a_mail_that_the_database_refuses_harms_no_other(relay: Relay, database: Database, keys: Keys):
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await connection.execute("ALTER TABLE accepted_mail ADD CONSTRAINT only_short CHECK (size < 1000)")

    async def deliver(mail: bytes) -> str:
        async with relay.client() as client:
            return await client.deliver(ADDRESS, mail)

    replies = await asyncio.gather(*(deliver(b"x" * (5000 if n == 7 else 10 + n)) for n in range(20)))

    assert [reply[:3] for reply in replies] == ["451" if n == 7 else "250" for n in range(20)]
    assert len(await stored_mails(database, keys)) == 19
    await connection.close()


async def test_a_database_that_breaks_its_connections_is_met_again(
    relay: Relay, database: Database, keys: Keys
):
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    async with relay.client() as client:
        await client.deliver(ADDRESS, b"before")
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND datname = current_database()",
            RELAY,
        )

        async def outcome() -> str:
            await client.say("RSET")
            await client.say("MAIL FROM:<>")
            recipient = await client.say(f"RCPT TO:<{ADDRESS}>")
            if not recipient.startswith("250"):
                return recipient
            await client.say("DATA")
            client.send(b"after\r\n.\r\n")
            return await client.reply()

        async with asyncio.timeout(20):
            while not (reply := await outcome()).startswith("250"):
                assert reply.startswith("451 4.3.0")
    assert await stored_mails(database, keys) == [b"before\r\n", b"after\r\n"]
    await connection.close()


async def test_the_side_port_tells_health_and_figures(relay: Relay):
    async def get(path: str) -> tuple[str, str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.side_port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        return head.split()[1], body

    async with relay.client() as client:
        await client.deliver(ADDRESS, MAIL)

    assert await get("/livez") == ("200", "ok\n")
    assert await get("/readyz") == ("200", "ready\n")
    assert "replyco_smtp_mails_accepted_total 1.0" in (await get("/metrics"))[1]
    assert (await get("/other"))[0] == "404"
