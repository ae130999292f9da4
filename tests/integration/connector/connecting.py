"""Connecting a store as a seller does: our API, the sandbox's pages on a real socket, our callback."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.demo.postgres import CONNECTOR
from services.connector.settings import ConnectorSettings
from services.sandbox.app import create_app as create_sandbox
from services.sandbox.login.sign_in import SESSION_COOKIE
from services.sandbox.settings import SandboxSettings
from services.sandbox.state.memory import PlannedFailure, Sandbox
from tests.conftest import Database, Keys
from tests.integration.connector.conftest import SignedIn
from tests.no_tls import NO_AUTHORITIES
from tests.web_server import WebServer

LAMPENLADEN = "A1LAMPENLADEN7"
CASA_VERDE = "A2CASAVERDE34K"
BRIGHT_PORCH = "A3BRIGHTPORCH9"
HARBOUR_LIGHTS = "A4HARBOURLITE2"

PUBLIC_URL = "https://testserver"
CANARY_SECRET = "amzn1.oa2-cs.v1.canary-secret"  # never seen outside of the token call


@dataclass
class Gate:
    """Between the socket and the sandbox: holds a request back until the test has done something else."""

    app: ASGIApp
    held_path: str | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def holding(self, path: str) -> AsyncIterator[None]:
        """The next request whose path ends like this goes on when the block ends. `arrived` is set when it is here."""
        self.held_path, self.arrived, self.opened = path, asyncio.Event(), asyncio.Event()
        try:
            yield
        finally:
            self.opened.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        held_path = self.held_path
        if scope["type"] == "http" and held_path is not None and scope["path"].endswith(held_path):
            self.held_path = None
            self.arrived.set()
            await self.opened.wait()
        await self.app(scope, receive, send)


@dataclass(frozen=True)
class Amazon:
    """The sandbox of one test: its address, its state to look into and to turn, and a gate in front of it."""

    url: str
    state: Sandbox
    gate: Gate

    def fail_tokens(
        self, status: int, body: str, content_type: str = "application/json", count: int = 1
    ) -> None:
        self.state.token_failure = PlannedFailure(count, status, body, content_type)

    def fail_api(
        self, status: int, body: str, content_type: str = "application/json", count: int = 1
    ) -> None:
        self.state.api_failure = PlannedFailure(count, status, body, content_type)


# The sandboxes of the tests that are running, by their addresses.
_RUNNING: Final[dict[str, Amazon]] = {}


# Settings are read from the environment, which takes as long as a small test: once a process for all who want the same.
@cache
def _sandbox_settings() -> SandboxSettings:
    return SandboxSettings(
        redirect_uris=(f"{PUBLIC_URL}/amazon/callback",),
        login_uri=f"{PUBLIC_URL}/amazon/login",
        client_secret=SecretStr(CANARY_SECRET),
    )


@cache
def _connector_settings(database_url: str, key_file: Path) -> ConnectorSettings:
    sandbox = _sandbox_settings()
    return ConnectorSettings(
        database_url=SecretStr(database_url),
        key_file=key_file,
        public_url=PUBLIC_URL,
        trusted_proxies="none",
        amazon_application_id=sandbox.application_id,
        amazon_client_id=sandbox.client_id,
        amazon_client_secret=sandbox.client_secret,
        amazon_base_url="http://127.0.0.1:1",
    )


@pytest.fixture
async def amazon(web_server: WebServer) -> AsyncIterator[Amazon]:
    """The real sandbox on a real socket."""
    app = create_sandbox(_sandbox_settings())
    gate = Gate(app)
    amazon = Amazon(web_server.url, app.state.sandbox, gate)
    _RUNNING[amazon.url] = amazon
    async with app.router.lifespan_context(app), web_server.answering_with(gate):
        yield amazon
    del _RUNNING[amazon.url]


@pytest.fixture
def settings(database: Database, keys: Keys, amazon: Amazon) -> ConnectorSettings:
    """The connector's settings, with the sandbox in Amazon's place."""
    settings = _connector_settings(database.url(CONNECTOR), keys.key_file)
    return settings.model_copy(update={"amazon_base_url": amazon.url})


async def begin(client: httpx2.AsyncClient, country: str = "DE") -> dict[str, Any]:
    """An attempt, as POST /authorizations answers it."""
    answer = await client.post("/api/v1/authorizations", json={"country": country})
    assert answer.status_code == 201, answer.text
    attempt: dict[str, Any] = answer.json()
    return attempt


async def consent(consent_url: str, seller_id: str) -> str:
    """Sign in at the sandbox, tick the box, confirm. Where the browser is sent then."""
    async with httpx2.AsyncClient(follow_redirects=False, verify=NO_AUTHORITIES) as browser:
        page = await browser.get(consent_url)
        while page.is_redirect:
            page = await browser.get(httpx2.URL(str(page.url)).join(page.headers["location"]))
        if 'name="seller_id"' in page.text:
            action = httpx2.URL(str(page.url)).join(action_of(page.text))
            page = await browser.post(action, data={**hidden_of(page.text), "seller_id": seller_id})
            page = await browser.get(httpx2.URL(str(page.url)).join(page.headers["location"]))
        action = httpx2.URL(str(page.url)).join(action_of(page.text))
        confirmed = await browser.post(
            action, data={**hidden_of(page.text), "consent": "yes", "action": "confirm"}
        )
        assert confirmed.status_code == 303, confirmed.text
        location: str = confirmed.headers["location"]
        return location


async def confirm(consent_url: str, seller_id: str) -> str:
    """What `consent` returns, by the last of its requests alone, for tests that are about what comes afterwards."""
    url = httpx2.URL(consent_url)
    amazon = _RUNNING[f"{url.scheme}://{url.netloc.decode()}"]
    host = url.path.split("/")[1]
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=amazon.gate),
        cookies={SESSION_COOKIE: amazon.state.sign_in(host, seller_id)},
    ) as browser:
        confirmed = await browser.post(
            url.copy_with(query=None), data={**query_of(consent_url), "consent": "yes", "action": "confirm"}
        )
    assert confirmed.status_code == 303, confirmed.text
    location: str = confirmed.headers["location"]
    return location


async def arrive(client: httpx2.AsyncClient, callback_url: str) -> httpx2.Response:
    """The browser follows Amazon's redirect to us: no header of ours, only cookies."""
    request = client.build_request("GET", callback_url)
    request.headers.pop("x-csrf-token", None)
    return await client.send(request)


