"""A sandbox of its own for each test, a clock that stands still, and a mail server that keeps what it is given."""

import asyncio
import email
import email.policy
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import cache
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.sandbox.app import create_app
from services.sandbox.settings import SandboxSettings
from shared.listening import listening_socket

EUROPE = "/sellercentral-europe.amazon.com"
CALLBACK = "http://localhost:8000/amazon/callback"
LAMPENLADEN, CASA_VERDE = "A1LAMPENLADEN7", "A2CASAVERDE34K"
USER_AGENT = "Replyco/0.1 (Language=Python/3.11; Platform=Linux)"


def parse(envelope: Envelope) -> EmailMessage:
    """A mail as a mail program reads it."""
    assert isinstance(envelope.content, bytes)
    return email.message_from_bytes(envelope.content, policy=email.policy.default)


@dataclass
class Mailbox:
    """What a mail server received; `replies` are given for the next mails instead of 250."""

    port: int = 0
    replies: list[str] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_for(self, count: int) -> list[EmailMessage]:
        """The mails as soon as there are so many."""
        async with asyncio.timeout(20), self.arrived:
            await self.arrived.wait_for(lambda: len(self.envelopes) >= count)
        assert len(self.envelopes) == count
        return [parse(envelope) for envelope in self.envelopes]

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.replies:
            return self.replies.pop(0)
        self.envelopes.append(envelope)
        async with self.arrived:
            self.arrived.notify_all()
        return "250 2.0.0 Accepted"


@dataclass
class Seller:
    """A seller's browser and the application's side of one sandbox."""

    client: httpx2.AsyncClient
    settings: SandboxSettings

    async def sign_in(self, seller_id: str = "A1LAMPENLADEN7", host: str = EUROPE) -> httpx2.Response:
        return await self.client.post(f"{host}/ap/signin", data={"seller_id": seller_id})

    def consent_fields(self, **changes: str) -> dict[str, str]:
        fields = {"application_id": self.settings.application_id, "state": "st-1", "redirect_uri": CALLBACK}
        return {name: value for name, value in {**fields, **changes}.items() if value}

    async def confirm(self, host: str = EUROPE, **changes: str) -> httpx2.Response:
        data = {**self.consent_fields(**changes), "consent": "yes", "action": "confirm"}
        return await self.client.post(f"{host}/apps/authorize/consent", data=data)

    async def code(self, seller_id: str = "A1LAMPENLADEN7", host: str = EUROPE) -> str:
        await self.sign_in(seller_id, host)
        answer = await self.confirm(host)
        return parse_qs(urlsplit(answer.headers["location"]).query)["spapi_oauth_code"][0]

    async def token(self, **fields: str) -> httpx2.Response:
        secret = self.settings.client_secret.get_secret_value()
        data = {"client_id": self.settings.client_id, "client_secret": secret, **fields}
        return await self.client.post(
            "/api.amazon.com/auth/o2/token", data={name: value for name, value in data.items() if value}
        )

    async def exchange(self, code: str) -> httpx2.Response:
        return await self.token(grant_type="authorization_code", code=code, redirect_uri=CALLBACK)

    async def connect(self, seller_id: str = "A1LAMPENLADEN7", host: str = EUROPE) -> dict[str, str]:
        answer = await self.exchange(await self.code(seller_id, host))
        assert answer.status_code == 200
        tokens: dict[str, str] = answer.json()
        return tokens

    async def participations(self, access_token: str, region: str = "eu") -> httpx2.Response:
        return await self.client.get(
            f"/sellingpartnerapi-{region}.amazon.com/sellers/v1/marketplaceParticipations",
            headers={"x-amz-access-token": access_token, "user-agent": USER_AGENT},
        )


def fixed_clock() -> datetime:
    return datetime(2026, 11, 2, 8, 15, 1, tzinfo=UTC)


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    box = Mailbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(box), "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    yield box
    server.close()
    await server.wait_closed()


@pytest.fixture
def settings(mailbox: Mailbox) -> SandboxSettings:
    return _settings().model_copy(update={"relay_port": mailbox.port})


# To read the environment takes as long as a small test: once a process.
@cache
def _settings() -> SandboxSettings:
    return SandboxSettings(relay_host="127.0.0.1", first_retry_seconds=0.01)


@pytest.fixture
def smtp_listener() -> Iterator[socket.socket]:
    """Where the sandbox takes mail."""
    with listening_socket("127.0.0.1", 0) as listener:
        yield listener


@pytest.fixture
async def client(
    settings: SandboxSettings, smtp_listener: socket.socket
) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(settings, fixed_clock, smtp_listener=smtp_listener)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost:8090") as client,
    ):
        yield client


@pytest.fixture
def seller(client: httpx2.AsyncClient, settings: SandboxSettings) -> Seller:
    return Seller(client, settings)


@pytest.fixture
def smtp_port(client: httpx2.AsyncClient, smtp_listener: socket.socket) -> int:
    """The port of a sandbox that runs."""
    return int(smtp_listener.getsockname()[1])
