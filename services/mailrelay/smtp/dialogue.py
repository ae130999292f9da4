"""One SMTP conversation: what each command may do, and which reply it gets (RFC 5321 §4.1.1).

Nothing about sender, recipient or content is ever logged.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

import structlog

from services.mailrelay.intake.journal import JournalFull, JournalUnavailable, MailNotStorable
from services.mailrelay.intake.recipients import RecipientsUnavailable
from services.mailrelay.smtp import replies
from services.mailrelay.smtp.command_parser import Malformed, parse_mail
from services.mailrelay.smtp.context import Accepting
from services.mailrelay.smtp.limits import Guest, MemoryExhausted
from services.mailrelay.smtp.reader import Disconnected, Incoming, LineTooLong
from services.mailrelay.smtp.replies import Reply
from services.mailrelay.smtp.reply_writer import Outgoing
from services.mailrelay.smtp.session_state import Visit
from services.mailrelay.smtp.transaction import Transaction
from shared.blobs import BlobsFull, BlobsUnavailable
from shared.errors import Expected

log = structlog.get_logger()

REPLY_BY_ERROR: Final[dict[type[Expected], Reply]] = {
    RecipientsUnavailable: replies.DATABASE_AWAY,
    JournalUnavailable: replies.DATABASE_AWAY,
    JournalFull: replies.QUEUE_FULL,
    BlobsUnavailable: replies.DATABASE_AWAY,
    BlobsFull: replies.QUEUE_FULL,
    MemoryExhausted: replies.QUEUE_FULL,
    MailNotStorable: replies.UNFORESEEN,
}


class Finished(Exception):
    """The session ends; `reason` is for log and metrics."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Dialogue:
    """`encrypt` does the handshake after STARTTLS; `look_again` is told when a time may be over."""

    def __init__(
        self,
        accepting: Accepting,
        visit: Visit,
        guest: Guest,
        incoming: Incoming,
        outgoing: Outgoing,
        *,
        encrypt: Callable[[], Awaitable[None]],
        look_again: Callable[[float], None],
    ) -> None:
        self._accepting = accepting
        self._settings = accepting.settings
        self._visit = visit
        self._guest = guest
        self._incoming = incoming
        self._outgoing = outgoing
        self._encrypt = encrypt
        self._look_again = look_again
        self._transaction: Transaction | None = None
        self.is_stopping = False

    def is_idle(self) -> bool:
        """Between two mails, and nothing left to say."""
        return self._transaction is None and self._outgoing.is_empty()

    async def run(self) -> None:
        """Answer commands, for ever. Raises Finished, Enough, Disconnected, ConnectionError."""
        incoming, outgoing = self._incoming, self._outgoing
        outgoing.write(f"220 {self._settings.smtp_hostname} ESMTP Replyco")
        while True:
            if not incoming.has_line() or outgoing.is_much():
                await outgoing.flush(incoming)
            if self.is_stopping and self._transaction is None:
                outgoing.say(replies.SHUTTING_DOWN)
                raise Finished("stopped")
            await self._answer_next()

    async def _answer_next(self) -> None:
        """Read one command and answer it, later if the limits say so. Raises Enough when it was the last one."""
        await self._carry_out_next()
        if pause := self._guest.pause_seconds():
            await asyncio.sleep(pause)
        transaction = self._transaction
        self._guest.stay(has_recipient=transaction is not None and transaction.has_recipient())

    async def _carry_out_next(self) -> None:
        """Whatever goes wrong that nobody has thought of is a 451."""
        say = self._outgoing.say
        try:
            line = await self._incoming.line()
        except LineTooLong:
            self._visit.trace.note("a line that is too long")
            say(replies.LINE_TOO_LONG)
            return
        self._visit.active = time.monotonic()
        self._visit.trace.note_line(line)
        self._guest.command()
        verb, _, argument = line.partition(b" ")
        try:
            command = self._COMMANDS.get(verb.strip().upper())
            if command is None:
                say(replies.UNRECOGNIZED)
            else:
                await command(self, argument.decode("utf-8").strip(" \t"))
        except UnicodeDecodeError:
            say(replies.NOT_UTF8)
        except Malformed as malformed:
            say(malformed.reply)
        except Expected as expected:
            if isinstance(expected, BlobsUnavailable | BlobsFull):
                self._accepting.metrics.blob_failures.labels(expected.code).inc()
            say(REPLY_BY_ERROR.get(type(expected), replies.UNFORESEEN))
        except (Disconnected, ConnectionError, Finished):
            raise
        except Exception as error:  # the edge: a bug of ours must cost no mail
            log.exception("session_failed", session_id=self._visit.id)
            say(replies.UNFORESEEN)
            if self._visit.data_began is not None:
                # Nobody knows where the mail ends: what follows must not be taken for commands.
                raise Finished("failed") from error

    async def _ehlo(self, argument: str) -> None:
        self._greeted(argument)
        is_encrypted = self._visit.tls_version is not None
        offers = (
            "PIPELINING",
            f"SIZE {self._settings.message_size_limit_bytes}",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            *(["STARTTLS"] if self._accepting.certificate is not None and not is_encrypted else []),
            "HELP",
        )
        lines = [f"250-{offer}\r\n" for offer in offers[:-1]] + [f"250 {offers[-1]}\r\n"]
        self._outgoing.write(f"250-{self._settings.smtp_hostname}", further="".join(lines))

    async def _helo(self, argument: str) -> None:
        self._greeted(argument)
        self._outgoing.write(f"250 {self._settings.smtp_hostname}")

    def _greeted(self, argument: str) -> None:
        if not argument or not argument.isprintable():
            raise Malformed(replies.SYNTAX)
        self._visit.helo = argument
        self._transaction = None

    async def _mail(self, argument: str) -> None:
        if self._visit.helo is None:
            raise Malformed(replies.EHLO_FIRST)
        if self._settings.tls_required and self._visit.tls_version is None:
            raise Malformed(replies.TLS_FIRST)
        if self._transaction is not None:
            raise Malformed(replies.MAIL_TWICE)
        mail = parse_mail(argument, size_limit=self._settings.message_size_limit_bytes)
        self._transaction = Transaction(mail, self._accepting, self._visit, self._guest, self._outgoing)
        self._outgoing.say(replies.SENDER_OK)

    async def _rcpt(self, argument: str) -> None:
        if self._transaction is None:
            raise Malformed(replies.MAIL_FIRST)
        await self._transaction.add(argument)

    async def _data(self, argument: str) -> None:
        transaction = self._transaction
        if argument:
            raise Malformed(replies.SYNTAX)
        if transaction is None:
            raise Malformed(replies.MAIL_FIRST)
        transaction.begin()
        self._outgoing.write(replies.START_MAIL)
        await self._outgoing.flush(self._incoming)
        try:
            await transaction.receive(self._incoming, self._look_again)
        finally:
            self._transaction = None

    async def _rset(self, argument: str) -> None:
        if argument:
            raise Malformed(replies.SYNTAX)
        self._transaction = None
        self._outgoing.say(replies.OK)

    async def _noop(self, _argument: str) -> None:
        self._outgoing.say(replies.OK)

    async def _quit(self, argument: str) -> None:
        if argument:
            raise Malformed(replies.SYNTAX)
        self._outgoing.say(replies.BYE)
        raise Finished("quit")

    async def _vrfy(self, argument: str) -> None:
        self._outgoing.say(replies.CANNOT_VERIFY if argument else replies.SYNTAX)

    async def _help(self, _argument: str) -> None:
        self._outgoing.say(replies.HELP)

    async def _starttls(self, argument: str) -> None:
        if self._accepting.certificate is None:
            raise Malformed(replies.NOT_IMPLEMENTED)
        if argument:
            raise Malformed(replies.SYNTAX)
        if self._visit.tls_version is not None:
            raise Malformed(replies.TLS_ALREADY)
        await self._outgoing.flush(self._incoming)
        self._outgoing.say(replies.START_TLS)
        self._outgoing.send()
        # Nothing is awaited between this and the handshake, so that nothing in plain text can come between.
        self._incoming.forget()
        await self._encrypt()
        # RFC 3207 §4.2: nothing that was said before counts.
        self._visit.helo = self._transaction = None
        self._visit.active = time.monotonic()

    async def _not_implemented(self, _argument: str) -> None:
        self._outgoing.say(replies.NOT_IMPLEMENTED)

    _COMMANDS: ClassVar[dict[bytes, Callable[["Dialogue", str], Awaitable[None]]]] = {
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
