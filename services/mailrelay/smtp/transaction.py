"""One mail, from MAIL to the reply to its last line (RFC 5321 §3.3)."""

import asyncio
import functools
import time
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from services.mailrelay.intake.accept import Origin, store_mail
from services.mailrelay.intake.recipients import Recipient, RecipientsUnavailable
from services.mailrelay.smtp import replies
from services.mailrelay.smtp.command_parser import CommandRefused, MailCommand, parse_rcpt
from services.mailrelay.smtp.context import RelayContext
from services.mailrelay.smtp.data_reader import DataReader
from services.mailrelay.smtp.limits import ClientQuota, MemoryExhausted
from services.mailrelay.smtp.reader import ClientReader
from services.mailrelay.smtp.session_state import SessionState
from shared import tracing

# A mail whose size was not declared reserves this much until its bytes show.
_LEAST_MAIL_BYTES: Final = 4096


class Transaction:
    """One mail from MAIL to the end of DATA. It reserves memory from the client's quota; the Dialogue counts commands and replies."""

    def __init__(
        self, mail: MailCommand, context: RelayContext, state: SessionState, quota: ClientQuota
    ) -> None:
        self._mail = mail
        self._context = context
        self._state = state
        self._quota = quota
        self._began_at = time.monotonic()
        # By relay address: one that is named twice gets one copy.
        self._recipients: dict[Recipient, str] = {}
        self._has_refused_recipient = False
        # Why a recipient got a 4yz reply, which must not become a 5yz when DATA follows.
        self._deferral: Exception | None = None

    def has_recipient(self) -> bool:
        return bool(self._recipients)

    async def add_recipient(self, argument: str) -> None:
        """RCPT. Raises CommandRefused and what `Recipients.find` raises."""
        self._has_refused_recipient = True
        address = parse_rcpt(argument)
        if not address.isascii() and "SMTPUTF8" not in self._mail.options:
            raise CommandRefused(replies.NEEDS_SMTPUTF8)
        if len(self._recipients) >= self._context.settings.recipient_limit:
            raise CommandRefused(replies.TOO_MANY_RECIPIENTS)
        try:
            recipient = await self._context.recipients.find(address)
        except Exception:  # whatever it is, it is no "never"
            self._deferral = RecipientsUnavailable()
            raise
        if recipient is None:
            raise CommandRefused(replies.UNKNOWN_ADDRESS)
        if not self._quota.may_send_to(recipient.relay_address_id):
            self._deferral = CommandRefused(replies.TOO_MUCH_MAIL)
            raise self._deferral
        self._recipients.setdefault(recipient, address)

    def begin_data(self) -> None:
        """DATA: may the text come? Raises CommandRefused, RecipientsUnavailable, MemoryExhausted."""
        if not self._recipients and self._deferral is not None:
            raise self._deferral
        if not self._recipients:
            raise CommandRefused(
                replies.NO_VALID_RECIPIENTS if self._has_refused_recipient else replies.RECIPIENT_FIRST
            )
        if not self._quota.reserve_memory(max(self._mail.size, _LEAST_MAIL_BYTES)):
            raise MemoryExhausted

    async def receive(self, reader: ClientReader, rearm_timer: Callable[[float], None]) -> str:
        """Read the text to its end and make it ours; the id that the mail is accepted as.

        `rearm_timer` is given the seconds after which a time may be over. Raises CommandRefused and what `store_mail` raises.
        """
        settings, state = self._context.settings, self._state
        data_reader = DataReader(settings.message_size_limit_bytes)
        state.data_began_at, state.data_bytes = time.monotonic(), 0
        rearm_timer(
            min(settings.idle_timeout_seconds, settings.data_timeout_seconds, settings.data_grace_seconds)
        )
        await reader.read_mail(data_reader, functools.partial(self._on_progress, data_reader))
        seconds, state.data_began_at = time.monotonic() - state.data_began_at, None
        try:
            return await self._accept(data_reader, seconds)
        finally:
            self._quota.release_memory()

    def _on_progress(self, data_reader: DataReader, received: int) -> None:
        state = self._state
        state.active_at = time.monotonic()
        state.data_bytes += received
        if data_reader.is_too_large or data_reader.is_discarded:
            self._quota.release_memory()
        elif not self._quota.reserve_memory(state.data_bytes):
            # Read on to the end all the same: a client that is sending takes a broken connection for our fault.
            data_reader.discard()
            self._quota.release_memory()

    async def _accept(self, data_reader: DataReader, seconds: float) -> str:
        context, state = self._context, self._state
        data_ended_at = state.active_at = time.monotonic()
        content = data_reader.take_mail()
        size = len(content) or state.data_bytes
        state.trace.note(f"a mail of {size:,} bytes in {seconds * 1000:.0f} ms")
        if data_reader.is_too_large:
            raise CommandRefused(replies.TOO_LARGE)
        if data_reader.is_discarded:
            raise MemoryExhausted
        mail = self._mail
        addresses = [recipient.relay_address_id for recipient in self._recipients]
        try:
            ids = await store_mail(
                content,
                self._recipients,
                Origin(
                    session_id=state.id,
                    peer_address=state.peer_address,
                    helo=state.helo or "",
                    sender=mail.address,
                    mail_options=mail.options,
                    tls_version=state.tls_version,
                    is_known_network=self._quota.is_known,
                ),
                journal=context.journal,
                blobs=context.blobs,
                inline_limit_bytes=context.settings.inline_limit_bytes,
            )
        except asyncio.CancelledError:
            # The client did not wait for the reply. Its mail may be stored all the same, so that it counts.
            self._quota.count_mail(addresses, len(content))
            raise
        self._quota.count_mail(addresses, len(content))
        state.mails += 1
        state.mail_bytes += len(content)
        context.metrics.mails.inc()
        context.metrics.mail_bytes.inc(len(content))
        context.metrics.accept_seconds.observe(time.monotonic() - data_ended_at)
        if tracing.is_on():
            self._trace(ids, len(content), data_began_at=data_ended_at - seconds, data_ended_at=data_ended_at)
        return str(ids[0])

    def _trace(self, ids: Sequence[UUID], size: int, *, data_began_at: float, data_ended_at: float) -> None:
        """Each recipient's copy is a mail of its own from here on, with a trace of its own."""
        for mail_id, recipient in zip(ids, self._recipients, strict=True):
            tracing.record(
                "accept mail",
                mail_id,
                began=self._began_at,
                is_root=True,
                mail_id=mail_id,
                account_id=recipient.account_id,
                session_id=self._state.id,
                size=size,
                recipients=len(ids),
                tls_version=self._state.tls_version,
            )
            tracing.record("read mail", mail_id, began=data_began_at, ended=data_ended_at)
            tracing.record("store mail", mail_id, began=data_ended_at)
