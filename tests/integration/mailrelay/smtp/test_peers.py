"""Programs that others wrote deliver the samples; each is stored byte for byte."""

import asyncio
import shutil
import smtplib
import subprocess
import tempfile
from collections.abc import AsyncIterator, Set
from contextlib import AbstractContextManager
from pathlib import Path

import aiosmtplib
import asyncpg
import pytest

from deploy.demo.postgres import OWNER
from shared.database import Sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.bench import postfix
from tests.conftest import Database, Keys
from tests.contract.test_mail_samples import SAMPLES
from tests.factories import make_account, make_integration, make_relay_address
from tests.integration.mailrelay import exim
from tests.integration.mailrelay.accepting import DOMAIN, Relay, running_relay, stored_mails
from tests.integration.mailrelay.certificates import CertificateFiles

ADDRESS = f"mabtekrud@{DOMAIN}"
SENDER = "buyer@marketplace.amazon.de"
FOLDERS = [Path(__file__).parents[3] / "mails", SAMPLES]
SECONDS = 40
# A line of blanks below the header: an MTA puts the empty line there that is missing.
REPAIRED_BY_MTAS = frozenset({"letter-blanks-below-the-header.eml"})


@pytest.fixture
async def relay(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring, tmp_path: Path
) -> AsyncIterator[Relay]:
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        await make_relay_address(session, await make_integration(session, account.id), local_part="mabtekrud")
    async with running_relay(database, keys, **CertificateFiles(tmp_path).settings) as running:
        yield running


def _samples(without: Set[str] = frozenset()) -> list[bytes]:
    """As every sender puts them on the wire: each line ends with CRLF, the last one too."""
    files = [file for folder in FOLDERS for file in sorted(folder.glob("*.eml")) if file.name not in without]
    mails = [b"\r\n".join(file.read_bytes().splitlines()) + b"\r\n" for file in files]
    return [
        *mails,
        b"Subject: dots\r\n\r\n.\r\n..\r\n.a line\r\n",
        b"Subject: long\r\n\r\n" + b"x" * 900_000 + b"\r\n",
    ]


async def test_pythons_smtplib(relay: Relay, database: Database, keys: Keys):
    def deliver() -> None:
        with smtplib.SMTP("127.0.0.1", relay.smtp_port, timeout=SECONDS) as client:
            for mail in _samples():
                client.sendmail(SENDER, [ADDRESS], mail, mail_options=["BODY=8BITMIME"])

    await asyncio.to_thread(deliver)

    assert await stored_mails(database, keys) == _samples()


async def test_aiosmtplib(relay: Relay, database: Database, keys: Keys):
    async with aiosmtplib.SMTP(
        hostname="127.0.0.1", port=relay.smtp_port, timeout=SECONDS, start_tls=False
    ) as client:
        for mail in _samples():
            await client.sendmail(SENDER, [ADDRESS], mail, mail_options=["BODY=8BITMIME"])

    assert await stored_mails(database, keys) == _samples()


