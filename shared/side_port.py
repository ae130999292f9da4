"""/livez, /readyz and /metrics of a role, on a port of their own that the internet does not reach."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry
from typing_extensions import override

from shared.errors import Expected
from shared.metrics import CONTENT_TYPE, render


class PortTaken(Expected):
    """Nothing can be served there: `problem` says why, `setting` is what moves the port."""

    code = "port_taken"

    @classmethod
    def because(cls, error: OSError, *, port: int, setting: str) -> "PortTaken":
        is_taken = error.errno == errno.EADDRINUSE
        problem = "is taken" if is_taken else f"cannot be opened ({os.strerror(error.errno or 0)})"
        return cls(port=port, setting=setting, problem=problem)


def open_listener(host: str, port: int, *, setting: str, backlog: int | None = None) -> socket.socket:
    """A listening socket for an HTTP server. Raises PortTaken."""
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=backlog
        )
    except OSError as error:
        raise PortTaken.because(error, port=port, setting=setting) from error


class _Server(uvicorn.Server):
    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The signals belong to the role.
        yield


@contextlib.asynccontextmanager
async def side_port(
    host: str,
    port: int,
    *,
    setting: str,
    registry: CollectorRegistry,
    is_ready: Callable[[], Awaitable[bool]],
) -> AsyncIterator[int]:
    """Serve while the caller's block runs; gives the port. Raises PortTaken."""

    async def app(
        scope: dict[str, Any], _receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            return
        status, content_type, body = await _answer(scope["path"], registry, is_ready)
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    listener = open_listener(host, port, setting=setting)
    config = uvicorn.Config(
        app,
        interface="asgi3",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=64,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        await serving
        listener.close()


async def _answer(
    path: str, registry: CollectorRegistry, is_ready: Callable[[], Awaitable[bool]]
) -> tuple[int, str, bytes]:
    match path:
        case "/livez":
            return 200, "text/plain; charset=utf-8", b"ok\n"
        case "/readyz":
            if await is_ready():
                return 200, "text/plain; charset=utf-8", b"ready\n"
            return 503, "text/plain; charset=utf-8", b"the database does not answer\n"
        case "/metrics":
            return 200, CONTENT_TYPE, render(registry)
        case _:
            return 404, "text/plain; charset=utf-8", b"not found\n"
