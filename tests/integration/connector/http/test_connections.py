"""Connections that do nothing useful, over real sockets: none stays, and they keep nobody out."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from ipaddress import ip_network

import pytest
import uvicorn
from prometheus_client import CollectorRegistry

from services.connector.http.connection_bounds import ConnectionBounds
from services.connector.http.connections import Connections
from services.connector.http.middleware import Message, Receive, Scope, Send
from services.connector.http.server import Server
from shared.listening import listening_socket
from shared.metrics import render

GET = b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n"
# More than the buffers of both sides hold.
LARGE = b"x" * 8_000_000

Open = Callable[..., Awaitable["Client"]]


class Client:
    """One connection, from an address of this machine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[bytes, bytes]:
        """Status line and body; the connection stays open."""
        async with asyncio.timeout(20):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length"))
            return head.splitlines()[0], await self.reader.readexactly(int(length.split(b":")[1]))

    async def rest(self) -> bytes:
        """What comes until the server closes the connection."""
        came = b""
        async with asyncio.timeout(20):
            # A reset takes nothing back that came before it.
            with suppress(ConnectionError):
                while piece := await self.reader.read(65_536):
                    came += piece
        return came

    async def close(self) -> None:
        self.writer.transport.abort()
        with suppress(OSError):
            await self.writer.wait_closed()


class Served:
    """A server with these bounds, and its clients."""

    def __init__(self, port: int, registry: CollectorRegistry) -> None:
        self._port = port
        self._registry = registry
        self.clients = AsyncExitStack()

    async def open(self, address: str = "127.0.0.1", *, receive_buffer: int | None = None) -> Client:
        connection = socket.socket()
        connection.setblocking(False)
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.bind((address, 0))
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self._port))
        # Nothing is read ahead beyond a few bytes, so that who does not read takes nothing.
        reader, writer = await asyncio.open_connection(sock=connection, limit=1024)
        client = Client(reader, writer)
        self.clients.push_async_callback(client.close)
        return client

    def ended(self, reason: str) -> int:
        line = f'replyco_http_connections_ended_total{{reason="{reason}"}} '
        return int(float(render(self._registry).decode().partition(line)[2].split("\n")[0]))

    def open_now(self) -> int:
        return int(
            float(render(self._registry).decode().partition("\nreplyco_http_connections ")[2].split("\n")[0])
        )


async def _application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers without reading the body, with the size that the path asks for; /slow waits for the client's end."""
    if scope["path"] == "/slow":
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    body = LARGE if scope["path"] == "/large" else b"ok"
    headers: list[tuple[bytes, bytes]] = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    message: Message = {"type": "http.response.body", "body": body}
    await send(message)


@asynccontextmanager
async def served(bounds: ConnectionBounds) -> AsyncIterator[Served]:
    registry = CollectorRegistry()
    connections = Connections(bounds, registry)
    listener = listening_socket("127.0.0.1", 0, backlog=1024)
    config = uvicorn.Config(
        _application,
        http=connections.protocol(),
        lifespan="off",
        log_config=None,
        limit_concurrency=bounds.most + 1,
        timeout_graceful_shutdown=1,
    )
    server = Server(config, end_streams=lambda: None)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    running = Served(listener.getsockname()[1], registry)
    try:
        async with running.clients:
            yield running
    finally:
        server.should_exit = True
        await serving


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"], ids=["same address", "another address"])
async def test_three_hundred_half_sent_heads_keep_nobody_out(address: str):
    """# S: half-sent heads; nobody is refused for the silence of others, not even of their own network"""
    bounds = ConnectionBounds(most=1000, most_of_network=50, head_seconds=30)
    async with served(bounds) as server:
        for _ in range(300):
            (await server.open()).send(b"GET /quick HTTP/1.1\r\nHost: x\r\nX-Half:")
        honest = await server.open(address)
        honest.send(GET)

        assert await honest.answer() == (b"HTTP/1.1 200 OK", b"ok")
        assert server.ended("made_room") >= 250
        assert server.open_now() <= 51


async def test_half_sent_bodies_keep_nobody_out():
    head = b"POST /slow HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    async with served(ConnectionBounds(most=3, most_of_network=100)) as server:
        slow = [await server.open(f"127.0.0.{number}") for number in (2, 3, 4)]
        for client in slow:
            client.send(head)
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(b"x")
        honest = await server.open("127.0.0.5")
        honest.send(GET)

        assert await honest.answer() == (b"HTTP/1.1 200 OK", b"ok")
        assert (server.ended("made_room"), server.ended("refused")) == (1, 0)
        assert await slow[0].rest() == b""


