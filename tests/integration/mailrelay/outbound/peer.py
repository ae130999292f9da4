"""A mail server that takes replies, keeps every mail, and does at each step what a test tells it to."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from shared.outgoing.smtp import SmtpServer

# Instead of an answer.
HANG_UP: Final = "hang up"
STALL: Final = "stall"

_ORDINARY: Final = {
    "greeting": "220 peer.example ESMTP",
    "EHLO": "250-peer.example\r\n250-SIZE 20000000\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES",
    "AUTH": "235 2.7.0 ok",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go on",
    "end": "250 2.0.0 taken",
    "RSET": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
}


@dataclass(frozen=True)
class Taken:
    """A mail that came with its final dot."""

    sender: str
    recipient: str
    raw: bytes
    connection: int


@dataclass
class Peer:
    """`answers` are taken one by one at a step, then the ordinary answer again; `always`, instead of that one."""

    port: int = 0
    connections: int = 0
    open_now: int = 0
    most_open: int = 0
    answers: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    always: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    mails: list[Taken] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    # Set by a test to look at the world between the mail and its final dot, or between the dot and the answer.
    reached: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    go_on: dict[str, asyncio.Event] = field(default_factory=dict)
    # Set whenever a connection has ended.
    left: asyncio.Event = field(default_factory=asyncio.Event)
    # How long the server takes to store a mail.
    end_seconds: float = 0.0
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def server(self, *, username: str | None = None) -> SmtpServer:
        return SmtpServer("127.0.0.1", self.port, "none", username)

    async def until_mails(self, count: int, *, seconds: float = 20) -> list[Taken]:
        async with asyncio.timeout(seconds), self.arrived:
            await self.arrived.wait_for(lambda: len(self.mails) >= count)
        return self.mails

    def hang_up_everywhere(self) -> None:
        for writer in list(self.writers):
            writer.close()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number, sender, recipient = self.connections, "", ""
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        self.writers.add(writer)
        try:
            await self._answer(writer, "greeting")
            while line := await reader.readline():
                command = line.decode().strip()
                verb = command.split(" ")[0].upper()
                self.commands.append(command)
                if verb == "MAIL":
                    sender = command.partition("<")[2].partition(">")[0]
                elif verb == "RCPT":
                    recipient = command.partition("<")[2].partition(">")[0]
                if not (await self._answer(writer, verb)).startswith("354"):
                    if verb == "QUIT":
                        return
                    continue
                raw = await _content(reader)
                self.mails.append(Taken(sender, recipient, raw, number))
                async with self.arrived:
                    self.arrived.notify_all()
                await asyncio.sleep(self.end_seconds)
                await self._answer(writer, "end")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_now -= 1
            self.left.set()
            self.writers.discard(writer)
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, step: str) -> str:
        self.reached[step].set()
        if step in self.go_on:
            await self.go_on[step].wait()
        answers = self.answers[step]
        answer = answers.pop(0) if answers else self.always.get(step, _ORDINARY.get(step, "250 ok"))
        if answer == HANG_UP:
            raise ConnectionResetError
        if answer == STALL:
            await asyncio.Event().wait()
        writer.write(f"{answer}\r\n".encode())
        await writer.drain()
        return answer


async def _content(reader: asyncio.StreamReader) -> bytes:
    """Up to the final dot, with doubled dots made single again."""
    lines = []
    while (line := await reader.readuntil(b"\r\n")) != b".\r\n":
        lines.append(line.removeprefix(b"."))
    return b"".join(lines)


@contextlib.asynccontextmanager
async def listening(peer: Peer, port: int = 0) -> AsyncIterator[Peer]:
    """The peer on this port, or a free one."""
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await peer.talk(reader, writer)
        except asyncio.CancelledError:
            writer.close()
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(talk, "127.0.0.1", port, limit=2**22)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
