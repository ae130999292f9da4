"""The name server publishes what Amazon's domains would, and withstands what is no question."""

import socket
from collections.abc import AsyncIterator

import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from services.sandbox.app import create_app
from services.sandbox.mail.name_server import Listeners, listen
from services.sandbox.settings import SandboxSettings
from tests.integration.sandbox.conftest import fixed_clock


@pytest.fixture
async def name_server(settings: SandboxSettings) -> AsyncIterator[Listeners]:
    listeners = listen("127.0.0.1", 0)
    app = create_app(settings, fixed_clock, dns_listeners=listeners)
    async with app.router.lifespan_context(app):
        yield listeners


async def ask(listeners: Listeners, name: str, kind: str = "TXT") -> dns.message.Message:
    query = dns.message.make_query(name, kind, use_edns=True)
    return await dns.asyncquery.udp(query, "127.0.0.1", port=listeners.port, timeout=10)


async def test_the_name_server_knows_amazons_domains_and_nothing_else(name_server: Listeners) -> None:
    key = await ask(name_server, "sandbox._domainkey.amazon.de")
    policy = await ask(name_server, "_DMARC.Amazon.DE")
    nothing = await ask(name_server, "unknown.example")

    assert "v=DKIM1; k=rsa; p=" in key.answer[0].to_text()
    assert "v=DMARC1" in policy.answer[0].to_text()
    assert nothing.rcode() == dns.rcode.NXDOMAIN


async def test_the_name_server_survives_what_is_no_question(name_server: Listeners) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for junk in (b"", b"\0", b"x" * 600):
            sender.sendto(junk, ("127.0.0.1", name_server.port))

    assert (await ask(name_server, "amazon.de")).answer