async def outcome(client: httpx2.AsyncClient, attempt_id: str) -> dict[str, Any]:
    answer = await client.get(f"/api/v1/authorizations/{attempt_id}")
    assert answer.status_code == 200, answer.text
    attempt: dict[str, Any] = answer.json()
    return attempt


async def connect(
    client: httpx2.AsyncClient,
    seller_id: str = LAMPENLADEN,
    country: str = "DE",
    *,
    agree: Callable[[str, str], Awaitable[str]] = confirm,
) -> dict[str, Any]:
    """The whole walk, through Amazon's pages with `agree=consent`. The attempt with its outcome."""
    attempt = await begin(client, country)
    callback_url = await agree(attempt["consent_url"], seller_id)
    answer = await arrive(client, callback_url)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/connect/{attempt['id']}"
    return await outcome(client, attempt["id"])


async def connect_named(
    signed_in: SignedIn, name: str = "Amazon Europa", seller_id: str = LAMPENLADEN
) -> str:
    """A connected and named store. Its id."""
    integration_id: str = (await connect(signed_in.client, seller_id))["integration_id"]
    answer = await signed_in.client.patch(f"/api/v1/integrations/{integration_id}", json={"name": name})
    assert answer.status_code == 200, answer.text
    return integration_id


@asynccontextmanager
async def answering(answer: Callable[[bytes], Awaitable[bytes | None]]) -> AsyncIterator[str]:
    """A server that answers each request's bytes with what `answer` says; None breaks the connection. Its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        writer.write(await answer(head + body) or b"")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def http_answer(status: int, body: str, content_type: str = "application/json") -> bytes:
    """The bytes of an HTTP/1.1 response."""
    content = body.encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(content)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + content


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def action_of(html: str) -> str:
    found = re.search(r'<form method="post" action="([^"]+)"', html)
    assert found is not None, html
    return unescape(found[1])


def hidden_of(html: str) -> dict[str, str]:
    return {
        unescape(name): unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', html)
    }


async def tick_all(client: httpx2.AsyncClient, path: str, *, done: bool = True) -> None:
    """Tick every step of the guide of the integration at this path, or open them all."""
    for step in (await client.get(f"{path}/setup-steps")).json()["items"]:
        answer = await client.put(f"{path}/setup-steps/{step['step']}/{step['country']}", json={"done": done})
        assert answer.status_code == 200, answer.text
        assert answer.json()["done"] is done
