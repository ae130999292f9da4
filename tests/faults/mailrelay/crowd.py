"""Many clients at once, and the memory that they cost."""

import asyncio
import hashlib
import resource
from collections import Counter
from pathlib import Path

_CHUNK_BYTES = 262_144
_LINE = b"x" * 76 + b"\r\n"


def make_room_for_connections() -> int:
    """The clients need file descriptors, too. How many this process may have from here on."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def peak_mb(pid: int) -> float:
    """The most memory that a process has had (VmHWM of proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


async def reply(reader: asyncio.StreamReader) -> str:
    """The code of the next reply."""
    while True:
        line = await reader.readline()
        if line[3:4] != b"-":
            return line[:3].decode()


async def idle(port: int, count: int) -> list[asyncio.StreamWriter]:
    """So many clients that have said EHLO and nothing since; close them when done."""
    writers = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reply(reader) == "220"
        writer.write(b"EHLO idle.example\r\n")
        assert await reply(reader) == "250"
        writers.append(writer)
    return writers


class LargeMails:
    """`accepted` holds the hash of every mail that was answered 250, by its id; `codes` counts all answers."""

    def __init__(self, port: int, recipient: str, *, size: int, says_size: bool, name: str = "large") -> None:
        self._port = port
        self._recipient = recipient
        self._body = _LINE * (size // len(_LINE))
        self._name = name
        self._parameter = f" SIZE={len(self._body) + 100}" if says_size else ""
        self.accepted: dict[str, str] = {}
        self.codes: Counter[str] = Counter()

    async def deliver(self, count: int) -> None:
        """So many at once, each tried once."""
        await asyncio.gather(*(self._deliver(number) for number in range(count)))

    async def _deliver(self, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        await reply(reader)
        for command in (
            "EHLO large.example",
            f"MAIL FROM:<>{self._parameter}",
            f"RCPT TO:<{self._recipient}>",
        ):
            writer.write(command.encode() + b"\r\n")
            assert await reply(reader) == "250"
        writer.write(b"DATA\r\n")
        code = await reply(reader)
        if code == "354":
            mail_id = f"{self._name}-{number}"
            head = f"Message-ID: <{mail_id}@load.example>\r\n\r\n".encode()
            writer.write(head)
            for begin in range(0, len(self._body), _CHUNK_BYTES):
                writer.write(self._body[begin : begin + _CHUNK_BYTES])
                await writer.drain()
            writer.write(b".\r\n")
            code = await reply(reader)
            if code == "250":
                self.accepted[mail_id] = hashlib.sha256(head + self._body).hexdigest()
        self.codes[code] += 1
        writer.close()
