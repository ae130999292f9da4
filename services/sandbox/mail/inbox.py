"""The inbox: mail to anybody but Amazon's buyers is kept in memory, and shown. Nothing is sent on.

In development the connector's mails to sellers end up here, and tests read them here.
"""

import asyncio
import email
import email.policy
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import uuid4

from aiosmtpd.smtp import Envelope

MAX_RECEIVED: Final = 500
MAX_RECEIVED_BYTES: Final = 100 * 1024 * 1024
_MAX_TEXT_CHARS: Final = 100_000


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

    async def take(self, envelope: Envelope, recipients: list[str]) -> str:
        """Keep a mail to these recipients. Returns what the mail server answers."""
        raw = envelope.original_content or b""
        headers, text = _read(raw)
        mail = ReceivedMail(
            mail_id=uuid4().hex,
            received_at=self._now(),
            mail_from=envelope.mail_from or "",
            recipients=tuple(recipients),
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
