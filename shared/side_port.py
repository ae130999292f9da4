"""/livez, /readyz, /metrics and /status of a role, on a port of their own that the internet does not reach."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import uvicorn
from prometheus_client import CollectorRegistry
from typing_extensions import override

from shared.errors import Expected
from shared.listening import listening_socket
from shared.metrics import CONTENT_TYPE, render
from shared.status_page import status_json, status_page

PLAIN_TEXT: Final = "text/plain; charset=utf-8"
STATUS: Final = "/status"
# The same as a page; a browser that asks for STATUS gets it.
STATUS_PAGE: Final = "/status.html"


class Answer(NamedTuple):
    """The answer to a request for one path."""

    status: int
    content_type: str
    body: bytes


# Answers a request for a path.
Answering = Callable[[str], Awaitable[Answer]]

# Tells what `/status` answers.
Telling = Callable[[], Awaitable[Mapping[str, object]]]

# Why a process is not ready from SIGTERM to its end.
STOPPING: Final = "this process is being stopped"
NOT_FOUND: Final = Answer(404, PLAIN_TEXT, b"not found\n")


class PortTaken(Expected):
    """A port cannot be opened. `problem` says why, `setting` names the setting that chooses another one."""

    code = "port_taken"

    @classmethod
    def because(cls, error: OSError, *, port: int, setting: str) -> "PortTaken":
        is_taken = error.errno == errno.EADDRINUSE
        problem = "is taken" if is_taken else f"cannot be opened ({os.strerror(error.errno or 0)})"
        return cls(port=port, setting=setting, problem=problem)


def open_listener(host: str, port: int, *, setting: str, backlog: int | None = None) -> socket.socket:
    """A listening socket for an HTTP server. Raises PortTaken."""
    try:
        return listening_socket(host, port, backlog=backlog)
    except OSError as error:
        raise PortTaken.because(error, port=port, setting=setting) from error


class _Server(uvicorn.Server):
    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The role handles signals itself.
        yield


@contextlib.asynccontextmanager
async def side_port(
    host: str,
    port: int,
    *,
    setting: str,
    registry: CollectorRegistry,
    database_problem: Callable[[], Awaitable[str | None]],
    problem: Callable[[], str | None] = lambda: None,
    page: Callable[[str], str | None] = lambda _path: None,
    status: Telling | None = None,
) -> AsyncIterator[int]:
    """Serve a role's health and metrics while the caller's block runs; gives the port. Raises PortTaken.

    `database_problem` says why the database cannot be worked on, `problem` why the role is not ready though it can; `page` gives the text at any other path, or None; `status` what `/status` tells.
    """
    listener = open_listener(host, port, setting=setting)
    async with answering_on(
        listener, health(registry, database_problem, page, problem=problem, status=status)
    ):
        yield int(listener.getsockname()[1])


@contextlib.asynccontextmanager
async def answering_on(listener: socket.socket, answering: Answering) -> AsyncIterator[None]:
    """Serve the answers of `answering` while the caller's block runs; then the listener is closed."""

    async def app(
        scope: dict[str, Any], _receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            return
        status, content_type, body = await answering(_asked_for(scope))
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"vary", b"accept"),
            (b"x-content-type-options", b"nosniff"),
            (
                b"content-security-policy",
                b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
            ),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    config = uvicorn.Config(
        app,
        interface="asgi3",
        loop="asyncio",
        http="h11",
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
        yield
    finally:
        server.should_exit = True
        await serving
        listener.close()


def _asked_for(scope: dict[str, Any]) -> str:
    """The path of a request. Browsers name HTML among what they accept, programs do not."""
    path: str = scope["path"]
    accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
    return STATUS_PAGE if path == STATUS and b"text/html" in accepted else path


def status_answer(path: str, facts: Mapping[str, object]) -> Answer:
    """The answer at STATUS or STATUS_PAGE."""
    if path == STATUS_PAGE:
        return Answer(200, "text/html; charset=utf-8", status_page(facts))
    return Answer(200, "application/json", status_json(facts))


def health(
    registry: CollectorRegistry,
    database_problem: Callable[[], Awaitable[str | None]],
    page: Callable[[str], str | None] = lambda _path: None,
    *,
    problem: Callable[[], str | None] = lambda: None,
    status: Telling | None = None,
) -> Answering:
    """The answers that every role gives, from the same arguments as `side_port`."""

    async def answer(path: str) -> Answer:
        match path:
            case "/livez":
                return Answer(200, PLAIN_TEXT, b"ok\n")
            case "/readyz":
                reason = await database_problem() or problem()
                if reason is None:
                    return Answer(200, PLAIN_TEXT, b"ready\n")
                return Answer(503, PLAIN_TEXT, f"{reason}\n".encode())
            case "/metrics":
                return Answer(200, CONTENT_TYPE, render(registry))
            case "/status" | "/status.html" if status is not None:
                return status_answer(path, await status())
            case _:
                text = page(path)
                return NOT_FOUND if text is None else Answer(200, PLAIN_TEXT, text.encode())

    return answer
