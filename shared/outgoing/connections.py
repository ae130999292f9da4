"""Connections out: every address of the name is checked, and the checked address is the one that is connected to.

DNS is asked once for each connection. A name that has answered harmlessly when it was entered, and answers otherwise now, is
checked anew; between check and connection nobody is asked again. TLS is verified against the name.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache, cached_property
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, SOCK_STREAM, socket
from typing import Final, TypeVar

import dns.asyncresolver
import dns.exception
import httpcore2
import structlog
from typing_extensions import override

from shared.errors import Expected
from shared.outgoing.addresses import Address, Network, is_refused
from shared.outgoing.hosts import WEBHOOK_PORTS, host_name, https_url

log = structlog.get_logger()

_Connection = TypeVar("_Connection")

# The addresses that a name has, looked up in DNS. Raises OSError.
Resolve = Callable[[str], Awaitable[Sequence[Address]]]

TOTAL_SECONDS: Final = 10.0
_DNS_SECONDS: Final = 4.0
_CONNECT_SECONDS: Final = 4.0
_MOST_TRIED: Final = 3
# Names of an inner network answer faster than others, and a refusal must not reveal which exist.
_DNS_FAILURE_SECONDS: Final = 1.0


class Reason(StrEnum):
    """Why a connection failed. A name that leads to an address of ours or of nobody looks like one that does not exist."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"


class OutgoingFailed(Expected):
    """The server could not be reached. Only the class of failure is shown, never what the server or the system said."""

    code = "outgoing_failed"

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason=reason.value)
        self.reason = reason


class AnswerTooLong(Exception):
    """The server says more than anybody asked for. It is not read on."""


@dataclass(frozen=True, slots=True)
class HttpsAnswer:
    """What a server answers. `body` is what it says, to be believed as little as the server."""

    status: int
    body: bytes = field(repr=False)


async def look_up(name: str, *, seconds: float = _DNS_SECONDS) -> Sequence[Address]:
    """Ask the machine's name servers, without search domains and without its hosts file."""
    try:
        answers = await dns.asyncresolver.Resolver().resolve_name(f"{name}.", search=False, lifetime=seconds)
    except dns.exception.DNSException as error:
        raise OSError("no answer from DNS") from error
    return [ip_address(address) for address in answers.addresses()]


