"""The sellers' mails to buyers that the sandbox has taken: each with its envelope and its bytes, parsed when somebody looks.

What decides about every reply is read from the header alone, because a whole mail takes Python's parser milliseconds, and the
sandbox takes many in a second.
"""

import asyncio
import email
import email.policy
import email.utils
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage, Message, MIMEPart
from enum import StrEnum
from functools import cached_property
from typing import Final
from uuid import uuid4

from services.sandbox.mail.smtp_traffic import message_id_of
from services.sandbox.state.sellers import Order, Seller
from services.sandbox.state.threads import File

MAX_REPLIES: Final = 10_000
MAX_BYTES_KEPT: Final = 200 * 1024 * 1024
_MAX_TEXT_CHARS: Final = 100_000


class ReplyState(StrEnum):
    """What has become of a reply: the buyer has it (`shown`), or Amazon told its sender why not, or nobody was told anything."""

    ARRIVED = "arrived"
    HELD = "held"
    SHOWN = "shown"
    NOT_SHOWN = "not_shown"
    FAILED = "failed"
    BOUNCED = "bounced"


@dataclass(frozen=True, slots=True)
class ReplyContent:
    """A mail as a mail program reads it."""

    headers: tuple[tuple[str, str], ...]
    text: str
    html: str
    files: tuple[File, ...]
    is_readable: bool = True

    def header(self, name: str) -> str:
        """The first header of that name, or an empty string."""
        return next((value for known, value in self.headers if known.lower() == name), "")


@dataclass
class ReceivedReply:
    """One mail to one buyer. `connection` is the number of the SMTP connection, `tls` its version or None."""

    seller: Seller
    order: Order
    received_at: datetime
    connection: int
    tls: str | None
    mail_from: str
    mail_options: tuple[str, ...]
    recipient: str
    raw: bytes
    state: ReplyState = ReplyState.ARRIVED
    reason: str | None = None
    release_at: datetime | None = None
    reply_id: str = field(default_factory=lambda: uuid4().hex)

    @cached_property
    def message_id(self) -> str:
        return message_id_of(self.raw)

    @cached_property
    def senders(self) -> tuple[str, ...]:
        """The addresses in From, in all header fields of that name."""
        fields = (str(value) for value in self._header.get_all("from", []))
        return tuple(address for _, address in email.utils.getaddresses(list(fields)))

    @cached_property
    def files(self) -> tuple[File, ...]:
        may_have_files = self._header.get_content_type() not in {"text/plain", "multipart/alternative"}
        return self.content.files if may_have_files else ()

    @cached_property
    def content(self) -> ReplyContent:
        return read_content(self.raw)

    @cached_property
    def _header(self) -> Message:
        header = self.raw.partition(b"\r\n\r\n")[0]
        return email.message_from_bytes(header, policy=email.policy.compat32)


class ReceivedReplies:
    """The last replies, oldest first."""

    def __init__(self, *, max_replies: int = MAX_REPLIES, max_bytes: int = MAX_BYTES_KEPT) -> None:
        self._max_replies = max_replies
        self._max_bytes = max_bytes
        self._by_id: OrderedDict[str, ReceivedReply] = OrderedDict()
        self._bytes_kept = 0
        self._changed = asyncio.Condition()

    def add(self, reply: ReceivedReply) -> None:
        self._by_id[reply.reply_id] = reply
        self._bytes_kept += len(reply.raw)
        while len(self._by_id) > self._max_replies or self._bytes_kept > self._max_bytes:
            _, oldest = self._by_id.popitem(last=False)
            self._bytes_kept -= len(oldest.raw)

    def get(self, reply_id: str) -> ReceivedReply | None:
        return self._by_id.get(reply_id)

    def all(self) -> list[ReceivedReply]:
        return list(self._by_id.values())

    async def tell_change(self) -> None:
        """Wake those who wait: a reply has another state."""
        async with self._changed:
            self._changed.notify_all()

    async def wait_for(
        self, wanted: Callable[[ReceivedReply], bool], count: int, seconds: float
    ) -> list[ReceivedReply]:
        """The wanted replies as soon as there are `count` of them, or as many as there are after `seconds`."""

        def found() -> list[ReceivedReply]:
            return [reply for reply in self._by_id.values() if wanted(reply)]

        if seconds > 0:
            try:
                async with asyncio.timeout(seconds), self._changed:
                    await self._changed.wait_for(lambda: len(found()) >= count)
            except TimeoutError:
                pass
        return found()

    def forget(self) -> None:
        self._by_id.clear()
        self._bytes_kept = 0


def read_content(raw: bytes) -> ReplyContent:
    """The parts of a mail. One that Python's parser stumbles over has its bytes as text."""
    try:
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        headers = tuple((name, str(value)) for name, value in mail.items())
        plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
        return ReplyContent(
            headers=headers,
            text=_text_of(plain),
            html=_text_of(html),
            files=tuple(_file_of(part) for part in mail.iter_attachments()) if mail.is_multipart() else (),
        )
    except (LookupError, ValueError, AttributeError, TypeError, AssertionError):
        text = raw.decode("utf-8", "replace")[:_MAX_TEXT_CHARS]
        return ReplyContent((), text, "", (), is_readable=False)


def _text_of(part: MIMEPart | None) -> str:
    if part is None:
        return ""
    return str(part.get_content()).replace("\r\n", "\n")[:_MAX_TEXT_CHARS]


def _file_of(part: MIMEPart) -> File:
    content = part.get_payload(decode=True)
    return File(
        filename=part.get_filename() or "",
        content_type=part.get_content_type(),
        content=content if isinstance(content, bytes) else part.as_bytes(),
    )
