"""Who reads slowly, over real sockets: what they have taken is seen in steps, which the pace of a download must allow for."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from prometheus_client import CollectorRegistry

from services.connector.http.connection_bounds import ConnectionBounds
from services.connector.http.connections import SEND_BUFFER_BYTES, Connections
from services.connector.http.middleware import Message, Receive, Scope, Send
from services.connector.http.server import Server
from services.connector.inbox.chunked_response import CHUNK_BYTES, ChunkedResponse
from shared.listening import listening_socket

# The steps for which the unit test of the pace allows.
_STEP_BYTES = 224 * 1024
_LARGE = 4 * 1024 * 1024


class _Seen:
    """What the server has seen taken so far."""

    def __init__(self) -> None:
        self.bytes = 0
        self.steps = asyncio.Queue[int]()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            await send(message)
            size = len(message.get("body", b""))
            self.bytes += size
            self.steps.put_nowait(size)

        await ChunkedResponse(bytes(_LARGE), headers={})(scope, receive, counted)


@asynccontextmanager
async def _served(seen: _Seen) -> AsyncIterator[int]:
    listener = listening_socket("127.0.0.1", 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    registry = CollectorRegistry()
    connections = Connections(ConnectionBounds(most=10, most_of_network=10), registry)
    config = uvicorn.Config(
        seen.answer,
        interface="asgi3",
        loop="none",
        http=connections.protocol(),
        ws="none",
        lifespan="off",
        log_config=None,
    )
    server = Server(config, end_streams=lambda: None)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        server.force_exit = True
        await task
        listener.close()


@pytest.mark.parametrize("receive_buffer", [4 * 1024, 64 * 1024])
async def test_what_a_slow_reader_takes_is_seen_in_small_steps(receive_buffer: int):
    """After every 224 KB that a reader takes, however slowly, the server has seen that they took something."""
    seen = _Seen()
    async with _served(seen) as port, asyncio.timeout(60):
        client = socket.socket()
        client.setblocking(False)
        # Named, the size stays: left to itself the system gives a fast reader more, and a slow one none.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        loop = asyncio.get_running_loop()
        with client:
            await loop.sock_connect(client, ("127.0.0.1", port))
            await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            taken = 0
            while taken + _STEP_BYTES + 3 * SEND_BUFFER_BYTES < _LARGE:
                before, step = seen.bytes, 0
                while step < _STEP_BYTES:
                    piece = await loop.sock_recv(client, 8 * 1024)
                    assert piece
                    step += len(piece)
                taken += step
                while seen.bytes == before:
                    await seen.steps.get()
                # What lies between the two of them is not taken for taken.
                assert seen.bytes - taken <= 4 * SEND_BUFFER_BYTES + CHUNK_BYTES
