"""Asking providers: over TLS that is verified, at addresses that are checked, within bounds, and not again and again."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from joserfc.jwk import ECKey

from services.connector.single_sign_on.metadata import Failure, ProviderFailed
from services.connector.single_sign_on.provider_client import ProviderClient
from shared.outgoing.connections import OutgoingConnections
from tests.integration.shared.outgoing.conftest import HOST, Serve, certificate, names, outgoing, serve

__all__ = ["certificate", "names", "outgoing", "serve"]

KEY = ECKey.generate_key("P-256", parameters={"kid": "one"}).as_dict(private=False)


@dataclass
class Provider:
    """A server with a real certificate that answers by path; the port is its own."""

    port: int = 0
    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    hangs: bool = False
    now: float = 1_000.0

    @property
    def issuer(self) -> str:
        return f"https://{HOST}:{self.port}"

    def describe(self, **changes: Any) -> None:
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }
        self.say("/.well-known/openid-configuration", json.dumps(document | changes))
        self.say("/keys", json.dumps({"keys": [KEY]}))

    def say(self, path: str, body: str, status: str = "200 OK", headers: str = "") -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        self.answers[path] = head.encode() + body.encode()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readuntil(b"\r\n\r\n")).decode().partition("\r\n")[0]
        path = line.split(" ")[1]
        self.asked.append(path)
        if self.hangs:
            await reader.read()
        writer.write(self.answers.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
        await writer.drain()


@pytest.fixture
async def provider(serve: Serve) -> Provider:
    provider = Provider()
    provider.port = await serve(provider)
    provider.describe()
    return provider


@pytest.fixture
def client(provider: Provider, outgoing: OutgoingConnections) -> ProviderClient:
    return ProviderClient(outgoing, clock=lambda: provider.now, seconds=5, kept=2)


async def _reason(client: ProviderClient, issuer: str) -> Failure:
    with pytest.raises(ProviderFailed) as failed:
        await client.keys(await client.metadata(issuer))
    return failed.value.reason


async def test_what_a_provider_says_is_kept_for_ten_minutes(provider, client):
    for _ in range(3):
        metadata = await client.metadata(provider.issuer)
        assert [key.kid for key in await client.keys(metadata)] == ["one"]
    assert len(provider.asked) == 2

    provider.now += 601
    await client.keys(await client.metadata(provider.issuer))

    assert len(provider.asked) == 4


async def test_unknown_keys_are_asked_for_once_a_minute(provider, client):
    metadata = await client.metadata(provider.issuer)
    for _ in range(5):
        await client.keys(metadata)
        await client.keys(metadata, is_unknown=True)
    assert provider.asked.count("/keys") == 2

    await client.ask_metadata(provider.issuer)
    await client.keys(metadata, is_unknown=True)
    provider.now += 61
    await client.keys(metadata, is_unknown=True)

    assert provider.asked.count("/keys") == 4


async def test_a_failure_is_not_asked_for_at_once_again(provider, client):
    provider.say("/.well-known/openid-configuration", "gone", "500 Oops")

    assert [await _reason(client, provider.issuer) for _ in range(5)] == [Failure.STATUS] * 5
    assert len(provider.asked) == 1

    provider.describe()
    provider.now += 11
    assert await client.metadata(provider.issuer)


@pytest.mark.parametrize(
    ("status", "body", "headers", "failure"),
    [
        ("302 Found", "", "Location: https://elsewhere.example/\r\n", Failure.STATUS),
        ("200 OK", "<html></html>", "", Failure.NO_JSON),
        ("200 OK", "[1]", "", Failure.NO_JSON),
        ("200 OK", "[" * 100_000, "", Failure.NO_JSON),
        ("200 OK", "x" * 300_000, "", Failure.TOO_LONG),
        ("404 Not Found", "", "", Failure.STATUS),
    ],
)
async def test_an_answer_that_is_no_description(provider, client, status, body, headers, failure):  # noqa: PLR0917
    provider.say("/.well-known/openid-configuration", body, status, headers)

    assert await _reason(client, provider.issuer) is failure


async def test_a_provider_without_keys_and_one_that_names_inner_addresses(provider, client):
    provider.say("/keys", '{"keys": []}')
    assert await _reason(client, provider.issuer) is Failure.NO_KEYS

    # The description is checked like everything else that it leads to.
    provider.describe(jwks_uri="https://127.0.0.1/keys")
    provider.now += 601
    assert await _reason(client, provider.issuer) in {Failure.ADDRESS_WRONG, Failure.CONNECT, Failure.TLS}
    provider.describe(jwks_uri="https://169.254.169.254/keys")
    provider.now += 601
    assert await _reason(client, provider.issuer) is Failure.ADDRESS_WRONG


async def test_a_server_that_hangs_is_waited_for_in_vain(provider, outgoing):
    provider.hangs = True

    assert await _reason(ProviderClient(outgoing, seconds=0.1), provider.issuer) is Failure.TIMEOUT


async def test_a_server_that_nobody_certifies_or_knows(provider, names, certificate):
    plain = OutgoingConnections(webhook_ports=range(1, 65536), resolve=names.resolve, allowed=())
    inner = ProviderClient(plain)

    # Its address is one of this machine: nobody learns that there is something.
    assert await _reason(inner, provider.issuer) is Failure.DNS
    assert provider.asked == []


async def test_of_many_providers_the_last_ones_are_kept(provider, client):
    first = f"{provider.issuer}"
    await client.metadata(first)
    for tenant in ("a", "b"):
        await _reason(client, f"{provider.issuer}/{tenant}")

    await client.metadata(first)

    assert provider.asked.count("/.well-known/openid-configuration") == 2
