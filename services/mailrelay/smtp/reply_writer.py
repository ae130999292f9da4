"""What a session says to its client. Replies to pipelined commands are sent together."""

import asyncio
from typing import Final

from services.mailrelay.metrics import RelayMetrics
from services.mailrelay.smtp.reader import Incoming
from services.mailrelay.smtp.replies import Reply
from services.mailrelay.smtp.session_state import Visit

# At most so much of it is kept back.
_SEND_TOGETHER_BYTES: Final = 4096


class Outgoing:
    def __init__(self, writer: asyncio.StreamWriter, visit: Visit, metrics: RelayMetrics) -> None:
        self._writer = writer
        self._visit = visit
        self._metrics = metrics
        # At the end of every reply.
        self._ending = f" ({visit.id})\r\n"
        self._buffer = bytearray()

    def say(self, reply: Reply) -> None:
        if reply.code >= 400:
            visit = self._visit
            visit.refusals += 1
            self._metrics.refusals.labels(f"{reply.code} {reply.status}").inc()
            if visit.guest is not None:
                visit.guest.told(reply)
        self._visit.trace.note(reply)
        self._buffer += f"{reply.code} {reply.status} {reply.text}{self._ending}".encode("ascii")

    def write(self, text: str, *, further: str = "") -> None:
        """A reply of which only the code counts; `further` are lines of their own."""
        self._visit.trace.note(f"S: {text}")
        self._buffer += f"{text}{self._ending}{further}".encode("ascii")

    def is_empty(self) -> bool:
        return not self._buffer

    def is_much(self) -> bool:
        """Whether to send before the next command is answered."""
        return len(self._buffer) > _SEND_TOGETHER_BYTES

    def send(self) -> None:
        """Without waiting for the client to take it."""
        if self._buffer:
            self._writer.write(bytes(self._buffer))
            self._buffer.clear()

    async def flush(self, incoming: Incoming) -> None:
        if self._buffer:
            self.send()
            if incoming.has_line():
                # Lets the other sessions run, too, when this client sends thousands of commands at once.
                await asyncio.sleep(0)
            await self._writer.drain()
