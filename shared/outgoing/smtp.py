"""SMTP sessions with servers that take mail from us: how one is opened, and how a mail is given to it.

One way for the test of a seller's server and for every mail to a buyer. TLS is never left out because a server, or somebody before it,
does not offer it. Whoever gives a mail learns the moment before its last byte: until then the server has no mail, from then on it may.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from socket import socket
from ssl import SSLCertVerificationError, SSLContext, SSLError
from typing import Any, Final, Literal, NamedTuple

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPNotSupported,
    SMTPResponseException,
    SMTPTimeoutError,
)
from pydantic import SecretStr

from shared.errors import Expected
from shared.outgoing.connections import Reason

# A connected socket to a host and a port. Raises HostInvalid, OutgoingFailed.
Dial = Callable[[str, int], Awaitable[socket]]

# RFC 5321 §4.5.3.2 allows a server minutes for each. One that needs longer than these is tried again later, which is no loss as long as
# the final dot has not been sent; after it, its word is waited for as long as the RFC says.
STEP_SECONDS: Final = 30.0
CONTENT_SECONDS: Final = 180.0
END_SECONDS: Final = 600.0
_CLOSE_SECONDS: Final = 2.0
_DRAIN_LOOK_SECONDS: Final = 0.01
_START_INPUT: Final = 354
_SIZE_DIGITS: Final = 20


class Stage(StrEnum):
    """How far a session had come."""

    CONNECT = "connect"
    TLS = "tls"
    HELLO = "hello"
    SIGN_IN = "sign_in"
    SENDER = "sender"
    RECIPIENT = "recipient"
    CONTENT = "content"
    """DATA and the mail, but for the final dot: the server has no mail yet."""
    END = "end"
    """The final dot may have reached the server."""


class Answer(NamedTuple):
    """What a server said: the code, and its words as they came."""

    code: int
    words: str


class SmtpFailed(Expected):
    """A session could not be opened, or a mail not be given. Without an answer of the server, `reason` says what failed."""

    code = "smtp_failed"

    def __init__(self, stage: Stage, answer: Answer | None, reason: Reason | None, words: str = "") -> None:
        super().__init__(stage=stage.value, code=answer.code if answer else 0, reason=str(reason or ""))
        self.stage = stage
        self.answer = answer
        self.reason = reason
        # Of TLS alone, by our own library: never what a server said before we knew that it is the one that was meant.
        self.words = words


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """A server that takes mail from us. `tls` is `starttls`, `tls` (from the first byte), or `none`, on this machine alone."""

    host: str
    port: int
    tls: Literal["starttls", "tls", "none"]
    username: str | None = None
    password: SecretStr | None = field(default=None, repr=False)


class SmtpSession:
    """A session that is ready for mails, one after the other. `sent` counts those that it was given."""

    def __init__(
        self, client: SMTP, *, step_seconds: float, content_seconds: float, end_seconds: float
    ) -> None:
        self._client = client
        self._step_seconds = step_seconds
        self._content_seconds = content_seconds
        self._end_seconds = end_seconds
        self.sent = 0

    @property
    def is_open(self) -> bool:
        return self._client.is_connected

    @property
    def offers_eight_bit(self) -> bool:
        return self._client.supports_extension("8bitmime")

    @property
    def most_bytes(self) -> int | None:
        """The largest mail that the server takes (RFC 1870), if it says so."""
        size = self._client.esmtp_extensions.get("size", "").strip()
        # As long as RFC 1870 §3 lets it be: what is longer names no size.
        return int(size) or None if size.isdecimal() and len(size) <= _SIZE_DIGITS else None

    async def name_sender(self, sender: str) -> None:
        """MAIL alone, taken back at once: whether the server would take mail from this sender. Raises SmtpFailed."""
        with _failing_at(Stage.SENDER):
            await self._client.mail(sender)
        # The answer changes nothing any more.
        with suppress(SMTPException, OSError):
            await self._client.rset()

    async def give(
        self, sender: str, recipient: str, mail: bytes, *, before_end: Callable[[], Awaitable[None]]
    ) -> Answer:
        """Give a mail of lines that end in CRLF, the last one, too. Returns once the server has taken it.

        `before_end` is awaited when all but the final dot has left this process; if it raises, the dot is not sent, and the server, which
        has seen no end of the mail, drops it with the connection. Raises SmtpFailed: at Stage.END without an answer, nobody knows
        whether the server has the mail; in every other case it has not.
        """
        self.sent += 1
        try:
            await self._envelope(sender, recipient, mail)
            return await self._content(mail, before_end)
        except SmtpFailed as failed:
            # A refused sender, recipient or mail leaves the session usable; whatever else happened, nothing is certain in it.
            if failed.answer is None or failed.answer.code == 421 or not self.is_open:
                self.abort()
            elif failed.stage in {Stage.SENDER, Stage.RECIPIENT, Stage.CONTENT}:
                await self._reset()
            raise
        except BaseException:
            self.abort()
            raise

    async def _envelope(self, sender: str, recipient: str, mail: bytes) -> None:
        options = [f"SIZE={len(mail)}"] if self._client.supports_extension("size") else []
        options += ["BODY=8BITMIME"] if self.offers_eight_bit and not mail.isascii() else []
        with _failing_at(Stage.SENDER):
            await self._client.mail(sender, options=options, timeout=self._step_seconds)
        with _failing_at(Stage.RECIPIENT):
            await self._client.rcpt(recipient, timeout=self._step_seconds)

    async def _content(self, mail: bytes, before_end: Callable[[], Awaitable[None]]) -> Answer:
        """DATA, the mail, `before_end`, the dot. aiosmtplib's own `data` writes mail and dot at once."""
        with _failing_at(Stage.CONTENT):
            begun = await self._client.execute_command(b"DATA", timeout=self._step_seconds)
            if begun.code != _START_INPUT:
                raise _failed_by(Stage.CONTENT, begun.code, begun.message)
        protocol = self._client.protocol
        if protocol is None:
            raise SmtpFailed(Stage.CONTENT, None, Reason.CONNECT)
        # What came with the last answer would be taken for the next one, and a mail for taken that was refused.
        if protocol._buffer:  # noqa: SLF001 - aiosmtplib tells it in no other way
            self.abort()
            raise SmtpFailed(Stage.CONTENT, None, Reason.CONNECT)
        # Listening from now on: a server may refuse a mail, or hang up, before its end.
        answering = asyncio.ensure_future(protocol.read_response())
        try:
            with _failing_at(Stage.CONTENT):
                protocol.write(_with_doubled_dots(mail))
                await self._until_written(answering)
                if not answering.done():
                    await before_end()
                if answering.done():
                    early = answering.result()
                    self.abort()
                    raise _failed_by(Stage.CONTENT, early.code, early.message)
                protocol.write(b".\r\n")
            with _failing_at(Stage.END):
                answer = await asyncio.wait_for(answering, self._end_seconds)
        finally:
            answering.cancel()
        if 200 <= answer.code < 300:
            return Answer(answer.code, answer.message)
        raise _failed_by(Stage.END, answer.code, answer.message)

    async def _until_written(self, answering: "asyncio.Future[Any]") -> None:
        """Until the kernel has all of it. Only a large mail needs a look at all."""
        async with asyncio.timeout(self._content_seconds):
            while (
                isinstance(transport := self._client.transport, asyncio.WriteTransport)
                and transport.get_write_buffer_size() > 0
                and not answering.done()
            ):
                await asyncio.wait([answering], timeout=_DRAIN_LOOK_SECONDS)

    async def _reset(self) -> None:
        try:
            await self._client.rset(timeout=self._step_seconds)
        except (SMTPException, OSError):
            self.abort()

    async def close(self) -> None:
        """Say goodbye; how that is answered changes nothing."""
        if self.is_open:
            with suppress(SMTPException, OSError):
                await self._client.quit(timeout=_CLOSE_SECONDS)
        self.abort()

    def leave(self) -> None:
        """Say goodbye and wait for no answer."""
        if self._client.protocol is not None:
            with suppress(SMTPException):
                self._client.protocol.write(b"QUIT\r\n")
        self.abort()

    def abort(self) -> None:
        """End the connection where it is."""
        self._client.close()


