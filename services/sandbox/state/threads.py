"""What buyer and seller wrote to each other about each order, as the buyer sees it. Bounded: the oldest messages are forgotten."""

import hashlib
from collections import deque
from collections.abc import Callable
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
class Written:
    """What a message consists of."""

    text: str
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class ThreadMessage:
    """A message that has arrived. `mail_message_id` is without angle brackets; `read` is called by whoever looks at the message."""

    author: Author
    at: datetime
    mail_message_id: str
    read: Callable[[], Written]
    message_key: str

    @property
    def text(self) -> str:
        return self.read().text

    @property
    def files(self) -> tuple[File, ...]:
        return self.read().files


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
        mail_message_id: str,
        read: Callable[[], Written],
        size: int,
    ) -> None:
        """Add a message of this size in bytes."""
        message = ThreadMessage(author, at, mail_message_id, read, uuid4().hex)
        self._by_order.setdefault(order_id, deque()).append(message)
        self._arrived.append((order_id, size))
        self._bytes_kept += size
        while len(self._arrived) > self._max_messages or self._bytes_kept > self._max_bytes:
            oldest_order, size = self._arrived.popleft()
            self._by_order[oldest_order].popleft()
            self._bytes_kept -= size

    def has_buyers(self, order_id: str) -> bool:
        """Whether the buyer wrote about an order."""
        return any(message.author is Author.BUYER for message in self._by_order.get(order_id, ()))

    def last_of_seller(self, order_id: str) -> ThreadMessage | None:
        """The seller's newest message about an order."""
        written = reversed(self._by_order.get(order_id, ()))
        return next((message for message in written if message.author is not Author.BUYER), None)
