"""A cheap SMTP load, in a process of its own: sessions that deliver the same mail again and again for some seconds.

Behaves as a large sender does: MAIL, RCPT and DATA in one packet (RFC 2920). Prints one JSON line. Imports nothing of ours.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import uvloop
from typing_extensions import override

WARM_UP_SECONDS = 0.5


@dataclass
class Count:
    begins: float = 0.0
    ends: float = 0.0
    accepted: int = 0
    accepted_with_warm_up: int = 0
    refused: int = 0
    latencies: list[float] = field(default_factory=list)

    def add(self, ended: float) -> None:
        now = time.perf_counter()
        self.accepted_with_warm_up += 1
        if self.begins <= now < self.ends:
            self.accepted += 1
            self.latencies.append(now - ended)


class Session(asyncio.Protocol):
    """One SMTP session: greeting, EHLO, then one mail and QUIT, or one mail after the other."""

    def __init__(self, count: Count, envelope: bytes, mail: bytes, *, is_reused: bool) -> None:
        self._count = count
        self._envelope = envelope
        self._mail = mail
        self._is_reused = is_reused
        self._received = b""
        self._handle: Callable[[bytes], None] = self._greeted
        self._sent_at = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is none of asyncio's classes, but does what they do.
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        lines = (self._received + data).split(b"\r\n")
        self._received = lines.pop()
        for line in lines:
            if line[3:4] != b"-":
                self._handle(line[:3])

    @override
    def connection_lost(self, _error: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def _greeted(self, _code: bytes) -> None:
        self._transport.write(b"EHLO load.example\r\n")
        self._handle = self._ready

    def _ready(self, _code: bytes) -> None:
        if time.perf_counter() >= self._count.ends:
            self._transport.close()
            return
        self._transport.write(self._envelope)
        self._handle = self._after_envelope

    def _after_envelope(self, code: bytes) -> None:
        if code == b"354":
            self._transport.write(self._mail)
            self._sent_at = time.perf_counter()
            self._handle = self._after_mail
        elif code != b"250":
            self._count.refused += 1
            self._transport.close()

    def _after_mail(self, code: bytes) -> None:
        if code == b"250":
            self._count.add(self._sent_at)
        else:
            self._count.refused += 1
        if self._is_reused:
            self._ready(code)
        else:
            self._transport.write(b"QUIT\r\n")
            self._handle = self._after_quit

    def _after_quit(self, _code: bytes) -> None:
        self._transport.close()


def mail_of(size: int) -> bytes:
    header = b"From: buyer@marketplace.amazon.de\r\nTo: shop\r\nSubject: load\r\n\r\n"
    line = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/0123456789ab\r\n"
    return header + line * ((size - len(header)) // len(line)) + b".\r\n"


async def run(
    port: int, sessions: int, size: int, seconds: float, recipient: str, *, is_reused: bool
) -> Count:
    loop = asyncio.get_running_loop()
    count = Count()
    count.begins = time.perf_counter() + WARM_UP_SECONDS
    count.ends = count.begins + seconds
    mail = mail_of(size)

    async def keep_on(number: int) -> None:
        rcpt = recipient.replace("#", f"{number:03d}")
        envelope = f"MAIL FROM:<buyer@marketplace.amazon.de>\r\nRCPT TO:<{rcpt}>\r\nDATA\r\n".encode()
        while time.perf_counter() < count.ends:
            _, session = await loop.create_connection(
                lambda: Session(count, envelope, mail, is_reused=is_reused), "127.0.0.1", port
            )
            await session.closed

    await asyncio.gather(*(keep_on(number) for number in range(sessions)))
    return count


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--sessions", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--recipient", required=True)
    parser.add_argument("--reuse", action="store_true")
    given = parser.parse_args()
    # It has its share of the cores from the servers that it measures: what it takes itself is as little as can be.
    count = uvloop.run(
        run(given.port, given.sessions, given.size, given.seconds, given.recipient, is_reused=given.reuse)
    )
    latencies = sorted(count.latencies)
    p99 = latencies[int(len(latencies) * 0.99)] * 1000 if latencies else 0.0
    result = {
        "rate": count.accepted / given.seconds,
        "p99_ms": p99,
        "accepted": count.accepted_with_warm_up,
        "refused": count.refused,
    }
    print(json.dumps(result))  # noqa: T201


if __name__ == "__main__":
    main()
