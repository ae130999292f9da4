"""One SMTP conversation: what each command may do, and which reply it gets.

aiosmtpd gives the connection its life; commands, replies, the reading of mails and STARTTLS are ours, because its own reader
takes a mail line by line in steps of 2 KB, and its replies carry no enhanced codes.
Nothing about sender, recipient or content is ever logged.
"""

import asyncio
import functools
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

import structlog
from aiosmtpd.smtp import SMTP
from typing_extensions import override

from services.mailrelay import replies
from services.mailrelay.commands import MailCommand, Malformed, parse_mail, parse_rcpt
from services.mailrelay.data_reader import DataReader
from services.mailrelay.incoming import STREAM_LIMIT_BYTES, Disconnected, Incoming, LineTooLong
from services.mailrelay.journal import Journal, JournalFull, JournalUnavailable, MailNotStorable
from services.mailrelay.limits import Bite, Enough, Guest, Limits, MemoryExhausted
from services.mailrelay.metrics import RelayMetrics
from services.mailrelay.proxy_protocol import ProxyHeaderWrong, read_client_address
from services.mailrelay.recipients import Recipient, Recipients, RecipientsUnavailable
from services.mailrelay.replies import Reply
from services.mailrelay.settings import RelaySettings
from services.mailrelay.storing import Origin, store
from services.mailrelay.tls import Certificate, HandshakeFailed, shake_hands
from shared.blobs import BlobsFull, BlobStore, BlobsUnavailable
from shared.crypto.raw_mail import MailPublicKey
from shared.errors import Expected

log = structlog.get_logger()

# Replies to pipelined commands are sent together, up to this many bytes.
_SEND_TOGETHER_BYTES: Final = 4096
# A mail that does not say its size is reckoned with this much until it shows.
_LEAST_MAIL_BYTES: Final = 4096
# A client that does not take the last reply is cut off after this time.
_LAST_REPLY_SECONDS: Final = 10

REPLY_BY_ERROR: Final[dict[type[Expected], Reply]] = {
    RecipientsUnavailable: replies.DATABASE_AWAY,
    JournalUnavailable: replies.DATABASE_AWAY,
    JournalFull: replies.QUEUE_FULL,
    BlobsUnavailable: replies.DATABASE_AWAY,
    BlobsFull: replies.QUEUE_FULL,
    MemoryExhausted: replies.QUEUE_FULL,
    MailNotStorable: replies.UNFORESEEN,
}


@dataclass(frozen=True, slots=True)
class Accepting:
    """What all sessions of a process share."""

    settings: RelaySettings
    mail_key: MailPublicKey
    recipients: Recipients
    journal: Journal
    metrics: RelayMetrics
    limits: Limits
    blobs: BlobStore
    # None: TLS is not set up.
    certificate: Certificate | None
    sessions: "set[RelaySession]" = field(default_factory=set)
    session_ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Transaction:
    """From MAIL to the end of the mail."""

    mail: MailCommand
    # By relay address: one that is named twice gets one copy.
    recipients: dict[Recipient, str] = field(default_factory=dict)
    has_refused: bool = False
    # A recipient was told to try again later; that must not become a "never" when DATA follows.
    is_put_off: bool = False


class _Finished(Exception):
    """The session ends; `reason` is for log and metrics."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _NoHooks:
    """aiosmtpd looks through a handler's names for hooks, at every connection; here there are none to find."""

    @override
    def __dir__(self) -> list[str]:
        return []


_NO_HOOKS: Final = _NoHooks()


