"""Documents of reports, read from the stores in which Amazon lays them: addresses of Amazon's alone, and bytes without an end in sight.

The address came in an answer of Amazon's and is checked all the same: whoever could change it would have us read from our own network.
Whoever knows it may read the document, so it is in no log line and no error.
"""

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import httpx2
from pydantic import SecretStr
from typing_extensions import override

from services.connector.amazon.errors import (
    AmazonUnavailable,
    DocumentElsewhere,
    DocumentExpired,
    DocumentTooLarge,
)
from services.connector.amazon.pausing import StopSwitch
from shared.outgoing.addresses import Network, is_refused
from shared.outgoing.connections import Resolve, look_up

_OPERATION: Final = "reportDocument"
_CONNECT_SECONDS: Final = 5
# S3 in the ways in which its regions are named, a bucket before it or in the path; and CloudFront, as in Amazon's model of the Reports API.
_STORES: Final = re.compile(
    r"(?:[a-z0-9][a-z0-9-]{1,61}[a-z0-9]\.)?s3(?:\.dualstack)?(?:[.-][a-z]{2,12}(?:-[a-z0-9]{1,12}){1,3})?\.amazonaws\.com"
    r"|[a-z0-9]{8,20}\.cloudfront\.net"
)
_PLAIN: Final = re.compile(r"[!-~]+")
# An address that is over, or a document that is no longer there.
_OVER: Final = frozenset({403, 404, 410})


class OpenDocument:
    """A document that is being read: once, from its beginning. `content_type` is the store's header, if it sent one."""

    def __init__(self, answer: httpx2.Response, *, is_gzip: bool, most_bytes: int, seconds: float) -> None:
        self._answer = answer
        self._most_bytes = most_bytes
        self._seconds = seconds
        self.content_type: str | None = answer.headers.get("content-type")
        # As stored, or packed by the store for the way: in both cases these bytes are gzip.
        self.is_gzip = is_gzip or answer.headers.get("content-encoding", "").strip().lower() == "gzip"

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they come, not unpacked. Raises DocumentTooLarge, AmazonUnavailable."""
        count = 0
        incoming = self._answer.aiter_raw()
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(self._seconds):
                    chunk = await anext(incoming, None)
            except (httpx2.HTTPError, TimeoutError) as error:
                raise AmazonUnavailable(operation=_OPERATION, reason=type(error).__name__) from None
            self._seconds -= time.monotonic() - began
            if chunk is None:
                return
            count += len(chunk)
            if count > self._most_bytes:
                raise DocumentTooLarge(most_bytes=self._most_bytes)
            yield chunk


class Documents:
    """Reads documents; one a process, closed by its maker. `amazon_base_url` is the sandbox's address, or None for Amazon itself."""

    def __init__(
        self,
        *,
        amazon_base_url: str | None,
        tls: ssl.SSLContext,
        user_agent: str,
        switch: StopSwitch,
        resolve: Resolve = look_up,
    ) -> None:
        self._amazon_base_url = amazon_base_url
        self._switch = switch
        # No connection is kept: the next one might be to another name at the same address, and TLS has been verified for the first.
        limits = httpx2.Limits(max_connections=20, max_keepalive_connections=0)
        transport = httpx2.AsyncHTTPTransport(verify=tls, trust_env=False, limits=limits)
        self._http = httpx2.AsyncClient(
            transport=transport if amazon_base_url else CheckedTransport(transport, resolve),
            headers={"user-agent": user_agent, "accept-encoding": "identity"},
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        await self._http.aclose()

    @asynccontextmanager
    async def open(
        self, url: SecretStr, *, is_gzip: bool, most_bytes: int, seconds: float
    ) -> AsyncIterator[OpenDocument]:
        """See `reports.open_document`."""
        if not is_of_a_store(url.get_secret_value(), self._amazon_base_url):
            raise DocumentElsewhere
        await self._switch.refuse_if_paused()
        began = time.monotonic()
        request = self._http.build_request(
            "GET", url.get_secret_value(), timeout=httpx2.Timeout(seconds, connect=_CONNECT_SECONDS)
        )
        try:
            async with asyncio.timeout(seconds):
                answer = await self._http.send(request, stream=True)
        except (httpx2.HTTPError, TimeoutError) as error:
            raise AmazonUnavailable(operation=_OPERATION, reason=type(error).__name__) from None
        try:
            _raise_unless_opened(answer, most_bytes)
            left = seconds - (time.monotonic() - began)
            yield OpenDocument(answer, is_gzip=is_gzip, most_bytes=most_bytes, seconds=left)
        finally:
            await answer.aclose()


def is_of_a_store(url: str, amazon_base_url: str | None) -> bool:
    """Whether this is an address in one of Amazon's stores: https, without port, user and fragment. With a sandbox, the same store there."""
    if not _PLAIN.fullmatch(url) or "#" in url or "\\" in url:
        return False
    if amazon_base_url is not None:
        base = f"{amazon_base_url.rstrip('/')}/"
        return (
            url.startswith(base) and _STORES.fullmatch(url[len(base) :].split("/", maxsplit=1)[0]) is not None
        )
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and _STORES.fullmatch(parts.netloc) is not None
    except ValueError:
        return False


class CheckedTransport(httpx2.AsyncBaseTransport):
    """Connects to an address that was looked up and checked just before. TLS is verified against the name all the same."""

    def __init__(
        self, transport: httpx2.AsyncBaseTransport, resolve: Resolve, *, allowed: Sequence[Network] = ()
    ) -> None:
        self._transport = transport
        self._resolve = resolve
        self._allowed = allowed

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        name = request.url.host
        try:
            addresses = await self._resolve(name)
        except OSError as error:
            raise httpx2.ConnectError("no answer from DNS") from error
        if any(is_refused(address, allowed=self._allowed, refused=()) for address in addresses):
            raise DocumentElsewhere
        if not addresses:
            raise httpx2.ConnectError("no address")
        # IPv4 first: a machine without IPv6 loses no time. The header Host has the name already.
        address = min(addresses, key=lambda each: each.version)
        request.url = request.url.copy_with(host=str(address))
        request.extensions = {**request.extensions, "sni_hostname": name}
        return await self._transport.handle_async_request(request)

    @override
    async def aclose(self) -> None:
        await self._transport.aclose()


def _raise_unless_opened(answer: httpx2.Response, most_bytes: int) -> None:
    if answer.is_redirect:
        raise DocumentElsewhere
    if answer.status_code in _OVER:
        raise DocumentExpired(status=answer.status_code)
    if answer.status_code != 200:
        raise AmazonUnavailable(operation=_OPERATION, status=answer.status_code)
    length = answer.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:19]) > most_bytes:
        raise DocumentTooLarge(most_bytes=most_bytes)
