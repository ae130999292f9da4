"""Inbound mail: whatever is sent to anybody by SMTP is accepted, kept in memory, and shown. Nothing is sent on.

In development the connector's mails to sellers end up here, and tests read them here.
"""

import asyncio
import email
import email.policy
import socket
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import uuid4

from aiosmtpd.smtp import SMTP, Envelope, Session

MAX_RECEIVED: Final = 500
MAX_RECEIVED_BYTES: Final = 100 * 1024 * 1024
MAX_MAIL_BYTES: Final = 16 * 1024 * 1024
MAX_RECIPIENTS: Final = 100
_MAX_TEXT_CHARS: Final = 100_000
_IDLE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """A received mail: its envelope, its bytes, and what a mail program would show of them."""

    mail_id: str
    received_at: datetime
    mail_from: str
    recipients: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]
    text: str
    raw: bytes

    def header(self, name: str) -> str:
        """The first header of that name, or an empty string."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), "")


class Inbox:
    """The last mails that were received, oldest first."""

    def __init__(self, now: Callable[[], datetime], *, max_mails: int = MAX_RECEIVED) -> None:
        self._now = now
        self._max_mails = max_mails
        self.mails: OrderedDict[str, ReceivedMail] = OrderedDict()
        self._bytes_kept = 0
        self._arrived = asyncio.Condition()

    def mails_to(self, address: str | None) -> list[ReceivedMail]:
        """The mails to this address, or all of them if it is None."""
        return [
            mail
            for mail in self.mails.values()
            if address is None or address.lower() in (recipient.lower() for recipient in mail.recipients)
        ]

    async def wait_for(self, address: str | None, count: int, seconds: float) -> list[ReceivedMail]:
        """The mails to this address as soon as there are `count` of them, or as many as there are after `seconds`."""
        try:
            async with asyncio.timeout(seconds), self._arrived:
                await self._arrived.wait_for(lambda: len(self.mails_to(address)) >= count)
        except TimeoutError:
            pass
        return self.mails_to(address)

    def forget(self) -> None:
        self.mails.clear()
        self._bytes_kept = 0

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Called by aiosmtpd with each recipient; any address is accepted."""
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Called by aiosmtpd with each mail."""
        raw = envelope.original_content or b""
        headers, text = _read(raw)
        mail = ReceivedMail(
            mail_id=uuid4().hex,
            received_at=self._now(),
            mail_from=envelope.mail_from or "",
            recipients=tuple(envelope.rcpt_tos),
            headers=headers,
            text=text,
            raw=raw,
        )
        self.mails[mail.mail_id] = mail
        self._bytes_kept += len(raw)
        while len(self.mails) > self._max_mails or self._bytes_kept > MAX_RECEIVED_BYTES:
            _, oldest = self.mails.popitem(last=False)
            self._bytes_kept -= len(oldest.raw)
        async with self._arrived:
            self._arrived.notify_all()
        return f"250 2.0.0 Accepted {mail.mail_id}"

    @asynccontextmanager
    async def listening(self, listener: socket.socket) -> AsyncIterator[None]:
        """Take mails at this socket as long as the block lasts."""

        def serve() -> SMTP:
            return SMTP(
                self,
                data_size_limit=MAX_MAIL_BYTES,
                enable_SMTPUTF8=True,
                hostname="sandbox.localhost",
                ident="sandbox",
                timeout=_IDLE_SECONDS,
                loop=asyncio.get_running_loop(),
            )

        server = await asyncio.get_running_loop().create_server(serve, sock=listener)
        try:
            yield
        finally:
            server.close()


def _read(raw: bytes) -> tuple[tuple[tuple[str, str], ...], str]:
    """Headers and text. A mail that Python's parser stumbles over is shown as it came."""
    try:
        message = email.message_from_bytes(raw, policy=email.policy.default)
        headers = tuple((name, str(value)) for name, value in message.items())
        body = message.get_body(preferencelist=("plain", "html"))
        text = str(body.get_content()) if body is not None else ""
    except (LookupError, ValueError, AttributeError):
        return (), raw.decode("utf-8", "replace")[:_MAX_TEXT_CHARS]
    return headers, text[:_MAX_TEXT_CHARS]
