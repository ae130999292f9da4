"""Queues as SQS has them: notices are given out, hidden for a while, and given out again unless they are removed. In memory, bounded."""

import asyncio
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

MAX_NOTICES: Final = 50_000
# The queue that the application registered for what concerns itself; it is always there.
APPLICATION_QUEUE: Final = "notices"


class NoSuchQueue(KeyError):
    """No destination names this queue."""


@dataclass(slots=True)
class QueuedNotice:
    """A notice in a queue. It is given out from `due_at` on, which moves each time that it is."""

    message_id: str
    body: str
    due_at: datetime
    receipt: str = ""
    times_given: int = 0


class NoticeQueues:
    """All queues by name."""

    def __init__(self) -> None:
        self._queues: dict[str, list[QueuedNotice]] = {APPLICATION_QUEUE: []}
        self._changed = asyncio.Event()

    def open(self, name: str) -> None:
        self._queues.setdefault(name, [])

    def put(self, name: str, body: str, due_at: datetime, *, first: bool = False) -> None:
        """Put a notice at the end of a queue, or before all others. A full queue loses its oldest. Raises NoSuchQueue."""
        queue = self.content(name)
        queue.insert(0 if first else len(queue), QueuedNotice(str(uuid.uuid4()), body, due_at))
        del queue[: max(0, len(queue) - MAX_NOTICES)]
        self.wake()

    def content(self, name: str) -> list[QueuedNotice]:
        """Raises NoSuchQueue."""
        if name not in self._queues:
            raise NoSuchQueue(name)
        return self._queues[name]

    def receive(self, name: str, now: datetime, most: int, hidden: timedelta) -> list[QueuedNotice]:
        """Up to `most` notices that are due, hidden from others from now on. Raises NoSuchQueue."""
        found = [notice for notice in self.content(name) if notice.due_at <= now][:most]
        for notice in found:
            notice.due_at, notice.receipt = now + hidden, secrets.token_urlsafe(40)
            notice.times_given += 1
        return found

    def remove(self, name: str, receipt: str) -> None:
        """Remove the notice that was given out with this receipt, if it is there. Raises NoSuchQueue."""
        queue = self.content(name)
        queue[:] = [notice for notice in queue if notice.receipt != receipt or not receipt]

    def wake(self) -> None:
        """Let those who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self) -> None:
        """Wait for a notice, or for the clock to be moved."""
        await self._changed.wait()
