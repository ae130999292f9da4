"""A receiver on this machine with a real certificate, and a webhook_sender that is set going by hand."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry

from services.connector.webhooks.delivery import WebhookSender
from shared.database import Sessions
from shared.keyring import Keyring
from shared.outgoing.connections import OutgoingConnections
from tests.integration.shared.outgoing.conftest import HOST, Serve, certificate, names, outgoing, serve

__all__ = ["certificate", "names", "outgoing", "serve"]


@dataclass
class Received:
    """A request as it arrived."""

    line: str
    headers: dict[str, str]
    body: str


@dataclass
class Receiver:
    """Answers as it is told; `answers` are used up one by one, the last one stays."""

    port: int = 0
    answers: list[str] = field(default_factory=lambda: ["204 No Content"])
    requests: list[Received] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.go_on.set()

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}/replyco"

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (field.partition(": ") for field in fields if field)
        }
        body = (await reader.readexactly(int(headers["content-length"]))).decode()
        self.requests.append(Received(line, headers, body))
        self.arrived.set()
        await self.go_on.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()


NewReceiver = Callable[..., Awaitable[Receiver]]


@pytest.fixture
def new_receiver(serve: Serve) -> NewReceiver:
    async def start(*answers: str) -> Receiver:
        receiver = Receiver(answers=list(answers) or ["204 No Content"])
        receiver.port = await serve(receiver)
        return receiver

    return start


@pytest.fixture
async def receiver(new_receiver: NewReceiver) -> Receiver:
    return await new_receiver()


@pytest.fixture
def webhook_sender(sessions: Sessions, keyring: Keyring, outgoing: OutgoingConnections) -> WebhookSender:
    return WebhookSender(sessions, keyring, outgoing, CollectorRegistry())


async def send_webhooks(webhook_sender: WebhookSender) -> None:
    """What is there now is fanned out and tried once."""
    await webhook_sender.fan_out()
    await webhook_sender.begin_due()
    await webhook_sender.finish()


async def create(client: httpx2.AsyncClient, url: str, *kinds: str) -> dict[str, Any]:
    """A webhook for these kinds; the answer with its secret."""
    body = {"url": url, "kinds": list(kinds) or ["integration.changed"]}
    answer = await client.post("/api/v1/webhooks", json=body)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def deliveries(
    client: httpx2.AsyncClient, webhook: dict[str, Any], **query: str
) -> list[dict[str, Any]]:
    answer = await client.get(f"/api/v1/webhooks/{webhook['id']}/deliveries", params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items
