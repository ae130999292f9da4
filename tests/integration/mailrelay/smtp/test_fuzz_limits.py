"""The fuzzer's conversations with limits so small that they bite: each ends a session when it has to, not sooner, and no mail is lost."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from typing_extensions import override

from shared.database import Sessions
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.integration.mailrelay.accepting import DOMAIN, Relay, running_relay, stored_mails
from tests.integration.mailrelay.certificates import CertificateFiles
from tests.integration.mailrelay.smtp.test_fuzz import MAIL, UNKNOWN, Conversation, SentAway, repeated, step

SIZE_LIMIT = 65_536
COMMAND_LIMIT = 150
ERROR_LIMIT = 15
RECIPIENT_LIMIT = 100
EVERYBODY = [f"many{number:05d}@{DOMAIN}" for number in range(RECIPIENT_LIMIT + 3)]


class LimitedConversation(Conversation):
    """Counts what the relay counts."""

    size_limit: ClassVar[int] = SIZE_LIMIT

    @override
    def connect(self) -> None:
        self.commands = self.errors = 0
        self.last = b""
        super().connect()

    @override
    def hear(self, line: bytes) -> None:
        if line.startswith(b"421 4.7.0 "):
            assert line.endswith(self.session_id), line
            assert {
                b"too many errors": self.errors > ERROR_LIMIT,
                b"too many unknow": self.last.startswith(b"550 5.1.1 "),
                b"too many comman": self.commands == COMMAND_LIMIT,
            }[line[10:25]], (line, self.errors, self.commands)
            raise SentAway
        self.last = line
        if line.startswith(b"250 2.0.0 accepted"):
            self.commands = self.errors = 0
        elif line[3:4] == b" " and not line.startswith((b"354", b"500 5.5.2 command line too long")):
            self.commands += not self.is_first(line)
        if line.startswith(b"5") and not line.startswith(b"550 5.1.1 "):
            self.errors += 1
        assert self.commands <= COMMAND_LIMIT

    @staticmethod
    def is_first(line: bytes) -> bool:
        return line.startswith(b"220 ") and b" ESMTP " in line

    @rule(count=st.integers(50, 100))
    @step
    def chatter(self, count: int) -> None:
        self.socket.sendall(b"NOOP\r\n" * count)
        for _ in range(count):
            self.expect(250)

    @rule(count=st.integers(5, 15))
    @step
    def guess_addresses(self, count: int) -> None:
        self.be_ready()
        self.socket.sendall(MAIL + b"\r\n" + (UNKNOWN + b"\r\n") * count)
        self.expect(250)
        self.has_sender = self.has_refused = True
        for _ in range(count):
            self.expect(550)

    @rule(at=st.lists(st.integers(0, 4000), max_size=3))
    @step
    def write_to_everybody(self, at: list[int]) -> None:
        """Of so many recipients the last ones are put off, and the mail goes to the others."""
        self.be_ready()
        recipients = [f"RCPT TO:<{address}>".encode() for address in EVERYBODY]
        self.send(b"\r\n".join([MAIL, *recipients, b""]), at)
        self.expect(250)
        self.has_sender = True
        for number in range(len(recipients)):
            self.expect(250 if number < RECIPIENT_LIMIT else 452)
            self.has_recipient = True
        self.say(b"DATA", 354, has_status=False)
        self.deliver(b"to everybody", [])
        self.accepted.extend([b"to everybody\r\n"] * (RECIPIENT_LIMIT - 1))


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    return CertificateFiles(tmp_path)


@asynccontextmanager
async def limited_relay(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring, files: CertificateFiles
) -> AsyncIterator[Relay]:
    """A relay with these limits, and everybody's addresses."""
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        for address in [f"mabtekrud@{DOMAIN}", *EVERYBODY]:
            local_part = address.partition("@")[0]
            integration = await make_integration(session, account.id, name=local_part)
            await make_relay_address(session, integration, local_part=local_part)
    async with running_relay(
        database,
        keys,
        message_size_limit_bytes=SIZE_LIMIT,
        command_limit=COMMAND_LIMIT,
        error_limit=ERROR_LIMIT,
        error_delay_from=5,
        recipient_limit=RECIPIENT_LIMIT,
        unknown_recipient_delay_from=2,
        unknown_recipient_limit=5,
        # A burst of guesses overflows it unless each of them takes more than 70 ms; what is forgotten between two lets others go on.
        unknown_recipient_window_seconds=0.5,
        delay_seconds=0.001,
        **files.settings,
    ) as running:
        yield running


async def converse(relay: Relay, files: CertificateFiles, conversations: settings) -> list[bytes]:
    """What was accepted in that many conversations. Raises AssertionError at the first answer that is not as it has to be."""
    accepted: list[bytes] = []
    tls: ssl.SSLContext = files.client_context()
    here = type(
        "LimitedConversationHere",
        (LimitedConversation,),
        {"port": relay.smtp_port, "accepted": accepted, "tls": tls},
    )
    await asyncio.to_thread(run_state_machine_as_test, here, settings=conversations)
    return accepted


async def test_limits_end_sessions_and_lose_no_mail(
    *,
    database: Database,
    keys: Keys,
    sessions: Sessions,
    keyring: Keyring,
    files: CertificateFiles,
    capsys: pytest.CaptureFixture[str],
):
    async with limited_relay(database, keys, sessions, keyring, files) as relay:
        accepted = await converse(relay, files, repeated(40))
        figures = await relay.metrics()

    assert await stored_mails(database, keys) == accepted
    assert len(accepted) > 20
    assert "Traceback" not in "".join(capsys.readouterr())
    for limit in ("commands", "errors", "errors_delayed", "recipients", "harvest", "harvest_delayed"):
        assert f'replyco_smtp_limits_total{{limit="{limit}"}}' in figures, limit
    assert 'replyco_smtp_refusals_total{reply="552 5.3.4"}' in figures