class RelaySession(SMTP):
    line_length_limit = STREAM_LIMIT_BYTES

    @override
    def __dir__(self) -> list[str]:
        # So that aiosmtpd finds no commands and no AUTH of its own either: its search would cost 70 µs a connection.
        return []

    def __init__(self, accepting: Accepting) -> None:
        settings = accepting.settings
        super().__init__(
            _NO_HOOKS,
            hostname=settings.smtp_hostname,
            enable_SMTPUTF8=True,
            timeout=min(settings.idle_timeout_seconds, settings.session_timeout_seconds),
            loop=asyncio.get_running_loop(),
        )
        self._accepting = accepting
        self._settings = settings
        self._metrics = accepting.metrics
        self._id = secrets.token_hex(8)
        self._peer_address: IPv4Address | IPv6Address = ip_address("0.0.0.0")  # noqa: S104  # no listener: not known yet
        self._helo: str | None = None
        self._transaction: _Transaction | None = None
        self._outgoing = bytearray()
        self._is_stopping = False
        self._is_in_data = False
        self._guest: Guest | None = None
        self._data_bytes = 0
        self._is_shaking_hands = False
        self._tls_version: str | None = None
        self._reason = "disconnected"
        self._mails = self._mail_bytes = self._refusals = 0
        self._began = self._active = self._data_began = time.monotonic()
        self._commands: dict[bytes, Callable[[str], Awaitable[None]]] = {
            b"EHLO": self._ehlo,
            b"HELO": self._helo_command,
            b"MAIL": self._mail,
            b"RCPT": self._rcpt,
            b"DATA": self._data,
            b"RSET": self._rset,
            b"NOOP": self._noop,
            b"QUIT": self._quit,
            b"VRFY": self._vrfy,
            b"HELP": self._help,
            b"STARTTLS": self._starttls,
            **dict.fromkeys((b"EXPN", b"AUTH", b"BDAT", b"ETRN", b"TURN"), self._not_implemented),
        }

    # The connection's life

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        # None: the client has gone already. An IPv6 address may carry the interface's name, which inet has no place for.
        if peer is not None:
            self._peer_address = ip_address(str(peer[0]).partition("%")[0])
        self._accepting.sessions.add(self)
        self._metrics.sessions_open.inc()
        super().connection_made(transport)

    @override
    def connection_lost(self, error: Exception | None) -> None:
        if self not in self._accepting.sessions:
            # After a handshake that failed asyncio tells of the loss at times; we do so always.
            return
        super().connection_lost(error)
        self._accepting.sessions.discard(self)
        self._accepting.session_ended.set()
        if self._guest is not None:
            self._guest.leave()
            self._guest = None
        self._metrics.sessions_open.dec()
        self._metrics.sessions.labels(self._reason).inc()
        log.info(
            "session_ended",
            session_id=self._id,
            reason=self._reason,
            mails=self._mails,
            bytes=self._mail_bytes,
            refusals=self._refusals,
            seconds=round(time.monotonic() - self._began, 3),
            tls=self._tls_version,
        )

    @override
    def eof_received(self) -> bool | None:
        # Not aiosmtpd's, which drops the session here: who has said all he wants to say may still wait for replies.
        return asyncio.StreamReaderProtocol.eof_received(self)

    @override
    def _timeout_cb(self) -> None:
        """One timer a session: when it fires, it looks which time is over, and else when to look again."""
        if self.transport is not None and self.transport.is_closing():
            self._writer.transport.abort()
            return
        now = time.monotonic()
        ends = [(self._active + self._settings.idle_timeout_seconds, replies.TIMED_OUT)]
        if self._is_in_data:
            ends.append((self._data_began + self._settings.data_timeout_seconds, replies.TIMED_OUT))
            # Each byte that has come buys time.
            bought = (
                self._settings.data_grace_seconds + self._data_bytes / self._settings.data_rate_floor_bytes
            )
            ends.append((self._data_began + bought, replies.TOO_SLOW))
        else:
            ends.append((self._began + self._settings.session_timeout_seconds, replies.SESSION_TOO_LONG))
        end, reply = min(ends, key=lambda candidate: candidate[0])
        if end > now:
            self._reset_timeout(end - now)
            return
        if reply is replies.TOO_SLOW:
            self._accepting.limits.on_bite(Bite.DATA_RATE)
        self._break_off(reply, "timed_out")

    def stop(self) -> None:
        """The relay is stopping: a client between two mails is sent away, one within a mail may finish it."""
        self._is_stopping = True
        if self._transaction is None and not self._outgoing:
            self.stop_now()

    def stop_now(self) -> None:
        """The time for finishing is over."""
        self._break_off(replies.SHUTTING_DOWN, "stopped")

    def _break_off(self, reply: Reply, reason: str) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        self._reason = reason
        if not self._is_shaking_hands:
            self._writer.write(bytes(self._outgoing) + reply.line())
        self._outgoing.clear()
        self._close()

    def _close(self) -> None:
        if self.transport is not None:
            self.transport.close()
            self._reset_timeout(_LAST_REPLY_SECONDS)

    # The conversation

    @override
    async def _handle_client(self) -> None:
        incoming = Incoming(self._reader)
        self._incoming = incoming
        try:
            await self._hear_of_client()
            guest = self._guest = self._accepting.limits.admit(self._peer_address)
            self._write(f"220 {self._settings.smtp_hostname} ESMTP Replyco {self._id}\r\n".encode("ascii"))
            while True:
                if not incoming.has_line() or len(self._outgoing) > _SEND_TOGETHER_BYTES:
                    await self._flush()
                self._end_if_stopping()
                await self._answer_next(incoming, guest)
        except Disconnected:
            await self._end("disconnected")
        except _Finished as finished:
            await self._end(finished.reason)
        except ProxyHeaderWrong:
            await self._end("proxy_header_wrong")
        except Enough as enough:
            self._say(enough.reply)
            await self._end(enough.bite)
        except ConnectionError:
            await self._end("disconnected")

    async def _hear_of_client(self) -> None:
        """Behind a load balancer: whom the session is with. Raises ProxyHeaderWrong."""
        if any(self._peer_address in network for network in self._settings.proxy_protocol_from):
            seconds = self._settings.proxy_protocol_timeout_seconds
            client = await read_client_address(self._reader, timeout_seconds=seconds)
            self._peer_address = client or self._peer_address

    def _end_if_stopping(self) -> None:
        if self._is_stopping and self._transaction is None:
            self._say(replies.SHUTTING_DOWN)
            raise _Finished("stopped")

    async def _answer_next(self, incoming: Incoming, guest: Guest) -> None:
        """Read one command and answer it, later if the limits say so. Raises Enough when it was the last one."""
        await self._carry_out_next(incoming, guest)
        if pause := guest.pause_seconds():
            await asyncio.sleep(pause)
        transaction = self._transaction
        guest.stay(has_recipient=transaction is not None and bool(transaction.recipients))

    async def _carry_out_next(self, incoming: Incoming, guest: Guest) -> None:
        """Whatever goes wrong that nobody has thought of is a 451."""
        try:
            line = await incoming.line()
        except LineTooLong:
            self._say(replies.LINE_TOO_LONG)
            return
        self._active = time.monotonic()
        guest.command()
        verb, _, argument = line.partition(b" ")
        try:
            command = self._commands.get(verb.strip().upper())
            if command is None:
                self._say(replies.UNRECOGNIZED)
            else:
                await command(argument.decode("utf-8").strip(" \t"))
        except UnicodeDecodeError:
            self._say(replies.NOT_UTF8)
        except Malformed as malformed:
            self._say(malformed.reply)
        except Expected as expected:
            self._say(REPLY_BY_ERROR.get(type(expected), replies.UNFORESEEN), named=True)
        except (Disconnected, ConnectionError, _Finished):
            raise
        except Exception as error:  # the edge: a bug of ours must cost no mail
            log.exception("session_failed", session_id=self._id)
            self._say(replies.UNFORESEEN, named=True)
            if self._is_in_data:
                # Nobody knows where the mail ends: what follows must not be taken for commands.
                raise _Finished("failed") from error

    async def _end(self, reason: str) -> None:
        self._reason = reason
        if self.transport is not None and not self.transport.is_closing():
            self._writer.write(bytes(self._outgoing))
            self._close()

    def _say(self, reply: Reply, *, named: bool = False) -> None:
        if reply.code >= 400:
            self._refusals += 1
            self._metrics.refusals.labels(f"{reply.code} {reply.status}").inc()
            if self._guest is not None:
                self._guest.told(reply)
        self._write((reply.naming(self._id) if named else reply).line())

    def _write(self, data: bytes) -> None:
        self._outgoing += data

    async def _flush(self) -> None:
        if self._outgoing:
            self._writer.write(bytes(self._outgoing))
            self._outgoing.clear()
            if self._incoming.has_line():
                # Lets the other sessions run, too, when this client sends thousands of commands at once.
                await asyncio.sleep(0)
            await self._writer.drain()

    # Commands. RFC 5321 §4.1.1

    async def _ehlo(self, argument: str) -> None:
        self._greeted(argument)
        offers = (
            self._settings.smtp_hostname,
            "PIPELINING",
            f"SIZE {self._settings.message_size_limit_bytes}",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            *(["STARTTLS"] if self._accepting.certificate is not None and self._tls_version is None else []),
            "HELP",
        )
        lines = [f"250-{offer}\r\n" for offer in offers[:-1]] + [f"250 {offers[-1]}\r\n"]
        self._write("".join(lines).encode("ascii"))

    async def _helo_command(self, argument: str) -> None:
        self._greeted(argument)
        self._write(f"250 {self._settings.smtp_hostname}\r\n".encode("ascii"))

    def _greeted(self, argument: str) -> None:
        if not argument or not argument.isprintable():
            raise Malformed(replies.SYNTAX)
        self._helo = argument
        self._transaction = None

    async def _mail(self, argument: str) -> None:
        if self._helo is None:
            raise Malformed(replies.EHLO_FIRST)
        if self._settings.tls_required and self._tls_version is None:
            raise Malformed(replies.TLS_FIRST)
        if self._transaction is not None:
            raise Malformed(replies.MAIL_TWICE)
        mail = parse_mail(argument, size_limit=self._settings.message_size_limit_bytes)
        self._transaction = _Transaction(mail)
        self._say(replies.SENDER_OK)

    async def _rcpt(self, argument: str) -> None:
        transaction = self._transaction
        if transaction is None:
            raise Malformed(replies.MAIL_FIRST)
        transaction.has_refused = True
        address = parse_rcpt(argument)
        if not address.isascii() and "SMTPUTF8" not in transaction.mail.options:
            raise Malformed(replies.NEEDS_SMTPUTF8)
        if len(transaction.recipients) >= self._settings.recipient_limit:
            raise Malformed(replies.TOO_MANY_RECIPIENTS)
        try:
            recipient = await self._accepting.recipients.find(address)
        except Exception:  # whatever it is, it is no "never"
            transaction.is_put_off = True
            raise
        if recipient is None:
            raise Malformed(replies.UNKNOWN_ADDRESS)
        transaction.recipients.setdefault(recipient, address)
        self._say(replies.RECIPIENT_OK)

    async def _data(self, argument: str) -> None:
        transaction = self._transaction
        if argument:
            raise Malformed(replies.SYNTAX)
        if transaction is None:
            raise Malformed(replies.MAIL_FIRST)
        if not transaction.recipients and transaction.is_put_off:
            raise RecipientsUnavailable
        if not transaction.recipients:
            raise Malformed(
                replies.NO_VALID_RECIPIENTS if transaction.has_refused else replies.RECIPIENT_FIRST
            )
        guest = self._guest
        assert guest is not None
        if not guest.hold(max(transaction.mail.size, _LEAST_MAIL_BYTES)):
            raise MemoryExhausted
        self._write(replies.START_MAIL)
        await self._flush()
        reader = DataReader(self._settings.message_size_limit_bytes)
        self._is_in_data = True
        self._data_began, self._data_bytes = time.monotonic(), 0
        settings = self._settings
        self._reset_timeout(
            min(settings.idle_timeout_seconds, settings.data_timeout_seconds, settings.data_grace_seconds)
        )
        await self._incoming.mail(reader, functools.partial(self._progress, reader, guest))
        self._is_in_data = False
        try:
            await self._take(transaction, reader)
            guest.delivered()
        finally:
            self._transaction = None
            guest.let_go()

    async def _take(self, transaction: _Transaction, reader: DataReader) -> None:
        """The whole mail is here: make it ours, then say so."""
        ended = self._active = time.monotonic()
        if reader.is_too_large:
            raise Malformed(replies.TOO_LARGE)
        if reader.is_discarded:
            raise MemoryExhausted
        content = reader.mail()
        origin = Origin(self._id, self._peer_address, self._helo or "", transaction.mail, self._tls_version)
        first_id = await store(
            content,
            transaction.recipients,
            origin,
            mail_key=self._accepting.mail_key,
            journal=self._accepting.journal,
            blobs=self._accepting.blobs,
            inline_limit_bytes=self._settings.inline_limit_bytes,
        )
        self._mails += 1
        self._mail_bytes += len(content)
        self._metrics.mails.inc()
        self._metrics.mail_bytes.inc(len(content))
        self._metrics.accept_seconds.observe(time.monotonic() - ended)
        self._say(replies.ACCEPTED.naming(first_id))

    def _progress(self, reader: DataReader, guest: Guest, received: int) -> None:
        self._active = time.monotonic()
        self._data_bytes += received
        if reader.is_too_large or reader.is_discarded:
            guest.let_go()
        elif not guest.hold(self._data_bytes):
            # Read on to the end all the same: a client that cannot speak now would take a broken connection for our fault.
            reader.discard()
            guest.let_go()

    async def _rset(self, argument: str) -> None:
        if argument:
            raise Malformed(replies.SYNTAX)
        self._transaction = None
        self._say(replies.OK)

    async def _noop(self, _argument: str) -> None:
        self._say(replies.OK)

    async def _quit(self, argument: str) -> None:
        if argument:
            raise Malformed(replies.SYNTAX)
        self._say(replies.BYE)
        raise _Finished("quit")

    async def _vrfy(self, argument: str) -> None:
        self._say(replies.CANNOT_VERIFY if argument else replies.SYNTAX)

    async def _help(self, _argument: str) -> None:
        self._say(replies.HELP)

    async def _starttls(self, argument: str) -> None:
        certificate = self._accepting.certificate
        if certificate is None:
            raise Malformed(replies.NOT_IMPLEMENTED)
        if argument:
            raise Malformed(replies.SYNTAX)
        if self._tls_version is not None:
            raise Malformed(replies.TLS_ALREADY)
        await self._flush()
        self._writer.write(replies.START_TLS.line())
        self._incoming.forget()
        self._is_shaking_hands = True
        try:
            self._tls_version = await shake_hands(
                self,
                self._reader,
                self._writer,
                certificate.context,
                timeout_seconds=self._settings.tls_handshake_timeout_seconds,
            )
        except HandshakeFailed as failed:
            self._metrics.handshakes.labels("failed").inc()
            asyncio.get_running_loop().call_soon(self.connection_lost, None)
            raise _Finished("handshake_failed") from failed
        finally:
            self._is_shaking_hands = False
        self._metrics.handshakes.labels(self._tls_version).inc()
        self.transport = self._writer.transport
        # RFC 3207 §4.2: nothing that was said before counts.
        self._helo = self._transaction = None
        self._active = time.monotonic()

    async def _not_implemented(self, _argument: str) -> None:
        self._say(replies.NOT_IMPLEMENTED)
