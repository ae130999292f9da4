"""A client that says anything, in any order, cut anywhere, encrypted or not: every line gets a reply that fits, and soon.

`make soak` has the same conversations for longer, and others each time. With small limits: test_fuzz_limits.py.
"""

import asyncio
import contextlib
import functools
import itertools
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from typing_extensions import override

from shared.database import Sessions
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.integration.mailrelay.accepting import DOMAIN, Relay, running_relay, stored_mails
from tests.integration.mailrelay.certificates import HOST, CertificateFiles

KNOWN = f"RCPT TO:<mabtekrud@{DOMAIN}>".encode()
UNKNOWN = f"RCPT TO:<nobody12x@{DOMAIN}>".encode()
MAIL = b"MAIL FROM:<buyer@marketplace.amazon.de>"
REPLY_SECONDS = 5
GROWTH_LIMIT_BYTES = 100_000_000

# Whatever a client may think of, without the end of the line.
anything = st.binary(max_size=80).map(lambda line: line.replace(b"\n", b""))
arguments = st.one_of(
    anything,
    st.text("<>@:,;\"\\ .+=ab\0\u00e4", max_size=40).map(str.encode),
    st.sampled_from(
        [b"<>", b"<@a,@b:c@d.example>", b'<"a b"@c.example> SIZE=1', b"<a@b> SIZE=99999999999", b"<" + b"x" * 320 + b"@y>"]
    ),
)  # fmt: skip
contents = st.one_of(
    st.binary(max_size=3000),
    st.integers(65_000, 70_000).map(lambda size: b"x" * size),
    # What ends no mail, and what others took for its end.
    st.lists(
        st.sampled_from(
            [
                b"\r\n",
                b".",
                b"\n",
                b"\r",
                b"\0",
                b"\n.\r\n",
                b"\n.\n",
                b"\r.\r",
                b"\r\n.\r",
                b"\r\n\0.\r\n",
                b"QUIT",
                b"x" * 1200,
            ]
        ),
        max_size=30,
    ).map(b"".join),
)
cuts = st.lists(st.integers(0, 4000), max_size=3)
# Lines that change nothing, and the code of their reply.
harmless = st.sampled_from(
    [
        (b"NOOP", 250), (b"noop " + b"x" * 100, 250), (b"VRFY x", 252), (b"VRFY", 501), (b"HELP", 214), (b"AUTH PLAIN", 502),
        (b"BDAT 3 LAST", 502), (b"TURN", 502), (b"XCLIENT ADDR=1.2.3.4", 500), (b"", 500), (b"DATA x", 501),
        (b"NO\0OP", 500), (b"\xff", 500), (b"N" * 3000, 500), (b"NOOP \xff", 500), (b"EHLO", 501), (b"QUIT now", 501),
    ]
)  # fmt: skip


# Greeting, EHLO, HELO and DATA are answered with a code alone (RFC 2034 §4).
reply_line = re.compile(rb"(?P<code>(?P<kind>\d)\d\d)[ -](?:(?P<status>\d)\.\d\.\d )?[\x20-\x7e]*\r\n")


class SentAway(Exception):
    """The session has ended, rightly."""


def step(function: Callable[..., None]) -> Callable[..., None]:
    """Whoever was sent away comes again."""

    @functools.wraps(function)
    def stepping(self: "Conversation", **arguments: Any) -> None:
        try:
            function(self, **arguments)
        except SentAway:
            self.close()
            self.connect()

    return stepping