async def test_when_all_places_are_taken_who_has_waited_longest_makes_room():
    async with served(ConnectionBounds(most=3, most_of_network=100, head_seconds=30)) as server:
        silent = [await server.open(f"127.0.0.{number}") for number in (2, 3, 4)]
        silent[0].send(GET)
        await silent[0].answer()
        honest = await server.open("127.0.0.5")
        honest.send(GET)
        await honest.answer()

        assert await silent[1].rest() == b""
        silent[0].send(GET)
        assert (await silent[0].answer())[1] == b"ok"


async def test_where_every_connection_is_at_work_a_newcomer_is_told_so():
    async with served(ConnectionBounds(most=1000, most_of_network=2)) as server:
        for _ in range(2):
            busy = await server.open()
            busy.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        refused = await server.open()
        other = await server.open("127.0.0.2")
        other.send(GET)

        assert (await refused.rest()).startswith(b"HTTP/1.1 503 ")
        assert (await other.answer())[1] == b"ok"
        assert server.ended("refused") == 1


async def test_a_proxy_may_have_as_many_connections_as_it_likes():
    bounds = ConnectionBounds(most=1000, most_of_network=2, proxies=[ip_network("127.0.0.1/32")])
    async with served(bounds) as server:
        for _ in range(20):
            (await server.open()).send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        client = await server.open()
        client.send(GET)

        assert (await client.answer())[1] == b"ok"
        assert server.ended("refused") == server.ended("made_room") == 0


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nHost:", b"HTTP/1.1 408 "),
        (b"G", b"HTTP/1.1 408 "),
    ],
    ids=["nothing", "half a head", "one byte"],
)
async def test_a_head_has_its_time(sent: bytes, told: bytes):
    async with served(ConnectionBounds(most=100, most_of_network=100, head_seconds=0.5)) as server:
        client = await server.open()
        client.send(sent)

        assert (await client.rest()).startswith(told)
        assert server.ended("slow_head") == 1


async def test_the_next_head_of_a_connection_has_its_time_too_however_it_dribbles():
    async with served(ConnectionBounds(most=100, most_of_network=100, head_seconds=0.5)) as server:
        client = await server.open()
        client.send(GET)
        await client.answer()
        reading = asyncio.create_task(client.rest())
        while not reading.done():
            client.send(b"G" if server.ended("slow_head") == 0 else b"")
            await asyncio.wait([reading], timeout=0.02)

        assert (await reading).startswith(b"HTTP/1.1 408 ")


async def test_a_body_whose_answer_has_gone_out_does_not_dribble_on():
    async with served(ConnectionBounds(most=100, most_of_network=100, head_seconds=0.5)) as server:
        client = await server.open()
        client.send(b"POST /quick HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n")
        assert (await client.answer())[1] == b"ok"
        reading = asyncio.create_task(client.rest())
        while not reading.done():
            client.send(b"x")
            await asyncio.wait([reading], timeout=0.02)

        assert server.ended("slow_head") == 1


async def test_requests_one_after_the_other_are_not_taken_for_a_slow_head():
    async with served(ConnectionBounds(most=100, most_of_network=100, head_seconds=30)) as server:
        client = await server.open()
        client.send(GET * 3 + GET[:20])
        for _ in range(3):
            assert (await client.answer())[1] == b"ok"
        client.send(GET[20:])

        assert (await client.answer())[1] == b"ok"
        assert server.ended("slow_head") == 0


@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"], ids=["kept alive", "closed after it"])
async def test_a_client_that_takes_nothing_of_its_answer_is_ended(last: bytes):
    bounds = ConnectionBounds(most=100, most_of_network=100, stalled_seconds=0.2)
    async with served(bounds) as server:
        client = await server.open(receive_buffer=4096)
        client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n" + last + b"\r\n")
        async with asyncio.timeout(20):
            while server.ended("stalled") == 0:  # noqa: ASYNC110 - the server tells nobody when it gives a client up
                await asyncio.sleep(0.02)

        assert server.open_now() == 0
        assert len(await client.rest()) < len(LARGE)
