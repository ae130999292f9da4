"""What `doctor` says of relay and mail worker: each fault by its cure, and never more than is known."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from deploy.demo.postgres import MAIL_WORKER, OWNER, RELAY
from services.mailrelay.__main__ import cli
from services.mailrelay.dns_setup.check import lookup_with
from services.mailrelay.doctor.ports import smtp_ports
from services.mailrelay.doctor.relay_checks import examine_relay
from services.mailrelay.settings import RelaySettings
from shared.crypto.dkim_keys import DkimKeyFile
from shared.database import Sessions
from shared.doctor.findings import Severity
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.integration.mailrelay.accepting import DOMAIN as MAIL_DOMAIN
from tests.integration.mailrelay.accepting import connect, running_relay
from tests.integration.mailrelay.certificates import CertificateFiles
from tests.integration.mailrelay.delivery.test_clamav import clamd_on_tcp
from tests.integration.mailrelay.dns_setup.test_dns import DOMAIN, HOST, RIGHT, name_server
from tests.integration.mailrelay.outbound.peer import Peer, listening
from tests.processes import free_ports

Environment = dict[str, str]


@pytest.fixture
def common(tmp_path: Path) -> Environment:
    blobs = tmp_path / "large"
    blobs.mkdir(mode=0o2770)
    return {
        "REPLYCO_BLOB_URL": blobs.as_uri(),
        "REPLYCO_MAIL_DOMAIN": DOMAIN,
        "REPLYCO_SMTP_HOSTNAME": HOST,
        "REPLYCO_DEVELOPMENT": "true",
    }


@pytest.fixture
def relay(common: Environment, database: Database, keys: Keys, tmp_path: Path) -> Environment:
    files = CertificateFiles(tmp_path, HOST)
    smtp_port, side_port = free_ports(2)
    return common | {
        "REPLYCO_DATABASE_URL": database.url(RELAY),
        "REPLYCO_MAIL_PUBLIC_KEY_FILE": str(keys.mail_public_key_file),
        "REPLYCO_TLS_CERTIFICATE_FILE": str(files.certificate_file),
        "REPLYCO_TLS_KEY_FILE": str(files.key_file),
        "REPLYCO_SMTP_PORT": str(smtp_port),
        "REPLYCO_SIDE_PORT": str(side_port),
    }


@pytest.fixture
def worker(common: Environment, database: Database, keys: Keys) -> Environment:
    return common | {
        "REPLYCO_DATABASE_URL": database.url(MAIL_WORKER),
        "REPLYCO_KEY_FILE": str(keys.key_file),
        "REPLYCO_MAIL_PRIVATE_KEY_FILE": str(keys.mail_private_key_file),
        "REPLYCO_WORKER_PORT": str(free_ports(1)[0]),
    }


@pytest.fixture
async def dns() -> AsyncIterator[str]:
    async with name_server(RIGHT) as port:
        yield f"127.0.0.1#{port}"


async def doctor(environment: Environment, role: str, *, resolver: str) -> tuple[int, str]:
    result = await asyncio.to_thread(
        CliRunner(env=environment).invoke, cli, ["doctor", role, "--resolver", resolver]
    )
    return result.exit_code, result.output


async def test_a_relay_that_is_set_up_has_nothing_wrong(relay: Environment, dns: str, tmp_path: Path):
    # The certificates of tests are good for a day, which is too short for a relay.
    CertificateFiles(tmp_path, HOST, days=90)
    code, output = await doctor(relay, "serve", resolver=dns)

    assert (code, "WRONG" in output) == (0, False), output
    for told in (
        "The database answers",
        "The tables are up to date",
        "What is stored survives a power cut",
        f"The certificate is for {HOST}",
        f"ok       Port {relay['REPLYCO_SMTP_PORT']} is free",
        "The folder of large mails can be read and written",
        f"ok       DNS: the MX record of {DOMAIN}",
        "ok       DNS: the PTR record of 25.2.0.192.in-addr.arpa",
    ):
        assert told in output


async def test_a_relay_names_every_fault(relay: Environment, database: Database, dns: str, tmp_path: Path):
    CertificateFiles(tmp_path, "mx9.relay.example").renew(has_expired=True)
    taken = socket.create_server(("127.0.0.1", 0))
    port = str(taken.getsockname()[1])
    with taken:
        code, output = await doctor(
            relay
            | {
                "REPLYCO_DATABASE_URL": database.url(OWNER),
                "REPLYCO_MAIL_PUBLIC_KEY_FILE": "/nowhere/canary.json",
                "REPLYCO_BLOB_URL": (tmp_path / "not there").as_uri(),
                "REPLYCO_SIDE_PORT": port,
                "REPLYCO_SMTP_HOSTNAME": "mx2.relay.example",
            },
            "serve",
            resolver=dns,
        )

    assert code == 1
    for told in (
        f"Port {port} is taken by something that is not the relay",
        "may read the tokens of stores. It is the owner",
        "The key file /nowhere/canary.json is missing",
        "The certificate ended on",
        "The certificate is not for mx2.relay.example",
        "is not there, or this user may not look for it. Make it",
        f"the MX record of {DOMAIN} (where mail for the domain goes) is wrong",
        "the A record of mx2.relay.example (the relay's public IPv4 address) is missing",
    ):
        assert told in output, told
    assert "of large mails can" not in output


async def test_a_certificate_that_cannot_be_looked_for_ends_no_doctor(
    relay: Environment, dns: str, tmp_path: Path
):
    # A name that is too long fails as a folder does that is closed to this user, also for root.
    hidden = tmp_path / ("x" * 300) / "fullchain.pem"

    code, output = await doctor(relay | {"REPLYCO_TLS_CERTIFICATE_FILE": str(hidden)}, "serve", resolver=dns)

    assert code == 1
    assert f"WRONG    {hidden} is not there, or this user may not look for it." in output
    assert "DNS: the MX record" in output


async def test_a_database_that_is_away_is_the_one_thing_said_of_it(relay: Environment, dns: str):
    code, output = await doctor(
        relay | {"REPLYCO_DATABASE_URL": "postgresql://x:canary@127.0.0.1:1/x"}, "serve", resolver=dns
    )

    assert code == 1
    assert "Nobody listens where REPLYCO_DATABASE_URL points" in output
    assert "canary" not in output
    assert "The tables" not in output


async def test_what_a_power_cut_would_undo_is_wrong(worker: Environment, dns: str):
    worker["REPLYCO_DATABASE_URL"] += "&options=-csynchronous_commit%3Doff"
    _, output = await doctor(worker, "worker", resolver=dns)

    assert "WRONG    PostgreSQL runs with synchronous_commit = off" in output


async def test_ports_of_a_running_relay_are_its_own(database: Database, keys: Keys, relay: Environment):
    async with running_relay(database, keys, smtp_hostname=HOST) as running:
        settings = settings_of(relay, smtp_port=running.smtp_port, side_port=running.side_port)
        found = await smtp_ports(settings, public_port=running.smtp_port)
        through = await smtp_ports(settings_of(relay), public_port=running.smtp_port)
        others = await smtp_ports(
            settings_of(relay, smtp_hostname="mx7.relay.example"), public_port=running.smtp_port
        )

    assert [each.severity for each in found] == [Severity.OK]
    assert f"Port {running.smtp_port} is answered by the relay" in found[0].text
    assert f"Port {running.smtp_port} of this machine is answered by the relay" in through[0].text
    assert others[-1].severity is Severity.WARNING


async def test_a_relay_that_is_full_is_not_called_somebody_else(
    database: Database, keys: Keys, relay: Environment
):
    async with running_relay(database, keys, smtp_hostname=HOST, network_connection_limit=1) as running:
        held = await connect(running.smtp_port)
        settings = settings_of(relay, smtp_port=running.smtp_port)
        found = await smtp_ports(settings, public_port=running.smtp_port)
        through = await smtp_ports(settings_of(relay), public_port=running.smtp_port)
        held.writer.close()
        await held.writer.wait_closed()

    assert [each.severity for each in found] == [Severity.NOTE]
    assert [each.severity for each in through] == [Severity.OK, Severity.NOTE]
    assert "(421)" in found[0].text
    assert "(421)" in through[1].text


async def test_nobody_at_the_port_of_senders_is_said(relay: Environment):
    found = await smtp_ports(settings_of(relay), public_port=free_ports(1)[0])

    assert [each.severity for each in found] == [Severity.OK, Severity.NOTE]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_root_without_a_user_is_warned_of(relay: Environment, dns: str):
    _, output = await doctor(relay, "serve", resolver=dns)

    assert "The relay would run as root" in output


async def test_a_name_server_that_is_silent_makes_nothing_right_or_wrong(relay: Environment):
    async with name_server(RIGHT, silent={DOMAIN, HOST}) as port:
        findings = await examine_relay(
            settings_of(relay), lookup_with(["127.0.0.1"], port=port, timeout_seconds=0.2)
        )

    dns = [each for each in findings if each.text.startswith("DNS")]
    assert {each.severity for each in dns} == {Severity.WARNING}


async def test_a_mail_worker_that_is_set_up_has_nothing_wrong(
    worker: Environment, dns: str, sessions: Sessions, keyring: Keyring, tmp_path: Path
):
    async with sessions.begin() as session:
        await make_account(session, keyring)
    async with listening(Peer()) as smarthost, clamd_on_tcp() as scanner:
        code, output = await doctor(
            worker
            | {
                "REPLYCO_SMARTHOST_HOST": "127.0.0.1",
                "REPLYCO_SMARTHOST_PORT": str(smarthost.port),
                "REPLYCO_SMARTHOST_TLS": "none",
                "REPLYCO_SMARTHOST_USERNAME": "canary",
                "REPLYCO_SMARTHOST_PASSWORD": "canary",
                "REPLYCO_CLAMD": scanner.address,
            },
            "worker",
            resolver=dns,
        )

    assert (code, "WRONG" in output) == (0, False), output
    for told in (
        "The key file opens the accounts' keys",
        "No mail has come that tells",
        f"The smarthost 127.0.0.1:{smarthost.port} takes sessions",
        "clamd answers",
        "REPLYCO_DKIM_KEY_FILE is not set",
    ):
        assert told in output
    # Nobody signed in, and no mail was given.
    assert {command.split()[0] for command in smarthost.commands} <= {"EHLO", "QUIT"}
    assert "canary" not in output


async def test_a_mail_worker_names_every_fault(
    worker: Environment, database: Database, dns: str, tmp_path: Path
):
    other_keys = tmp_path / "other"
    other_keys.mkdir()
    DkimKeyFile.create(other_keys / "dkim.json", datetime.now(UTC))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_port = str(silent.getsockname()[1])
    code, output = await doctor(
        worker
        | {
            "REPLYCO_DATABASE_URL": database.url(OWNER),
            "REPLYCO_MAIL_PRIVATE_KEY_FILE": worker["REPLYCO_KEY_FILE"],
            "REPLYCO_DKIM_KEY_FILE": str(other_keys / "dkim.json"),
            "REPLYCO_SMARTHOST_HOST": "127.0.0.1",
            "REPLYCO_SMARTHOST_PORT": silent_port,
            "REPLYCO_CLAMD": f"127.0.0.1:{silent_port}",
        },
        "worker",
        resolver=dns,
    )

    assert code == 1
    for told in (
        "is damaged, or no key file",
        "may read who is signed in",
        "(what replies are signed with is checked with it) is missing",
        f"The smarthost 127.0.0.1:{silent_port} takes no session from here (at connect",
        "clamd does not answer at REPLYCO_CLAMD",
    ):
        assert told in output, told


@pytest.fixture
async def address(sessions: Sessions, keyring: Keyring) -> str:
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        await make_relay_address(session, await make_integration(session, account.id), local_part="mabtekrud")
    return f"mabtekrud@{MAIL_DOMAIN}"


async def test_a_mail_that_was_sealed_to_another_key_is_told(
    worker: Environment, keys: Keys, database: Database, address: str, tmp_path: Path
):
    others = Keys.make(tmp_path)
    async with running_relay(database, others) as running:
        client = await connect(running.smtp_port)
        assert (await client.deliver(address, b"Subject: x\r\n\r\nx")).startswith("250 ")
        client.writer.close()

    fitting = worker | {"REPLYCO_MAIL_PRIVATE_KEY_FILE": str(others.mail_private_key_file)}
    async with name_server(RIGHT) as port:
        _, output = await doctor(worker, "worker", resolver=f"127.0.0.1#{port}")
        _, right = await doctor(fitting, "worker", resolver=f"127.0.0.1#{port}")
        owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
        await owner.execute("UPDATE accepted_mail SET state = 'delivered'")
        await owner.close()
        _, delivered = await doctor(worker, "worker", resolver=f"127.0.0.1#{port}")

    assert f"1 to {others.mail_public_key.key_id}; ours is {keys.mail_private_key.key_id}" in output
    assert "The mail that was accepted last is sealed to our mail key" in right
    # The old key may be gone by now.
    assert "note     No mail has come that tells" in delivered


def settings_of(environment: Environment, **changes: object) -> RelaySettings:
    values = {name.removeprefix("REPLYCO_").lower(): value for name, value in environment.items()}
    return RelaySettings.model_validate(values | changes)
