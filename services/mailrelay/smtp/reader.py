"""What a client sends, cut into command lines and mails.

Reads in bulk. What a pipelining client sent behind a line or a mail stays here, in order (RFC 2920).
Lines are bounded here, because the stream's own limit is made for mails.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from services.mailrelay.smtp.data_reader import DataReader

# The stream pauses the connection at twice its limit, and one more read may follow: this takes all that it can hold.
STREAM_LIMIT_BYTES: Final = 262_144
_READ_BYTES: Final = 4 * STREAM_LIMIT_BYTES

# RFC 5321 §4.5.3.1.4: 512 octets; SIZE (RFC 1870), 8BITMIME (RFC 6152) and SMTPUTF8 (RFC 6531) add 53 to MAIL.
LINE_LIMIT_BYTES: Final = 512 + 53


class Disconnected(Exception):
    """The client will send nothing more."""


class LineTooLong(Exception):
    """A command line beyond the limit; it has been skipped."""


class ClientReader:
    """The receiving side of one session. It returns bytes in the order in which they came."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream
        self._buffer = bytearray()

    def has_line(self) -> bool:
        """Whether the next command is here already, so that replies may be sent together."""
        return b"\n" in self._buffer

    async def read_line(self) -> bytes:
        """The next command line, without its end. A bare LF ends it too: commands are typed by hand at times, and no
        command can be smuggled through us. Raises LineTooLong, Disconnected."""
        searched, is_too_long = 0, False
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > LINE_LIMIT_BYTES:
                is_too_long = True
                self._buffer.clear()
                searched = 0
            self._buffer += await self._read()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        if is_too_long or len(line) > LINE_LIMIT_BYTES:
            raise LineTooLong
        return line.removesuffix(b"\r")

    def discard_buffered(self) -> None:
        """Drop the bytes that were received and not yet parsed."""
        self._buffer.clear()

    async def read_mail(self, data_reader: DataReader, on_progress: Callable[[int], None]) -> None:
        """Feed the reader to the end of the mail; `on_progress` is given how many bytes came. Raises Disconnected."""
        rest = data_reader.feed(bytes(self._buffer))
        self._buffer.clear()
        while rest is None:
            chunk = await self._read()
            on_progress(len(chunk))
            rest = data_reader.feed(chunk)
        self._buffer += rest

    async def _read(self) -> bytes:
        chunk = await self._stream.read(_READ_BYTES)
        if not chunk:
            raise Disconnected
        return chunk