class OutgoingConnections:
    """Opens connections to servers that sellers name, after checking every address. There is one in a process."""

    def __init__(
        self,
        *,
        allowed: Sequence[Network] = (),
        refused: Sequence[Network] = (),
        webhook_ports: Collection[int] = WEBHOOK_PORTS,
        resolve: Resolve = look_up,
        new_tls_context: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self.allowed = allowed
        self._refused = refused
        self._webhook_ports = webhook_ports
        self._resolve = resolve
        self._new_tls_context = new_tls_context

    @cached_property
    def smtp_tls(self) -> ssl.SSLContext:
        """For SMTP, made when it is asked for."""
        return self._tls_context("smtp")

    @cached_property
    def _https_tls(self) -> ssl.SSLContext:
        return self._tls_context("https")

    def _tls_context(self, protocol: str) -> ssl.SSLContext:
        return _tls_context(protocol) if self._new_tls_context is None else _strict(self._new_tls_context())

    def webhook_url(self, entered: str) -> str:
        """The address as it is stored, if a webhook may have it. Raises UrlInvalid, HostInvalid, UrlPortNotAllowed."""
        return https_url(entered, self.allowed, self._webhook_ports)

    async def connect(self, host: str, port: int) -> socket:
        """A connected socket, without TLS yet. Raises HostInvalid, OutgoingFailed."""
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                addresses = await self._checked_addresses(host)
                return await _first_to_answer(addresses, lambda address: _dial(address, port))
        except TimeoutError:
            raise OutgoingFailed(Reason.TIMEOUT) from None

    async def https_post(
        self, url: str, body: str, headers: dict[str, str], *, seconds: float = TOTAL_SECONDS
    ) -> int:
        """The status of the answer; what else it says is not read. Raises UrlInvalid, HostInvalid, UrlPortNotAllowed, OutgoingFailed.

        A redirect is an answer like any other, and no proxy of the environment is asked.
        """
        async with self._answer("POST", url, headers, body.encode(), seconds) as answer:
            return answer.status

    async def https_exchange(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str],
        body: bytes = b"",
        most_bytes: int,
        seconds: float = TOTAL_SECONDS,
    ) -> HttpsAnswer:
        """The answer with what it says. Raises what `https_post` raises, and AnswerTooLong; a redirect is not followed."""
        async with self._answer(method, url, headers, body, seconds) as answer:
            content = bytearray()
            async for chunk in answer.aiter_stream():
                content += chunk
                if len(content) > most_bytes:
                    raise AnswerTooLong
            return HttpsAnswer(answer.status, bytes(content))

    @asynccontextmanager
    async def _answer(
        self, method: str, url: str, headers: dict[str, str], body: bytes, seconds: float
    ) -> AsyncIterator[httpcore2.Response]:
        target = httpcore2.URL(self.webhook_url(url))
        connection = httpcore2.AsyncHTTPConnection(
            target.origin,
            ssl_context=self._https_tls,
            network_backend=_CheckedNetwork(self._checked_addresses),
        )
        try:
            async with (
                asyncio.timeout(seconds),
                connection,
                connection.stream(method, target, headers=list(headers.items()), content=body) as answer,
            ):
                yield answer
        except (TimeoutError, httpcore2.TimeoutException):
            raise OutgoingFailed(Reason.TIMEOUT) from None
        except httpcore2.ConnectError:
            # TCP has been connected by then, or `_CheckedNetwork` would have said so.
            raise OutgoingFailed(Reason.TLS) from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError):
            raise OutgoingFailed(Reason.CONNECT) from None

    async def _checked_addresses(self, host: str) -> Sequence[Address]:
        """All addresses of the name, every one of them fit to connect to. Raises HostInvalid, OutgoingFailed."""
        name = host_name(host, self.allowed)
        began = time.monotonic()
        try:
            addresses = [ip_address(name)]
        except ValueError:
            addresses = await self._resolved(name)
        refused = [a for a in addresses if is_refused(a, allowed=self.allowed, refused=self._refused)]
        if addresses and not refused:
            # IPv4 first: a machine without IPv6 loses no time.
            return sorted(addresses, key=lambda address: address.version)[:_MOST_TRIED]
        if refused:
            log.warning("outgoing_address_refused", address=str(refused[0]))
        await asyncio.sleep(began + _DNS_FAILURE_SECONDS - time.monotonic())
        raise OutgoingFailed(Reason.DNS)

    async def _resolved(self, name: str) -> list[Address]:
        try:
            return list(await self._resolve(name))
        except OSError:
            return []


async def _dial(address: Address, port: int) -> socket:
    connection = socket(AF_INET if address.version == 4 else AF_INET6, SOCK_STREAM)
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, (str(address), port))
    except BaseException:
        connection.close()
        raise
    return connection


async def _first_to_answer(
    addresses: Iterable[Address], dial: Callable[[Address], Awaitable[_Connection]]
) -> _Connection:
    """The connection to the first address that answers. Raises OutgoingFailed."""
    failure = Reason.CONNECT
    for address in addresses:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await dial(address)
        except TimeoutError:
            failure = Reason.TIMEOUT
        except (OSError, httpcore2.NetworkError):
            failure = Reason.CONNECT
    raise OutgoingFailed(failure)


class _CheckedNetwork(httpcore2.AsyncNetworkBackend):
    """Gives httpcore2 connections to checked addresses; it then verifies TLS against the name in the URL."""

    def __init__(self, checked_addresses: Callable[[str], Awaitable[Sequence[Address]]]) -> None:
        self._checked_addresses = checked_addresses
        self._network = httpcore2.AnyIOBackend()

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await self._checked_addresses(host)
        return await _first_to_answer(
            addresses, lambda address: self._network.connect_tcp(str(address), port)
        )


@cache
def _tls_context(_protocol: str) -> ssl.SSLContext:
    """One for each protocol, which they tell in the handshake; made once a process: each time the system's certificate authorities are read, which takes 30 ms."""
    return _strict(ssl.create_default_context())


def _strict(context: ssl.SSLContext) -> ssl.SSLContext:
    """Verified against certificate and name, TLS 1.2 at least; said here, whatever defaults become."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = True
    context.verify_mode = ssl.CERT_REQUIRED
    return context
