"""What holds for every request, whichever route answers it: a bound on its size, safe headers on every answer, one log line
and one count, and a plain answer to a bug.

No value of an exception goes into a log here: not the query string, not the text of the error.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.exceptions import HTTPException

from services.connector.http.paths import API_PREFIX
from shared.driver import new_id

log = structlog.get_logger()

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

# The largest request of the API that is no file is a few kilobytes.
MAX_BODY_BYTES: Final = 64 * 1024
# The limit for the complete body, so that a client that sends a byte now and then does not keep its slot.
BODY_SECONDS: Final = 20.0

_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    # Browsers heed it over https only, so that it does no harm on a developer's machine.
    (b"strict-transport-security", b"max-age=31536000"),
)
# What browsers heed in documents alone; elsewhere it would be a tenth of many an answer.
_DOCUMENT_HEADERS: Final = (
    (b"cross-origin-opener-policy", b"same-origin-allow-popups"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
# Asked every few seconds by machines; a line each would hide the others.
_UNLOGGED: Final = frozenset({"/livez", "/readyz"})
# Where in a request's scope it is noted who asks: ids, for its line in the log.
ASKED_BY: Final = "replyco.asked_by"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def reads_api(scope: Scope) -> bool:
    """Whether this is a GET of the REST API."""
    return bool(
        scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith(f"{API_PREFIX}/")
    )


def header_of(scope: Scope, name: bytes) -> str:
    """A header of the request; several of the name (in lower case) are one (RFC 9110 section 5.3), and none is empty."""
    return b",".join(value for each, value in scope["headers"] if each == name).decode("latin-1")


class BodyTooLarge(HTTPException):
    """Raised out of `receive`. An HTTPException, because FastAPI makes 400 of everything else that fails there."""

    def __init__(self) -> None:
        super().__init__(413)


class BodyTooSlow(HTTPException):
    """Raised out of `receive`, as above. What is left of the request is not waited for."""

    def __init__(self) -> None:
        super().__init__(408, headers={"Connection": "close"})


@dataclass(frozen=True, slots=True)
class LargeBodies:
    """Requests that may have a larger body, and take longer. Their routes read it bit by bit, when they have room for it."""

    method: str
    path: re.Pattern[str]
    most_bytes: int
    seconds: float

    def has(self, scope: Scope) -> bool:
        return scope["method"] == self.method and self.path.fullmatch(scope["path"]) is not None


class BoundedBody:
    """Refuses a Content-Length above the bound at once, and counts the bytes that come all the same, and the time."""

    def __init__(self, app: AsgiApp, seconds: float, large: LargeBodies | None = None) -> None:
        self._app = app
        self._seconds = seconds
        self._large = large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most_bytes, seconds = MAX_BODY_BYTES, self._seconds
        if self._large is not None and self._large.has(scope):
            most_bytes, seconds = self._large.most_bytes, self._large.seconds
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        is_announced_too_large = announced.isdigit() and int(announced[:20]) > most_bytes
        seen, is_complete = 0, False
        deadline = asyncio.get_running_loop().time() + seconds

        async def bounded() -> Message:
            nonlocal seen, is_complete
            if is_announced_too_large:
                raise BodyTooLarge
            try:
                # After the body, `receive` waits for the end of the connection, which may last.
                async with asyncio.timeout_at(None if is_complete else deadline):
                    message = await receive()
            except TimeoutError:
                raise BodyTooSlow from None
            if message["type"] == "http.request":
                is_complete = not message.get("more_body", False)
                seen += len(message.get("body", b""))
                if seen > most_bytes:
                    raise BodyTooLarge
            return message

        await self._app(scope, bounded, send)


class SafeHeaders:
    """Sets what a response has not set itself."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower(): value for name, value in message["headers"]}
                is_document = present.get(b"content-type", b"text/html").startswith(b"text/html")
                wanted = (*_HEADERS, *_DOCUMENT_HEADERS) if is_document else _HEADERS
                message["headers"] = [*message["headers"], *(h for h in wanted if h[0] not in present)]
            await send(message)

        await self._app(scope, receive, with_headers)


class RequestObserver:
    """Names the request (X-Request-Id), counts it, logs it, and answers a bug.

    A bug is logged here, once, with its type and place; nothing of it reaches the web server, which would log its text.
    """

    def __init__(
        self,
        app: AsgiApp,
        registry: CollectorRegistry,
        route_of: Callable[[Scope], str],
        answer_bug: Callable[[Scope], AsgiApp],
    ) -> None:
        self._app = app
        self._route_of = route_of
        self._answer_bug = answer_bug
        self._requests = Counter(
            "replyco_http_requests_total",
            "Requests by route and class of status.",
            ("method", "route", "status"),
            registry=registry,
        )
        # What an alarm looks at is there from the beginning: from nothing to 1 would be no increase.
        self._requests.labels("GET", "none", "5xx")
        self._seconds = Histogram(
            "replyco_http_request_seconds",
            "Seconds until the answer began, by route.",
            ("method", "route"),
            registry=registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_id().hex
        began = time.perf_counter()
        status, seconds_to_answer = 0, 0.0
        scope[ASKED_BY] = {}

        async def observed(message: Message) -> None:
            nonlocal status, seconds_to_answer
            if message["type"] == "http.response.start":
                status, seconds_to_answer = message["status"], time.perf_counter() - began
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, observed)
            except Exception:
                log.exception("unexpected_error", route=self._route_of(scope), **scope[ASKED_BY])
                # An answer that has begun cannot be taken back; the server breaks the connection when we return.
                if status == 0:
                    await self._answer_bug(scope)(scope, receive, observed)
            finally:
                self._record(scope, status, seconds_to_answer, time.perf_counter() - began)

    def _record(self, scope: Scope, status: int, seconds_to_answer: float, seconds: float) -> None:
        route = self._route_of(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.labels(method, route, f"{status // 100}xx" if status else "none").inc()
        if status:
            self._seconds.labels(method, route).observe(seconds_to_answer)
        if route not in _UNLOGGED:
            log.info(
                "request",
                method=method,
                route=route,
                status=status,
                milliseconds=round(seconds * 1000, 1),
                **scope[ASKED_BY],
            )
