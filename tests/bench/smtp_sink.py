"""A mail server that makes every mail durable before its 250, as mail servers must (RFC 5321 §6.1), and then forgets it.

`python -m tests.bench.smtp_sink --port N`. It says when it took which.

For each mail a line on standard output: the id in its Message-ID, and the clock of this machine at the moment of the `250`.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from typing import Final

from typing_extensions import override

_ANSWERS: Final = {
    b"EHLO": b"250-sink.example\r\n250-SIZE 50000000\r\n250 8BITMIME\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}
_QUEUE: Final = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process runs
_FILE: Final = _QUEUE.fileno()
_END: Final = b"\r\n.\r\n"


class _Session(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._is_mail = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink.example ESMTP\r\n")

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._answer():
            pass

    def _answer(self) -> bool:
        """Answer what is next, if all of it is there."""
        assert self._transport is not None
        end = _END if self._is_mail else b"\r\n"
        at = self._buffer.find(end)
        if at < 0:
            return False
        said = bytes(self._buffer[:at])
        del self._buffer[: at + len(end)]
        if self._is_mail:
            self._is_mail = False
            os.pwrite(_FILE, said, 0)
            os.fdatasync(_FILE)
            self._transport.write(b"250 taken\r\n")
            name = said.partition(b"Message-ID: <")[2].partition(b".")[0].decode()
            sys.stdout.write(f"{name} {time.monotonic()}\n")
            sys.stdout.flush()
        else:
            verb = said[:4].upper()
            self._transport.write(_ANSWERS.get(verb, b"250 ok\r\n"))
            self._is_mail = verb == b"DATA"
        return True


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Session, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(_serve(parser.parse_args().port))
