"""A load balancer as one stands in front of replicas: it asks each for `/readyz`, and gives connections, whole, to those that are ready."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Final

from tests.roles import Replica

_LOOK_SECONDS: Final = 0.5
_BLOCK_BYTES: Final = 65_536


class Balancer:
    """`refused` counts connections that a replica did not take though it was said to be ready, `turned_away` those for which none was."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self._replicas = replicas
        self._ready: dict[int, bool] = {}
        self._turn = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.refused = 0
        self.turned_away = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Balancer"]:
        """Until the block ends; then its connections end, too."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=_BLOCK_BYTES)
        self.port = int(server.sockets[0].getsockname()[1])
        for each in self._replicas:
            await self._look(each)
        looking = [asyncio.create_task(self._keep_looking(each)) for each in self._replicas]
        try:
            yield self
        finally:
            server.close()
            for task in [*looking, *self._tasks]:
                task.cancel()
            await asyncio.gather(*looking, *self._tasks, return_exceptions=True)

    async def _keep_looking(self, replica: Replica) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self._look(replica)

    async def _look(self, replica: Replica) -> None:
        self._ready[replica.side_port] = await _is_ready(replica.side_port)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await self._open()
            if there is None:
                self.turned_away += 1
                return
            try:
                # Whoever ends first ends the other's half, as a proxy does that passes on what it hears.
                async with asyncio.TaskGroup() as group:
                    group.create_task(_pass_on(reader, there[1]))
                    group.create_task(_pass_on(there[0], writer))
            finally:
                there[1].close()
        finally:
            writer.close()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """The next ready replica's, or of another one if it does not take the connection."""
        first = next(self._turn)
        for number in range(len(self._replicas)):
            replica = self._replicas[(first + number) % len(self._replicas)]
            if not self._ready.get(replica.side_port):
                continue
            try:
                return await asyncio.open_connection("127.0.0.1", replica.port, limit=_BLOCK_BYTES)
            except OSError:
                self.refused += 1
        return None


async def _is_ready(side_port: int) -> bool:
    """By a request of our own: an HTTP client for each would cost more than all the rest here."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", side_port)
    except OSError:
        return False
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while block := await reader.read(_BLOCK_BYTES):
            writer.write(block)
            await writer.drain()
    with contextlib.suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()
