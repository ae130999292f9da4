"""STARTTLS, and what a man in the middle may try with it."""

import asyncio
import math
import smtplib
import ssl
import warnings
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiosmtplib
import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from deploy.demo.postgres import OWNER
from services.mailrelay.metrics import RelayMetrics
from services.mailrelay.smtp.starttls import Certificate, CertificateUnusable
from shared.database import Sessions
from shared.driver import asyncpg_dsn
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
from tests.integration.mailrelay.certificates import CertificateFiles, serial_number_of

ADDRESS = f"mabtekrud@{DOMAIN}"
SENDER = "buyer@marketplace.amazon.de"
MAIL = b"Subject: Lamp\r\n\r\nWhere is it?\r\n"


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    return CertificateFiles(tmp_path)


@pytest.fixture
async def address(sessions: Sessions, keyring: Keyring) -> str:
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        await make_relay_address(session, await make_integration(session, account.id), local_part="mabtekrud")
    return ADDRESS


@pytest.fixture
async def relay(
    database: Database, keys: Keys, address: str, files: CertificateFiles
) -> AsyncIterator[Relay]:
    async with running_relay(database, keys, **files.settings) as running:
        yield running


async def _tls_versions(database: Database) -> list[str | None]:
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    rows = await connection.fetch("SELECT tls_version FROM accepted_mail ORDER BY id")
    await connection.close()
    return [row["tls_version"] for row in rows]


async def test_starttls_is_offered_until_it_is_done(relay: Relay, files: CertificateFiles):
    async with relay.client() as client:
        assert "STARTTLS" in await client.say("EHLO sender.example")
        assert (await client.say("STARTTLS now")).startswith("501 5.5.4")
        await client.encrypt(files.client_context())

        assert "STARTTLS" not in await client.say("EHLO sender.example")
        assert (await client.say("STARTTLS")).startswith("503 5.5.1")
        assert (await client.say("QUIT")).startswith("221")
        assert await client.reader.read() == b""
    await relay.counts("replyco_smtp_sessions_open 0.0")


async def test_a_mail_says_how_it_was_encrypted(relay: Relay, database: Database, files: CertificateFiles):
    context = files.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with relay.client() as plain, relay.client() as older, relay.client() as newer:
        await older.encrypt(context)
        await newer.encrypt(files.client_context())
        for client in (plain, older, newer):
            assert (await client.deliver(ADDRESS, MAIL)).startswith("250 ")

    assert await _tls_versions(database) == [None, "TLSv1.2", "TLSv1.3"]


async def test_smtplib_delivers(relay: Relay, database: Database, keys: Keys, files: CertificateFiles):
    def deliver() -> None:
        with smtplib.SMTP("127.0.0.1", relay.smtp_port, timeout=20) as client:
            client.starttls(context=files.client_context())
            client.sendmail(SENDER, [ADDRESS], MAIL)

    await asyncio.to_thread(deliver)

    assert await stored_mails(database, keys) == [MAIL]


async def test_aiosmtplib_delivers_a_large_mail(
    relay: Relay, database: Database, keys: Keys, files: CertificateFiles
):
    large = MAIL + b"0123456789abcdef" * 4 * 50_000 + b"\r\n"
    await aiosmtplib.send(
        large,
        sender=SENDER,
        recipients=[ADDRESS],
        hostname="127.0.0.1",
        port=relay.smtp_port,
        start_tls=True,
        tls_context=files.client_context(),
    )

    assert await stored_mails(database, keys) == [large]
    assert await _tls_versions(database) == ["TLSv1.3"]


async def test_what_was_said_before_the_handshake_does_not_count(relay: Relay, files: CertificateFiles):
    async with relay.client() as client:
        await client.say("EHLO sender.example")
        await client.say(f"MAIL FROM:<{SENDER}>")
        await client.encrypt(files.client_context())

        assert await client.say(f"MAIL FROM:<{SENDER}>") == "503 5.5.1 say EHLO first"
        await client.say("EHLO sender.example")
        assert await client.say(f"RCPT TO:<{ADDRESS}>") == "503 5.5.1 MAIL is needed first"


