"""Servers of a seller, each on a free port of this machine, and ways out that find them by name."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest

from shared.outgoing.addresses import Address, networks
from shared.outgoing.connections import OutgoingConnections
from tests.integration.mailrelay.certificates import CertificateFiles

HOST = "server.seller.example"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Serve = Callable[..., Awaitable[int]]


class Names:
    """DNS: the addresses of each name, an answer after the other; the last one stays. It counts who asks."""

    def __init__(self) -> None:
        self._answers: dict[str, list[Sequence[str]]] = {}
        self.asked: list[str] = []

    def say(self, name: str, *answers: Sequence[str]) -> None:
        self._answers[name] = list(answers)

    async def resolve(self, name: str) -> Sequence[Address]:
        self.asked.append(name)
        answers = self._answers.get(name)
        if not answers:
            raise OSError
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return [ip_address(address) for address in answer]


@pytest.fixture
def names() -> Names:
    names = Names()
    names.say(HOST, ["127.0.0.1"])
    return names


@pytest.fixture
def certificate(tmp_path: Path) -> CertificateFiles:
    return CertificateFiles(tmp_path, HOST)


@pytest.fixture
def outgoing(names: Names, certificate: CertificateFiles) -> OutgoingConnections:
    """Finds the servers of these tests."""
    return OutgoingConnections(
        allowed=networks("127.0.0.1/32"),
        webhook_ports=range(1, 65536),
        resolve=names.resolve,
        new_tls_context=certificate.client_context,
    )


@pytest.fixture
def strict(names: Names, certificate: CertificateFiles) -> OutgoingConnections:
    """As in production: nothing that is not public."""
    return OutgoingConnections(
        webhook_ports=range(1, 65536), resolve=names.resolve, new_tls_context=certificate.client_context
    )


def server_context(certificate: CertificateFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)
    return context


@pytest.fixture
async def serve(certificate: CertificateFiles) -> AsyncIterator[Serve]:
    """Starts a server that talks as the test says; answers its port. `tls=False` for plain TCP."""
    servers: list[asyncio.Server] = []

    async def start(talk: Talk, *, tls: bool = True) -> int:
        async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await talk(reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        context = server_context(certificate) if tls else None
        servers.append(await asyncio.start_server(visit, "127.0.0.1", 0, ssl=context))
        port: int = servers[-1].sockets[0].getsockname()[1]
        return port

    yield start
    for server in servers:
        server.close()
