"""What a session sends to its client. Replies to pipelined commands are sent together (RFC 2920 §3.2)."""

import asyncio
from typing import Final

from services.mailrelay.metrics import RelayMetrics
from services.mailrelay.smtp.reader import ClientReader
from services.mailrelay.smtp.replies import Reply
from services.mailrelay.smtp.session_state import SessionState

# More than this is not held back for the next command's reply.
_GATHERED_BYTES: Final = 4096


class ReplyWriter:
    def __init__(self, writer: asyncio.StreamWriter, state: SessionState, metrics: RelayMetrics) -> None:
        self._writer = writer
        self._state = state
        self._metrics = metrics
        # At the end of every reply.
        self._suffix = f" ({state.id})\r\n"
        self._buffer = bytearray()

    def write(self, reply: Reply) -> None:
        """Every refusal passes here, so here they are counted for the metrics and the session's log line."""
        if reply.code >= 400:
            self._state.refusals += 1
            self._metrics.refusals.labels(f"{reply.code} {reply.status}").inc()
        self._state.trace.note(reply)
        self._buffer += f"{reply.code} {reply.status} {reply.text}{self._suffix}".encode("ascii")

    def write_text(self, first_line: str, *, further_lines: str = "") -> None:
        """A reply without an enhanced code; each of the further lines has its own end."""
        self._state.trace.note(f"S: {first_line}")
        self._buffer += f"{first_line}{self._suffix}{further_lines}".encode("ascii")

    def is_empty(self) -> bool:
        return not self._buffer

    def is_full(self) -> bool:
        """Whether to send before the next command is answered."""
        return len(self._buffer) > _GATHERED_BYTES

    def send(self) -> None:
        """Hand everything to the transport, without waiting for the client to take it."""
        if self._buffer:
            self._writer.write(bytes(self._buffer))
            self._buffer.clear()

    async def flush(self, reader: ClientReader) -> None:
        """Send, and wait while the client takes nothing."""
        if self._buffer:
            self.send()
            if reader.has_line():
                # Lets the other sessions run, too, when this client sends thousands of commands at once.
                await asyncio.sleep(0)
            await self._writer.drain()