async def test_what_stands_behind_starttls_in_plain_text_is_thrown_away(
    relay: Relay, files: CertificateFiles
):
    injected = b"EHLO injected.example\r\nMAIL FROM:<forged@amazon.de>\r\n"
    async with relay.client() as client:
        client.send(b"EHLO sender.example\r\nSTARTTLS\r\n" + injected + b"NOOP\r\n" * 10_000)
        assert (await client.reply()).startswith("250-")
        assert (await client.reply()).startswith("220 ")
        try:
            await client.shake_hands(files.client_context())
        except (ssl.SSLError, ConnectionError):
            # What was still on its way made the handshake impossible.
            return

        assert await client.say(f"MAIL FROM:<{SENDER}>") == "503 5.5.1 say EHLO first"


async def test_one_packet_with_plain_text_behind_starttls_leads_to_a_clean_session(
    relay: Relay, files: CertificateFiles
):
    async with relay.client() as client:
        client.send(b"STARTTLS\r\nEHLO injected.example\r\nMAIL FROM:<forged@amazon.de>\r\nRSE")
        assert (await client.reply()).startswith("220 ")
        await client.shake_hands(files.client_context())

        assert await client.say(f"MAIL FROM:<{SENDER}>") == "503 5.5.1 say EHLO first"
        assert (await client.deliver(ADDRESS, MAIL)).startswith("250 ")


@pytest.mark.parametrize("sequence", NO_END_OF_DATA)
async def test_nothing_can_be_smuggled(
    relay: Relay, database: Database, keys: Keys, files: CertificateFiles, sequence: bytes
):
    async with relay.client() as client:
        await client.encrypt(files.client_context())
        await client.try_to_smuggle(ADDRESS, sequence)

    assert len(await stored_mails(database, keys)) == 1


async def test_a_pipelining_client_is_answered_in_order(
    relay: Relay, database: Database, keys: Keys, files: CertificateFiles
):
    one = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{ADDRESS}>\r\nDATA\r\n".encode()
    async with relay.client() as client:
        await client.encrypt(files.client_context())
        client.send(b"EHLO x\r\n" + one + b"first\r\n.\r\n" + one + b"second\r\n.\r\nQUIT\r\n")
        replies = (await client.reader.read()).decode().splitlines()

    codes = [reply[:3] for reply in replies if reply[3] == " "]
    assert codes == ["250", "250", "250", "354", "250", "250", "250", "354", "250", "221"]
    assert await stored_mails(database, keys) == [b"first\r\n", b"second\r\n"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2])
async def test_versions_of_tls_before_1_2_are_refused(
    relay: Relay, files: CertificateFiles, version: ssl.TLSVersion
):
    context = files.client_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = context.maximum_version = version
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="mx.test.example").do_handshake()

    async with relay.client() as client:
        await client.say("STARTTLS")
        client.send(outgoing.read())
        answer = await client.reader.read(1)

    # A record of the handshake, or the end.
    assert answer == (b"\x16" if version == ssl.TLSVersion.TLSv1_2 else b"")
    await relay.counts('replyco_smtp_tls_handshakes_total{outcome="failed"} 1.0')
    await relay.counts("replyco_smtp_sessions_open 0.0")


@pytest.mark.parametrize("rest", [b"", b"\x16\x03\x01", b"EHLO sender.example\r\n", None])
async def test_a_handshake_that_fails_ends_the_session(
    database: Database, keys: Keys, files: CertificateFiles, rest: bytes | None
):
    settings = {**files.settings, "tls_handshake_timeout_seconds": 0.3}
    async with running_relay(database, keys, **settings) as relay:
        client = await connect(relay.smtp_port)
        assert (await client.say("STARTTLS")).startswith("220 ")
        if rest is None:
            client.writer.transport.abort()
        else:
            client.send(rest)
            # At most an alert, and never a reply in plain text.
            assert b"\r\n" not in await client.reader.read()
            client.writer.close()

        await relay.counts('replyco_smtp_tls_handshakes_total{outcome="failed"} 1.0')
        await relay.counts('replyco_smtp_sessions_total{reason="handshake_failed"} 1.0')
        await relay.counts("replyco_smtp_sessions_open 0.0")


