"""One web server for all tests of a worker, each of which gives it an application: to stop one takes a fifth of a second, in which
nothing happens.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.listening import listening_socket


class WebServer:
    """On a real socket, at `url`."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None
        self._listener = listening_socket("127.0.0.1", 0)
        self._server = uvicorn.Server(uvicorn.Config(self, log_config=None, lifespan="off"))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @classmethod
    @asynccontextmanager
    async def started(cls) -> AsyncIterator[Self]:
        # The socket takes connections before the server does: nothing to wait for.
        made = cls()
        running = asyncio.create_task(made._server.serve(sockets=[made._listener]))
        try:
            yield made
        finally:
            made._server.should_exit = True
            await running
            made._listener.close()

    @asynccontextmanager
    async def answering_with(self, app: ASGIApp) -> AsyncIterator[None]:
        """Every request is this application's until the block ends; those that are under way then are broken off."""
        assert self._app is None
        self._app = app
        try:
            yield
        finally:
            self._app = None
            under_way = self._server.server_state.tasks.copy()
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._app is not None, "no test asks for anything now"
        await self._app(scope, receive, send)