class Conversation(RuleBasedStateMachine):
    """Knows in which state the session is, and so which replies are right.

    Rules have no preconditions: where a limit ended the session depends on the time, and Hypothesis wants the same choices again.
    """

    port: ClassVar[int]
    accepted: ClassVar[list[bytes]]
    # None: STARTTLS is not offered.
    tls: ClassVar[ssl.SSLContext | None] = None
    size_limit: ClassVar[int] = 41_943_040

    def __init__(self) -> None:
        super().__init__()
        self.connect()

    def connect(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=REPLY_SECONDS)
        self.replies = self.socket.makefile("rb")
        self.is_encrypted = self.is_greeted = False
        self.session_id = b""
        self.forget()
        greeting = self.reply(220, has_status=False)
        assert re.search(rb" \([0-9a-f]{16}\)\r\n$", greeting), greeting
        self.session_id = greeting.rpartition(b" ")[2]

    def forget(self) -> None:
        """No mail has been begun."""
        self.has_sender = self.has_refused = self.has_recipient = False

    def expect(self, *codes: int, has_status: bool = True) -> int:
        """The code of the next reply."""
        return int(self.reply(*codes, has_status=has_status)[:3])

    def reply(self, *codes: int, has_status: bool) -> bytes:
        """The first line of the next reply, which has to have one of these codes, and to name the session."""
        first = line = self.replies.readline()
        while True:
            parts = reply_line.fullmatch(line)
            assert parts is not None, line
            assert line is not first or line.endswith(self.session_id), line
            if parts["status"] or has_status:
                assert parts["status"] == parts["kind"], line
            self.hear(line)
            assert int(parts["code"]) in codes, (line, codes)
            if line[3:4] == b" ":
                return first
            line = self.replies.readline()

    def hear(self, line: bytes) -> None:
        """Raises SentAway where a limit may end the session: here none does."""

    def send(self, data: bytes, at: list[int]) -> None:
        """In pieces: each in a packet of its own, as far as the kernel does so."""
        ends = [0, *sorted(cut for cut in at if cut < len(data)), len(data)]
        for start, end in itertools.pairwise(ends):
            self.socket.sendall(data[start:end])

    def say(self, line: bytes, *codes: int, has_status: bool = True) -> int:
        self.socket.sendall(line + b"\r\n")
        return self.expect(*codes, has_status=has_status)

    @override
    def teardown(self) -> None:
        with contextlib.suppress(SentAway):
            self.say(b"QUIT", 221)
            assert self.replies.read() == b""
        self.close()

    def close(self) -> None:
        self.replies.close()
        self.socket.close()

    def be_ready(self) -> None:
        """For a new mail."""
        if self.is_greeted:
            self.say(b"RSET", 250)
        else:
            self.say(b"EHLO sender.example", 250, has_status=False)
            self.is_greeted = True
        self.forget()

    @rule(verb=st.sampled_from([b"EHLO", b"helo"]))
    @step
    def greet(self, verb: bytes) -> None:
        self.say(verb + b" sender.example", 250, has_status=False)
        self.is_greeted = True
        self.forget()

    @rule(
        behind=st.sampled_from(
            [b"", b"NOOP\r\n", b"EHLO x\r\n" + MAIL + b"\r\n", b"RSE", b"\x16\x03\x01\x02"]
        )
    )
    @step
    def encrypt(self, behind: bytes) -> None:
        """In the middle of a mail as well, and with plain text behind it."""
        if self.tls is None or self.is_encrypted:
            self.say(b"STARTTLS", 502 if self.tls is None else 503)
            return
        self.socket.sendall(b"STARTTLS\r\n" + behind)
        self.expect(220)
        self.replies.close()
        try:
            self.socket = self.tls.wrap_socket(self.socket, server_hostname=HOST)
        except (ssl.SSLError, ConnectionError):
            # What was still on its way made the handshake impossible.
            assert behind
            raise SentAway from None
        self.replies = self.socket.makefile("rb")
        self.is_encrypted, self.is_greeted = True, False
        self.forget()

    @rule(nonsense=st.binary(max_size=300))
    @step
    def break_the_handshake(self, nonsense: bytes) -> None:
        if self.tls is None or self.is_encrypted:
            return
        self.say(b"STARTTLS", 220)
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(nonsense)
            self.socket.shutdown(socket.SHUT_WR)
            # At most an alert, and never a reply in plain text.
            assert re.match(rb"\d{3}[ -]", self.replies.read()) is None
        raise SentAway

    @rule()
    @step
    def begin(self) -> None:
        code = self.say(MAIL, 250 if self.is_greeted and not self.has_sender else 503)
        self.has_sender = self.has_sender or code == 250

    @rule(argument=arguments)
    @step
    def begin_oddly(self, argument: bytes) -> None:
        if self.say(b"MAIL FROM:" + argument, 250, 500, 501, 503, 552, 553, 555) == 250:
            assert self.is_greeted
            assert not self.has_sender
            self.has_sender = True

    @rule()
    @step
    def name_a_known_recipient(self) -> None:
        if self.say(KNOWN, 250 if self.has_sender else 503) == 250:
            self.has_recipient = True

    @rule(argument=st.one_of(st.just(UNKNOWN[8:]), arguments))
    @step
    def name_an_odd_recipient(self, argument: bytes) -> None:
        # Nothing here is an address of ours, so nothing is accepted.
        code = self.say(
            b"RCPT TO:" + argument, *((500, 501, 550, 553, 555) if self.has_sender else (500, 503))
        )
        self.has_refused = self.has_refused or (self.has_sender and code != 500)

    @rule(content=contents, at=cuts)
    @step
    def send_a_mail(self, content: bytes, at: list[int]) -> None:
        if not self.has_recipient:
            self.say(b"DATA", 554 if self.has_refused else 503)
            return
        self.say(b"DATA", 354, has_status=False)
        self.deliver(content, at)

    def deliver(self, content: bytes, at: list[int]) -> None:
        mail = content + b"\r\n"
        dotted = (b"." if mail.startswith(b".") else b"") + mail.replace(b"\r\n.", b"\r\n..")
        self.send(dotted + b".\r\n", at)
        if self.expect(552 if len(mail) > self.size_limit else 250) == 250:
            self.accepted.append(mail)
        self.forget()

    @rule(content=contents, at=cuts, unknown=st.booleans())
    @step
    def send_a_mail_pipelined(self, content: bytes, at: list[int], unknown: bool) -> None:
        self.be_ready()
        recipients = [UNKNOWN, KNOWN] if unknown else [KNOWN]
        self.send(b"\r\n".join([MAIL, *recipients, b"DATA", b""]), at)
        for code in (250, *([550] if unknown else []), 250):
            self.expect(code)
        self.expect(354, has_status=False)
        self.deliver(content, at)

    @rule()
    @step
    def reset(self) -> None:
        self.say(b"RSET", 250)
        self.forget()

    @rule(lines=st.lists(harmless, min_size=1, max_size=20), at=cuts, end=st.sampled_from([b"\r\n", b"\n"]))
    @step
    def say_much_at_once(self, lines: list[tuple[bytes, int]], at: list[int], end: bytes) -> None:
        self.send(b"".join(line + end for line, _code in lines), at)
        for _line, code in lines:
            self.expect(code)

    @rule(line=anything)
    @step
    def say_anything(self, line: bytes) -> None:
        self.say(b"?" + line, 500)

    @rule(half=st.binary(max_size=50))
    @step
    def vanish(self, half: bytes) -> None:
        """In any state, in the middle of a mail as well, and with a reset."""
        if self.has_recipient:
            self.say(b"DATA", 354, has_status=False)
        self.socket.sendall(half.replace(b".", b"").replace(b"\n", b""))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.close()
        self.connect()


