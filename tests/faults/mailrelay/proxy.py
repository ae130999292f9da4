"""Stands between the relay and PostgreSQL: slow, or losing what PostgreSQL says."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

from deploy.demo.postgres import RELAY
from tests.conftest import Database

_SOCKET = ".s.PGSQL.5432"
_BUFFER_BYTES = 16_777_216
# CommandComplete of a COMMIT (PostgreSQL's protocol, "Message Formats"): it is on the disk.
_COMMITTED = b"C\0\0\0\x0bCOMMIT\0"
_STOPPING = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"


class PostgresProxy:
    """`delay_seconds` is added to whatever the relay asks; the next `answers_to_lose` COMMITs break their connection."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.url = f"postgresql://{RELAY}@/{database.name}?host={quote(str(folder), safe='')}"
        self.delay_seconds = 0.0
        self.answers_to_lose = 0
        socket_folder = database.postgres.server.get_postmaster_info().socket_dir
        assert socket_folder is not None
        self._server_socket = socket_folder / _SOCKET
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_closed = False

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_closed:  # it was being accepted meanwhile
            writer.close()
            return
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        self._writers.add(writer)
        connection.add_done_callback(self._connections.discard)
        # Here, because a task that is cancelled before it has begun comes to no `finally`.
        connection.add_done_callback(lambda _ended: writer.close())
        connection.add_done_callback(lambda _ended: self._writers.discard(writer))

    def announce_end(self) -> None:
        """Say what a PostgreSQL that stops says to each connection; the connections themselves end a moment later, which does not come."""
        for writer in self._writers:
            writer.write(b"E" + (len(_STOPPING) + 4).to_bytes(4) + _STOPPING)

    async def close(self) -> None:
        self._is_closed = True
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_unix_connection(
                self._server_socket, limit=_BUFFER_BYTES
            )
        except OSError:
            return
        directions = [
            asyncio.create_task(self._carry_questions(reader, server_writer)),
            asyncio.create_task(self._carry_answers(server_reader, writer)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            server_writer.close()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _carry_questions(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # What arrives during the wait is read in one piece, so a large question waits twice and not once a packet.
        while data := await reader.read(_BUFFER_BYTES):
            await asyncio.sleep(self.delay_seconds)
            writer.write(data)
            await writer.drain()

    async def _carry_answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_BUFFER_BYTES):
            if self.answers_to_lose and _COMMITTED in data:
                self.answers_to_lose -= 1
                return
            writer.write(data)
            await writer.drain()


@contextlib.asynccontextmanager
async def before(database: Database) -> AsyncIterator[PostgresProxy]:
    """A proxy before the database's server. The folder's name is short, because a Unix socket lies in it."""
    with tempfile.TemporaryDirectory(prefix="replyco-") as name:
        proxy = PostgresProxy(database, Path(name))
        server = await asyncio.start_unix_server(proxy.connected, Path(name) / _SOCKET, limit=_BUFFER_BYTES)
        try:
            yield proxy
        finally:
            server.close()
            await proxy.close()
