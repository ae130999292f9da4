"""A document's store is connected to at an address that was checked, and TLS is verified against its name."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_address
from pathlib import Path

import httpx2
import pytest

from services.connector.amazon.documents import CheckedTransport
from services.connector.amazon.errors import DocumentElsewhere
from shared.outgoing.addresses import Address, networks
from tests.integration.mailrelay.certificates import CertificateFiles

STORE = "tortuga-prod-eu.s3.eu-west-1.amazonaws.com"


class Store:
    """A server with a certificate for the store's name; what it was sent, and which name TLS was opened for."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.names: list[str | None] = []
        self.requests: list[bytes] = []


@pytest.fixture
def certificate(tmp_path: Path) -> CertificateFiles:
    return CertificateFiles(tmp_path, STORE)


@pytest.fixture
async def store(certificate: CertificateFiles) -> AsyncIterator[Store]:
    made = Store(0)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)
    context.sni_callback = lambda _socket, name, _context: made.names.append(name)
    async with await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context) as server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


async def get(
    certificate: CertificateFiles, url: str, addresses: Sequence[str], allowed: str = ""
) -> httpx2.Response:
    async def resolve(_name: str) -> Sequence[Address]:
        return [ip_address(address) for address in addresses]

    inner = httpx2.AsyncHTTPTransport(verify=certificate.client_context(), trust_env=False)
    transport = CheckedTransport(inner, resolve, allowed=networks(allowed))
    async with httpx2.AsyncClient(transport=transport) as client:
        return await client.get(url)


async def test_the_checked_address_is_connected_to_and_tls_is_for_the_name(
    certificate: CertificateFiles, store: Store
):
    url = f"https://{STORE}:{store.port}/x"

    answer = await get(certificate, url, ["2001:db8::1", "127.0.0.1"], "127.0.0.1/32, 2001:db8::/32")

    assert answer.text == "ok"
    assert store.names == [STORE]
    assert f"Host: {STORE}:{store.port}\r\n".encode() in store.requests[0]


async def test_a_certificate_for_another_name_is_refused(certificate: CertificateFiles, store: Store):
    with pytest.raises(httpx2.ConnectError):
        await get(
            certificate,
            f"https://d34o8swod1owfl.cloudfront.net:{store.port}/x",
            ["127.0.0.1"],
            "127.0.0.1/32",
        )

    assert store.requests == []


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"], ["::ffff:10.0.0.1"], ["52.218.0.1", "127.0.0.1"]],
)
async def test_a_name_that_leads_inside_is_not_connected_to(
    certificate: CertificateFiles, store: Store, addresses: list[str]
):
    with pytest.raises(DocumentElsewhere):
        await get(certificate, f"https://{STORE}:{store.port}/x", addresses)

    assert store.names == []


async def test_a_name_without_an_address_is_no_connection(certificate: CertificateFiles):
    with pytest.raises(httpx2.ConnectError):
        await get(certificate, f"https://{STORE}/x", [])