def repeated(examples: int) -> settings:
    """The same conversations each time: how many of them end in a mail is counted, and chance must not decide."""
    return settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    return CertificateFiles(tmp_path)


@pytest.fixture
async def relay(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring, files: CertificateFiles
) -> AsyncIterator[Relay]:
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        await make_relay_address(session, await make_integration(session, account.id), local_part="mabtekrud")
    # Limits have tests of their own; here they would hide what the session itself answers.
    never = 10**6
    async with running_relay(
        database, keys, error_limit=never, unknown_recipient_limit=never, delay_seconds=0, **files.settings
    ) as running:
        yield running


async def test_every_line_gets_a_reply_that_fits(
    *,
    relay: Relay,
    files: CertificateFiles,
    database: Database,
    keys: Keys,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
):
    accepted: list[bytes] = []
    tls = files.client_context()
    here = type(
        "ConversationHere", (Conversation,), {"port": relay.smtp_port, "accepted": accepted, "tls": tls}
    )
    before = psutil.Process().memory_info().rss

    await asyncio.to_thread(run_state_machine_as_test, here, settings=repeated(40))

    assert psutil.Process().memory_info().rss - before < GROWTH_LIMIT_BYTES
    assert await stored_mails(database, keys) == accepted
    assert len(accepted) > 20
    assert 'replyco_smtp_tls_handshakes_total{outcome="TLSv1.3"}' in await relay.metrics()
    assert "Traceback" not in "".join(capsys.readouterr())
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
