"""What went over the inbound mail server's connections: by this a test proves that a mail came exactly once."""

import asyncio
import re
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

MAX_TRANSACTIONS: Final = 10_000
MAX_COUNTED: Final = 200_000

_Key = TypeVar("_Key")
_MESSAGE_ID: Final = re.compile(rb"^message-id:[ \t\r\n]*(<[^>\r\n]{1,500}>)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One mail that came whole, up to its final dot. `answer` is what the client was told; None if it was told nothing."""

    at: datetime
    connection: int
    tls: str | None
    mail_from: str
    recipients: tuple[str, ...]
    message_id: str
    size: int
    is_taken: bool
    answer: str | None


class SmtpTraffic:
    """Counters of mails to buyers. The oldest entries by connection and by Message-ID are forgotten when there are very many."""

    def __init__(self) -> None:
        self._noted = asyncio.Event()
        self.forget()

    def forget(self) -> None:
        self.connections = 0
        self.tls_connections = 0
        self.commands_refused: Counter[str] = Counter()  # "RCPT 550"
        self.answers: Counter[str] = Counter()  # by the code after the final dot; "none"
        self.taken = 0
        self.taken_by_connection: OrderedDict[int, int] = OrderedDict()
        self.taken_by_message_id: OrderedDict[str, int] = OrderedDict()
        self.transactions: deque[Transaction] = deque(maxlen=MAX_TRANSACTIONS)

    def note(self, transaction: Transaction) -> None:
        self.transactions.append(transaction)
        self._noted.set()
        self._noted = asyncio.Event()
        self.answers[transaction.answer[:3] if transaction.answer else "none"] += 1
        if transaction.is_taken:
            self.taken += 1
            _count(self.taken_by_connection, transaction.connection)
            _count(self.taken_by_message_id, transaction.message_id)

    async def wait_for(self, count: int, seconds: float) -> None:
        """Until so many mails have come whole, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                while self.answers.total() < count:
                    await self._noted.wait()
        except TimeoutError:
            pass


def message_id_of(raw: bytes) -> str:
    """The Message-ID in angle brackets, found without parsing the mail; an empty string for none."""
    found = _MESSAGE_ID.search(raw, 0, max(raw.find(b"\r\n\r\n"), 0) or len(raw))
    return found.group(1).decode("ascii", "replace") if found is not None else ""


def _count(counts: OrderedDict[_Key, int], key: _Key) -> None:
    counts[key] = counts.get(key, 0) + 1
    if len(counts) > MAX_COUNTED:
        counts.popitem(last=False)