async def test_a_relay_that_stops_waits_for_no_handshake(
    database: Database, keys: Keys, files: CertificateFiles
):
    async with running_relay(database, keys, **files.settings, shutdown_seconds=60) as relay:
        client = await connect(relay.smtp_port)
        secured = await connect(relay.smtp_port)
        await secured.encrypt(files.client_context())
        assert (await client.say("STARTTLS")).startswith("220 ")
        relay.stop.set()

        assert await client.reader.read() == b""
        assert (await secured.reply()).startswith("421 4.3.2")
        client.writer.close()
        secured.writer.close()


async def test_a_new_certificate_is_taken_into_use_and_a_broken_one_is_not(
    relay: Relay, files: CertificateFiles
):
    async def serial_number() -> int:
        async with relay.client() as client:
            return serial_number_of(await client.encrypt(files.client_context()))

    first = files.serial_number
    assert await serial_number() == first

    broken = files.key_file.with_name("broken")
    broken.write_text("-----BEGIN CERTIFICATE-----\nbroken\n")
    broken.replace(files.certificate_file)
    await relay.counts("replyco_smtp_certificate_broken 1.0")
    assert await serial_number() == first
    files.certificate_file.unlink()
    await relay.counts('replyco_smtp_certificate_reloads_total{outcome="failed"} 2.0')
    assert await serial_number() == first

    files.renew()
    await relay.counts("replyco_smtp_certificate_broken 0.0")
    assert files.serial_number != first
    assert await serial_number() == files.serial_number


async def test_mail_without_tls_is_put_off_and_not_refused_for_good(
    database: Database, keys: Keys, address: str, files: CertificateFiles
):
    async with (
        running_relay(database, keys, **files.settings, tls_required=True) as relay,
        relay.client() as client,
    ):
        await client.say("EHLO sender.example")
        assert (await client.say(f"MAIL FROM:<{SENDER}>")).startswith("451 4.7.0")
        assert (await client.say("NOOP")).startswith("250")
        await client.encrypt(files.client_context())

        assert (await client.deliver(address, MAIL)).startswith("250 ")


async def test_a_relay_with_half_a_certificate_does_not_start(
    database: Database, keys: Keys, files: CertificateFiles, tmp_path: Path
):
    other = tmp_path / "other"
    other.mkdir()
    for settings in (
        {"tls_required": True},
        {"tls_certificate_file": files.certificate_file},
        {**files.settings, "tls_key_file": tmp_path / "missing"},
        {**files.settings, "tls_key_file": CertificateFiles(other).key_file},
    ):
        with pytest.raises(CertificateUnusable, match="REPLYCO_TLS_KEY_FILE"):
            async with running_relay(database, keys, **settings):
                pass


def test_when_the_certificate_ends_is_told_of_the_one_in_use(files: CertificateFiles):
    registry = CollectorRegistry()
    metrics = RelayMetrics(registry)

    def told() -> float | None:
        return registry.get_sample_value("replyco_smtp_certificate_end_timestamp_seconds")

    assert math.isnan(told() or 0)
    Certificate(files.certificate_file, files.key_file, metrics)
    in_a_day = datetime.now(UTC) + timedelta(days=1)
    assert abs((told() or 0) - in_a_day.timestamp()) < 3600

    files.certificate_file.write_text("no certificate")
    with pytest.raises(CertificateUnusable):
        Certificate(files.certificate_file, files.key_file, metrics)
    assert abs((told() or 0) - in_a_day.timestamp()) < 3600
