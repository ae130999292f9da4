"""The application behind a real web server on a socket, and listeners that read its event stream."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from services.connector.dependencies import SESSION_COOKIE
from services.connector.events.bounds import StreamBounds
from services.connector.events.hub import Hub
from services.connector.http.server import Server
from shared.listening import listening_socket
from tests.integration.connector.conftest import SignedIn
from tests.no_tls import NO_AUTHORITIES


@dataclass(frozen=True)
class Running:
    """A server, the task in which it runs, and its hub."""

    server: Server
    task: asyncio.Task[None]
    url: str
    hub: Hub

    async def stop(self) -> None:
        self.server.should_exit = True
        await self.task


class Listener:
    """An open event stream, read block by block."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def block(self) -> list[str]:
        """The next block of lines. Raises StopAsyncIteration at the end of the stream."""
        block: list[str] = []
        while True:
            line = await anext(self._lines)
            if line == "" and block:
                return block
            block.append(line)

    async def event(self, *, within: float = 20.0) -> tuple[str, str]:
        """The next event's name and data; comments are passed over."""
        fields = await self.told(within=within)
        return fields["event"], fields["data"]

    async def told(self, *, within: float = 20.0) -> dict[str, str]:
        """The next event with its id, if it has one."""
        async with asyncio.timeout(within):
            while True:
                fields = dict(line.split(": ", 1) for line in await self.block() if not line.startswith(":"))
                if "event" in fields:
                    return fields

    async def has_ended(self) -> bool:
        """Reads to the end, passing over whatever still comes."""
        async with asyncio.timeout(20):
            try:
                while True:
                    await self.block()
            except StopAsyncIteration:
                return True


Listen = Callable[..., AbstractAsyncContextManager[Listener]]


@pytest.fixture
def stream_bounds() -> StreamBounds:
    """Tests that cannot wait for the usual ones name others: `parametrize("stream_bounds", [StreamBounds(…)])`."""
    return StreamBounds()


@pytest.fixture
async def running(app: FastAPI) -> AsyncIterator[Running]:
    """`app`, which the fixture of that name has started, behind uvicorn; its hub hears PostgreSQL."""
    listening = listening_socket("127.0.0.1", 0)
    config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=20)
    server = Server(config, end_streams=app.state.connector.hub.end_streams)
    # The socket takes connections before the server does: nothing to wait for.
    task = asyncio.create_task(server.serve(sockets=[listening]))
    async with asyncio.timeout(60):
        await app.state.connector.hub.wait_until_listening()
    yield Running(server, task, f"http://127.0.0.1:{listening.getsockname()[1]}", app.state.connector.hub)
    server.should_exit = True
    await task


@pytest.fixture
def listen(running: Running) -> Listen:
    """Opens a stream as this user and waits until it is ready."""

    @asynccontextmanager
    async def open_stream(who: SignedIn) -> AsyncIterator[Listener]:
        async with connected(running, cookies={SESSION_COOKIE: who.token}) as listener:
            assert await listener.event() == ("ready", "{}")
            yield listener

    return open_stream


@asynccontextmanager
async def connected(running: Running, **client_values: Any) -> AsyncIterator[Listener]:
    """A stream as it answers, whatever the answer is."""
    async with (
        httpx2.AsyncClient(
            verify=NO_AUTHORITIES, base_url=running.url, timeout=10, **client_values
        ) as client,
        client.stream("GET", "/api/v1/events") as response,
    ):
        yield Listener(response)
