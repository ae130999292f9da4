"""One mail, from MAIL to the reply to its last line (RFC 5321 §3.3)."""

import functools
import time
from collections.abc import Callable
from typing import Final

from services.mailrelay.intake.accept import Origin, store
from services.mailrelay.intake.recipients import Recipient, RecipientsUnavailable
from services.mailrelay.smtp import replies
from services.mailrelay.smtp.command_parser import MailCommand, Malformed, parse_rcpt
from services.mailrelay.smtp.context import Accepting
from services.mailrelay.smtp.data_reader import DataReader
from services.mailrelay.smtp.limits import Guest, MemoryExhausted
from services.mailrelay.smtp.reader import Incoming
from services.mailrelay.smtp.reply_writer import Outgoing
from services.mailrelay.smtp.session_state import Visit

# A mail that does not say its size is reckoned with this much until it shows.
_LEAST_MAIL_BYTES: Final = 4096


class Transaction:
    def __init__(
        self, mail: MailCommand, accepting: Accepting, visit: Visit, guest: Guest, outgoing: Outgoing
    ) -> None:
        self._mail = mail
        self._accepting = accepting
        self._visit = visit
        self._guest = guest
        self._outgoing = outgoing
        # By relay address: one that is named twice gets one copy.
        self._recipients: dict[Recipient, str] = {}
        self._has_refused = False
        # A recipient was told to try again later; that must not become a "never" when DATA follows.
        self._is_put_off = False

    def has_recipient(self) -> bool:
        return bool(self._recipients)

    async def add(self, argument: str) -> None:
        """RCPT. Raises Malformed and what `Recipients.find` raises."""
        self._has_refused = True
        address = parse_rcpt(argument)
        if not address.isascii() and "SMTPUTF8" not in self._mail.options:
            raise Malformed(replies.NEEDS_SMTPUTF8)
        if len(self._recipients) >= self._accepting.settings.recipient_limit:
            raise Malformed(replies.TOO_MANY_RECIPIENTS)
        try:
            recipient = await self._accepting.recipients.find(address)
        except Exception:  # whatever it is, it is no "never"
            self._is_put_off = True
            raise
        if recipient is None:
            raise Malformed(replies.UNKNOWN_ADDRESS)
        self._recipients.setdefault(recipient, address)
        self._outgoing.say(replies.RECIPIENT_OK)

    def begin(self) -> None:
        """DATA: may the text come? Raises Malformed, RecipientsUnavailable, MemoryExhausted."""
        if not self._recipients and self._is_put_off:
            raise RecipientsUnavailable
        if not self._recipients:
            raise Malformed(replies.NO_VALID_RECIPIENTS if self._has_refused else replies.RECIPIENT_FIRST)
        if not self._guest.hold(max(self._mail.size, _LEAST_MAIL_BYTES)):
            raise MemoryExhausted

    async def receive(self, incoming: Incoming, look_again: Callable[[float], None]) -> None:
        """Read the text to its end and make it ours, then say so. `look_again` is told when a time may be over.

        Raises Malformed and what `store` raises.
        """
        settings, visit = self._accepting.settings, self._visit
        reader = DataReader(settings.message_size_limit_bytes)
        visit.data_began, visit.data_bytes = time.monotonic(), 0
        look_again(
            min(settings.idle_timeout_seconds, settings.data_timeout_seconds, settings.data_grace_seconds)
        )
        await incoming.mail(reader, functools.partial(self._progress, reader))
        seconds, visit.data_began = time.monotonic() - visit.data_began, None
        try:
            await self._take(reader, seconds)
            self._guest.delivered()
        finally:
            self._guest.let_go()

    def _progress(self, reader: DataReader, received: int) -> None:
        visit = self._visit
        visit.active = time.monotonic()
        visit.data_bytes += received
        if reader.is_too_large or reader.is_discarded:
            self._guest.let_go()
        elif not self._guest.hold(visit.data_bytes):
            # Read on to the end all the same: a client that cannot speak now would take a broken connection for our fault.
            reader.discard()
            self._guest.let_go()

    async def _take(self, reader: DataReader, seconds: float) -> None:
        accepting, visit = self._accepting, self._visit
        ended = visit.active = time.monotonic()
        content = reader.mail()
        size = len(content) or visit.data_bytes
        visit.trace.note(f"a mail of {size:,} bytes in {seconds * 1000:.0f} ms")
        if reader.is_too_large:
            raise Malformed(replies.TOO_LARGE)
        if reader.is_discarded:
            raise MemoryExhausted
        first_id = await store(
            content,
            self._recipients,
            Origin(visit.id, visit.peer_address, visit.helo or "", self._mail, visit.tls_version),
            mail_key=accepting.mail_key,
            journal=accepting.journal,
            blobs=accepting.blobs,
            inline_limit_bytes=accepting.settings.inline_limit_bytes,
        )
        visit.mails += 1
        visit.mail_bytes += len(content)
        accepting.metrics.mails.inc()
        accepting.metrics.mail_bytes.inc(len(content))
        accepting.metrics.accept_seconds.observe(time.monotonic() - ended)
        self._outgoing.say(replies.ACCEPTED.naming(first_id))
