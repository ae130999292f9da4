"""One SMTP conversation: what each command may do, and which reply it gets (RFC 5321 §4.1.1).

Nothing about sender, recipient or content is ever logged.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

import structlog

from services.mailrelay.intake.journal import JournalFull, JournalUnavailable, MailNotStorable
from services.mailrelay.intake.recipients import AddressUncertain, RecipientsUnavailable
from services.mailrelay.smtp import replies
from services.mailrelay.smtp.command_parser import CommandRefused, parse_mail
from services.mailrelay.smtp.context import RelayContext
from services.mailrelay.smtp.limits import ClientQuota, MemoryExhausted
from services.mailrelay.smtp.reader import ClientReader, Disconnected, LineTooLong
from services.mailrelay.smtp.replies import Reply
from services.mailrelay.smtp.reply_writer import ReplyWriter
from services.mailrelay.smtp.session_state import SessionState
from services.mailrelay.smtp.transaction import Transaction
from shared.blobs import BlobsForbidden, BlobsFull, BlobsUnavailable
from shared.errors import Expected

log = structlog.get_logger()

REPLY_BY_ERROR: Final[dict[type[Expected], Reply]] = {
    RecipientsUnavailable: replies.DATABASE_AWAY,
    AddressUncertain: replies.ADDRESS_UNCERTAIN,
    JournalUnavailable: replies.DATABASE_AWAY,
    JournalFull: replies.QUEUE_FULL,
    BlobsUnavailable: replies.DATABASE_AWAY,
    BlobsForbidden: replies.DATABASE_AWAY,
    BlobsFull: replies.QUEUE_FULL,
    MemoryExhausted: replies.QUEUE_FULL,
    MailNotStorable: replies.UNFORESEEN,
}


class SessionEnded(Exception):
    """The session ends; `reason` is for log and metrics."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Dialogue:
    """Takes commands and writes their replies, and counts both against the client's quota: nobody else does.

    `start_tls` does the handshake after STARTTLS; `rearm_timer` is given the seconds after which a time may be over.
    """

    def __init__(
        self,
        context: RelayContext,
        state: SessionState,
        quota: ClientQuota,
        reader: ClientReader,
        writer: ReplyWriter,
        *,
        start_tls: Callable[[], Awaitable[None]],
        rearm_timer: Callable[[float], None],
    ) -> None:
        self._context = context
        self._settings = context.settings
        self._state = state
        self._quota = quota
        self._reader = reader
        self._writer = writer
        self._start_tls = start_tls
        self._rearm_timer = rearm_timer
        self._transaction: Transaction | None = None
        self.is_stopping = False

    def is_idle(self) -> bool:
        """Whether the session is between two mails and has sent every reply."""
        return self._transaction is None and self._writer.is_empty()

    async def run(self) -> None:
        """Greet, then answer commands for ever. Raises SessionEnded, LimitExceeded, Disconnected, ConnectionError."""
        reader, writer = self._reader, self._writer
        writer.write_text(f"220 {self._settings.smtp_hostname} ESMTP Replyco")
        while True:
            if not reader.has_line() or writer.is_full():
                await writer.flush(reader)
            if self.is_stopping and self._transaction is None:
                writer.write(replies.SHUTTING_DOWN)
                raise SessionEnded("stopped")
            reply = await self._next_reply()
            if reply is not None:
                await self._answer(reply)
            self._require_within_limits()

    async def _answer(self, reply: Reply) -> None:
        """Write the reply, and hold it back if the limits say so."""
        self._writer.write(reply)
        if delay_seconds := self._quota.count_reply(reply):
            await asyncio.sleep(delay_seconds)

    def _require_within_limits(self) -> None:
        """End the session if its last reply went over a limit. Raises LimitExceeded."""
        transaction = self._transaction
        self._quota.require_within_limits(
            has_recipient=transaction is not None and transaction.has_recipient()
        )

    async def _next_reply(self) -> Reply | None:
        """Read one command and carry it out. None: the command has written its reply itself."""
        try:
            line = await self._reader.read_line()
        except LineTooLong:
            self._state.trace.note("a line that is too long")
            return replies.LINE_TOO_LONG
        self._state.active_at = time.monotonic()
        self._state.trace.note_line(line)
        self._quota.count_command()
        return await self._carry_out(line)

    async def _carry_out(self, line: bytes) -> Reply | None:
        """Carry out a command. An error that nobody has foreseen is answered 451."""
        verb, _, argument = line.partition(b" ")
        try:
            command = self._COMMANDS.get(verb.strip().upper())
            if command is None:
                return replies.UNRECOGNIZED
            return await command(self, argument.decode("utf-8").strip(" \t"))
        except UnicodeDecodeError:
            return replies.NOT_UTF8
        except CommandRefused as refused:
            return refused.reply
        except Expected as expected:
            if isinstance(expected, BlobsUnavailable | BlobsFull):
                self._context.metrics.blob_failures.labels(expected.code).inc()
            return REPLY_BY_ERROR.get(type(expected), replies.UNFORESEEN)
        except (Disconnected, ConnectionError, SessionEnded):
            raise
        except Exception as error:  # the edge: a bug of ours must cost no mail
            log.exception("session_failed", session_id=self._state.id)
            if self._state.data_began_at is None:
                return replies.UNFORESEEN
            # Nobody knows where the mail ends: what follows must not be taken for commands.
            self._writer.write(replies.UNFORESEEN)
            raise SessionEnded("failed") from error

    async def _ehlo(self, argument: str) -> None:
        self._begin_session(argument)
        is_encrypted = self._state.tls_version is not None
        offers = (
            "PIPELINING",
            f"SIZE {self._settings.message_size_limit_bytes}",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            *(["STARTTLS"] if self._context.certificate is not None and not is_encrypted else []),
            "HELP",
        )
        lines = [f"250-{offer}\r\n" for offer in offers[:-1]] + [f"250 {offers[-1]}\r\n"]
        self._writer.write_text(f"250-{self._settings.smtp_hostname}", further_lines="".join(lines))

    async def _helo(self, argument: str) -> None:
        self._begin_session(argument)
        self._writer.write_text(f"250 {self._settings.smtp_hostname}")

    def _begin_session(self, argument: str) -> None:
        if not argument or not argument.isprintable():
            raise CommandRefused(replies.SYNTAX)
        self._state.helo = argument
        self._transaction = None

    async def _mail(self, argument: str) -> Reply:
        if self._state.helo is None:
            return replies.EHLO_FIRST
        if self._settings.tls_required and self._state.tls_version is None:
            return replies.TLS_FIRST
        if self._transaction is not None:
            return replies.MAIL_TWICE
        mail = parse_mail(argument, size_limit=self._settings.message_size_limit_bytes)
        self._state.has_begun_mail = True
        self._transaction = Transaction(mail, self._context, self._state, self._quota)
        return replies.SENDER_OK

    async def _rcpt(self, argument: str) -> Reply:
        if self._transaction is None:
            return replies.MAIL_FIRST
        await self._transaction.add_recipient(argument)
        return replies.RECIPIENT_OK

    async def _data(self, argument: str) -> Reply:
        transaction = self._transaction
        if argument:
            return replies.SYNTAX
        if transaction is None:
            return replies.MAIL_FIRST
        transaction.begin_data()
        self._writer.write_text(replies.START_MAIL)
        await self._writer.flush(self._reader)
        try:
            first_id = await transaction.receive(self._reader, self._rearm_timer)
        finally:
            self._transaction = None
        self._quota.count_accepted_mail()
        return replies.ACCEPTED.naming(first_id)

    async def _rset(self, argument: str) -> Reply:
        if argument:
            return replies.SYNTAX
        self._transaction = None
        return replies.OK

    async def _noop(self, _argument: str) -> Reply:
        return replies.OK

    async def _quit(self, argument: str) -> Reply:
        if argument:
            return replies.SYNTAX
        self._writer.write(replies.BYE)
        raise SessionEnded("quit")

    async def _vrfy(self, argument: str) -> Reply:
        return replies.CANNOT_VERIFY if argument else replies.SYNTAX

    async def _help(self, _argument: str) -> Reply:
        return replies.HELP

    async def _starttls(self, argument: str) -> Reply | None:
        if self._context.certificate is None:
            return replies.NOT_IMPLEMENTED
        if argument:
            return replies.SYNTAX
        if self._state.tls_version is not None:
            return replies.TLS_ALREADY
        await self._writer.flush(self._reader)
        self._writer.write(replies.START_TLS)
        self._writer.send()
        # Nothing is awaited between this and the handshake, so that nothing in plain text can come between.
        self._reader.discard_buffered()
        await self._start_tls()
        # RFC 3207 §4.2: nothing that the client sent before STARTTLS is used.
        self._state.helo = self._transaction = None
        self._state.active_at = time.monotonic()
        return None

    async def _not_implemented(self, _argument: str) -> Reply:
        return replies.NOT_IMPLEMENTED

    _COMMANDS: ClassVar[dict[bytes, Callable[["Dialogue", str], Awaitable[Reply | None]]]] = {
        b"EHLO": _ehlo,
        b"HELO": _helo,
        b"MAIL": _mail,
        b"RCPT": _rcpt,
        b"DATA": _data,
        b"RSET": _rset,
        b"NOOP": _noop,
        b"QUIT": _quit,
        b"VRFY": _vrfy,
        b"HELP": _help,
        b"STARTTLS": _starttls,
        **dict.fromkeys((b"EXPN", b"AUTH", b"BDAT", b"ETRN", b"TURN"), _not_implemented),
    }
