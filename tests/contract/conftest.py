"""Amazon's models, and a sandbox on a real socket that writes down every request to the SP-API."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.sandbox.app import create_app
from services.sandbox.settings import SandboxSettings
from services.sandbox.state.memory import Sandbox
from tests.contract.models import PublishedOperation, published_operations
from tests.no_tls import NO_AUTHORITIES
from tests.web_server import WebServer

SELLER_CENTRAL = "/sellercentral.amazon.com"
USER_AGENT = "Replyco/0.1 (Language=Python/3.11)"


@dataclass(frozen=True)
class Recorded:
    """One request as it came over the wire."""

    method: str
    host: str
    path: str
    query: str
    headers: dict[str, str]
    content: bytes


@dataclass
class Recorder:
    """Stands between the socket and the sandbox, and records each request to the SP-API."""

    app: ASGIApp
    requests: list[Recorded] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        content = bytearray()

        async def listen() -> Message:
            message = await receive()
            content.extend(message.get("body", b""))
            return message

        await self.app(scope, listen, send)
        _, host, path = scope["path"].split("/", 2)
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        query = scope["query_string"].decode()
        self.requests.append(Recorded(scope["method"], host, f"/{path}", query, headers, bytes(content)))


@dataclass
class Amazon:
    """A running sandbox: its address, its state, and the requests that it was sent."""

    url: str
    state: Sandbox
    recorder: Recorder
    http: httpx2.AsyncClient

    async def code(self, seller_id: str) -> str:
        """The authorization code of a seller's consent."""
        await self.http.post(f"{SELLER_CENTRAL}/ap/signin", data={"seller_id": seller_id})
        settings = self.state.settings
        fields = {
            "application_id": settings.application_id,
            "state": "x",
            "consent": "yes",
            "action": "confirm",
        }
        back = await self.http.post(f"{SELLER_CENTRAL}/apps/authorize/consent", data=fields)
        return parse_qs(urlsplit(back.headers["location"]).query)["spapi_oauth_code"][0]

    async def tokens(self, **fields: str) -> dict[str, str]:
        settings = self.state.settings
        credentials = {
            "client_id": settings.client_id,
            "client_secret": settings.client_secret.get_secret_value(),
        }
        answer = await self.http.post("/api.amazon.com/auth/o2/token", data={**credentials, **fields})
        tokens: dict[str, str] = answer.json()
        return tokens

    async def seller_token(self, seller_id: str) -> str:
        code, redirect_uri = await self.code(seller_id), self.state.settings.redirect_uris[0]
        tokens = await self.tokens(grant_type="authorization_code", code=code, redirect_uri=redirect_uri)
        return tokens["access_token"]

    async def application_token(self, scope: str) -> str:
        return (await self.tokens(grant_type="client_credentials", scope=scope))["access_token"]

    async def call(
        self,
        operation: PublishedOperation,
        token: str,
        region: str = "eu",
        *,
        json: object = None,
        query: Mapping[str, str] | None = None,
        **path: str,
    ) -> httpx2.Response:
        """One call of an operation as any client would make it."""
        url = f"/sellingpartnerapi-{region}.amazon.com{operation.path.format(**path)}"
        headers = {"x-amz-access-token": token, "user-agent": USER_AGENT}
        return await self.http.request(operation.method, url, headers=headers, json=json, params=query)


@pytest.fixture(scope="session")
def operations() -> dict[str, PublishedOperation]:
    return published_operations()


@pytest.fixture
async def amazon(web_server: WebServer) -> AsyncIterator[Amazon]:
    app = create_app(SandboxSettings())
    recorder = Recorder(app)
    async with (
        app.router.lifespan_context(app),
        web_server.answering_with(recorder),
        httpx2.AsyncClient(verify=NO_AUTHORITIES, base_url=web_server.url, trust_env=False) as http,
    ):
        yield Amazon(web_server.url, app.state.sandbox, recorder, http)
