"""What buyer and seller wrote to each other about each order, as the buyer sees it. Bounded: the oldest messages are forgotten."""

import hashlib
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import uuid4

MAX_MESSAGES: Final = 20_000
MAX_BYTES: Final = 200 * 1024 * 1024


class Author(StrEnum):
    """Who wrote a message, and which way it came."""

    BUYER = "buyer"
    SELLER_BY_MAIL = "seller_by_mail"
    SELLER_CENTRAL = "seller_central"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a message."""

    filename: str
    content_type: str
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class ThreadMessage:
    """A message that has arrived. `mail_message_id` is without angle brackets."""

    author: Author
    at: datetime
    text: str
    files: tuple[File, ...]
    mail_message_id: str
    message_key: str

    @property
    def size(self) -> int:
        return len(self.text) + sum(len(file.content) for file in self.files)


class Threads:
    """The messages of all orders."""

    def __init__(self, *, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._by_order: dict[str, deque[ThreadMessage]] = {}
        self._arrived: deque[tuple[str, int]] = deque()  # order id, size; oldest first
        self._bytes_kept = 0

    def messages(self, order_id: str) -> list[ThreadMessage]:
        """The messages about an order, oldest first."""
        return list(self._by_order.get(order_id, ()))

    def add(
        self,
        order_id: str,
        author: Author,
        *,
        at: datetime,
        text: str,
        mail_message_id: str,
        files: tuple[File, ...] = (),
    ) -> ThreadMessage:
        message = ThreadMessage(author, at, text, files, mail_message_id, uuid4().hex)
        self._by_order.setdefault(order_id, deque()).append(message)
        self._arrived.append((order_id, message.size))
        self._bytes_kept += message.size
        while len(self._arrived) > self._max_messages or self._bytes_kept > self._max_bytes:
            oldest_order, size = self._arrived.popleft()
            self._by_order[oldest_order].popleft()
            self._bytes_kept -= size
        return message

    def last_of_seller(self, order_id: str) -> ThreadMessage | None:
        """The seller's newest message about an order."""
        written = reversed(self._by_order.get(order_id, ()))
        return next((message for message in written if message.author is not Author.BUYER), None)