@pytest.mark.skipif(
    shutil.which("swaks") is None, reason="swaks is not installed (Debian: apt-get install swaks)"
)
async def test_swaks(relay: Relay, database: Database, keys: Keys, tmp_path: Path):
    # What differs is how it speaks, with commands in one packet, and not what it carries: the others deliver every sample. Each mail is a
    # process of its own.
    *samples, dots, long = _samples()
    mails = [*samples[::24], dots, long]
    for number, mail in enumerate(mails):
        file = tmp_path / f"{number}.eml"
        # swaks would fill in what it takes for placeholders; told not to, it leaves dots and the end to us.
        file.write_bytes(mail.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        await _run(
            "swaks", "--server", "127.0.0.1", "--port", str(relay.smtp_port), "--pipeline", "--helo", "sender.example",
            "--from", SENDER, "--to", ADDRESS, "--no-data-fixup", "--data", f"@{file}",
        )  # fmt: skip

    assert await stored_mails(database, keys) == mails


@pytest.mark.skipif(
    shutil.which("smtp-source") is None, reason="smtp-source is not installed (Debian: postfix)"
)
async def test_smtp_source(relay: Relay, database: Database, keys: Keys, tmp_path: Path):
    file = tmp_path / "mail"
    for mail in _samples():
        file.write_bytes(mail.replace(b"\r\n", b"\n"))
        await _run(
            "smtp-source", "-F", str(file), "-f", SENDER, "-t", ADDRESS, f"127.0.0.1:{relay.smtp_port}"
        )

    # It puts an empty line behind every mail.
    assert await stored_mails(database, keys) == [mail + b"\r\n" for mail in _samples()]


@pytest.mark.skipif(
    shutil.which("smtp-source") is None, reason="smtp-source is not installed (Debian: postfix)"
)
async def test_smtp_source_with_many_at_a_time(relay: Relay, database: Database, keys: Keys):
    await _run(
        "smtp-source", "-s", "10", "-m", "100", "-l", "20000", "-f", SENDER, "-t", ADDRESS,
        f"127.0.0.1:{relay.smtp_port}",
    )  # fmt: skip

    mails = await stored_mails(database, keys)
    assert len(mails) == 100
    # Every mail of it differs in date and number only.
    assert len({mail.partition(b"\r\n\r\n")[2] for mail in mails}) == 1


@pytest.mark.skipif(postfix.why_not() is not None, reason=str(postfix.why_not()))
@pytest.mark.parametrize("tls", ["none", "encrypt"])
async def test_postfix(relay: Relay, database: Database, keys: Keys, tls: str):
    """It pipelines, keeps connections for the next mail, and asks for 8BITMIME where a mail needs it."""
    # Not pytest's folder: Postfix's users could not reach it.
    with tempfile.TemporaryDirectory(prefix="replyco-postfix-") as folder:
        sending = postfix.running_postfix(Path(folder), pass_on_to=relay.smtp_port, tls=tls)
        stored = await _passed_on(sending, database, keys, is_encrypted=tls == "encrypt")

    assert sorted(_without_trace(mail) for mail in stored) == sorted(_samples(REPAIRED_BY_MTAS))


@pytest.mark.skipif(exim.why_not() is not None, reason=str(exim.why_not()))
@pytest.mark.parametrize("tls", ["hosts_avoid_tls", "hosts_require_tls"])
async def test_exim(relay: Relay, database: Database, keys: Keys, tls: str):
    with tempfile.TemporaryDirectory(prefix="replyco-exim-") as folder:
        sending = exim.running_exim(Path(folder), pass_on_to=relay.smtp_port, tls=tls)
        stored = await _passed_on(sending, database, keys, is_encrypted=tls == "hosts_require_tls")

    assert sorted(mail.removeprefix(b"\r\n") for mail in stored) == sorted(_samples(REPAIRED_BY_MTAS))


async def _passed_on(
    mta: AbstractContextManager[int], database: Database, keys: Keys, *, is_encrypted: bool
) -> list[bytes]:
    """What the relay has stored when an MTA, which gives its port, was given every sample."""
    told: asyncio.Queue[str] = asyncio.Queue()
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await connection.add_listener("replyco_accepted_mail", lambda *_arguments: told.put_nowait("told"))
    mails = _samples(REPAIRED_BY_MTAS)
    with mta as port:

        def deliver() -> None:
            with smtplib.SMTP("127.0.0.1", port, timeout=SECONDS) as client:
                for mail in mails:
                    client.sendmail(SENDER, [ADDRESS], mail, mail_options=["BODY=8BITMIME"])

        await asyncio.to_thread(deliver)
        async with asyncio.timeout(SECONDS):
            while len(stored := await stored_mails(database, keys)) < len(mails):
                await told.get()

    plain = await connection.fetchval("SELECT count(*) FROM accepted_mail WHERE tls_version IS NULL")
    await connection.close()
    assert plain == (0 if is_encrypted else len(mails))
    return stored


def _without_trace(mail: bytes) -> bytes:
    """Without the Received field that an MTA has to put in front (RFC 5321 §4.4), and the empty line that ends such a header
    before what has none of its own."""
    lines = mail.split(b"\r\n")
    assert lines[0].startswith(b"Received: ")
    end = next(number for number, line in enumerate(lines[1:], 1) if not line.startswith((b" ", b"\t")))
    return b"\r\n".join(lines[end:]).removeprefix(b"\r\n")


async def _run(*command: str) -> None:
    finished = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, timeout=SECONDS, check=False
    )
    assert finished.returncode == 0, finished.stdout[-2000:] + finished.stderr[-2000:]