async def open_session(
    server: SmtpServer,
    *,
    hello_name: str,
    tls_context: SSLContext,
    dial: Dial | None = None,
    step_seconds: float = STEP_SECONDS,
    content_seconds: float = CONTENT_SECONDS,
    end_seconds: float = END_SECONDS,
) -> SmtpSession:
    """A session that is encrypted and signed in as the server's settings say. Raises SmtpFailed, and what `dial` raises.

    `dial` connects to servers that sellers name (`OutgoingConnections.connect`); without it the system does. `hello_name` is the name
    that we give in EHLO.
    """
    address = {"port": server.port} if dial is None else {"sock": await dial(server.host, server.port)}
    client = SMTP(
        hostname=server.host,
        local_hostname=hello_name,
        use_tls=server.tls == "tls",
        # Never the default, which goes on without TLS when it is not offered.
        start_tls=False,
        tls_context=tls_context,
        timeout=step_seconds,
        **address,
    )
    try:
        with _failing_at(Stage.CONNECT):
            await client.connect()
        if server.tls == "starttls":
            with _failing_at(Stage.TLS):
                await client.starttls()
        with _failing_at(Stage.HELLO):
            await client.ehlo()
        if server.username is not None:
            with _failing_at(Stage.SIGN_IN):
                await client.login(
                    server.username, server.password.get_secret_value() if server.password else ""
                )
    except BaseException:
        client.close()
        raise
    return SmtpSession(
        client, step_seconds=step_seconds, content_seconds=content_seconds, end_seconds=end_seconds
    )


@contextmanager
def _failing_at(stage: Stage) -> Iterator[None]:
    """What the library raises, as SmtpFailed."""
    try:
        yield
    except (SMTPTimeoutError, TimeoutError) as error:
        raise SmtpFailed(stage, None, Reason.TIMEOUT) from error
    except SMTPNotSupported as error:
        # STARTTLS, or a way to sign in, is not offered: asked for all the same, the server would say so.
        raise SmtpFailed(stage, Answer(504, ""), None) from error
    except SMTPResponseException as error:
        raise _failed_by(stage, error.code, error.message) from error
    except (SMTPException, OSError, ValueError) as error:
        tls = error if isinstance(error, SSLError) else error.__cause__
        if isinstance(tls, SSLError):
            words = tls.verify_message if isinstance(tls, SSLCertVerificationError) else ""
            raise SmtpFailed(Stage.TLS, None, Reason.TLS, words) from error
        raise SmtpFailed(stage, None, Reason.TLS if stage is Stage.TLS else Reason.CONNECT) from error


def _failed_by(stage: Stage, code: int, words: str) -> SmtpFailed:
    """What a server's answer comes to. One that refuses nothing, or is none of SMTP's (RFC 5321 §4.2.1), answers something else than what
    was asked: the connection is of no use any more.
    """
    if 400 <= code < 600:
        return SmtpFailed(stage, Answer(code, words), None)
    return SmtpFailed(stage, None, Reason.CONNECT)


def _with_doubled_dots(mail: bytes) -> bytes:
    """RFC 5321 §4.5.2."""
    doubled = mail.replace(b"\r\n.", b"\r\n..")
    return b"." + doubled if doubled.startswith(b".") else doubled
