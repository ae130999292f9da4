"""Who is believed about a client's address: the proxies of the settings. Whoever else tells one is logged, so that a forgotten proxy is found."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

import structlog
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

log = structlog.get_logger()

_KNOWN_PEERS = 1000


class ForwardedAddresses:
    """Lets the application see the address that a trusted proxy tells.

    A header from anybody else changes nothing. It is logged once for peers of private networks, where a forgotten proxy lies, and once for
    all others, whoever they are: a stranger who sends it fills no log, and does not keep the proxy from being named.
    """

    def __init__(self, app: Any, proxies: Sequence[IPv4Network | IPv6Network]) -> None:
        self._app = ProxyHeadersMiddleware(app, [str(proxy) for proxy in proxies]) if proxies else app
        self._untold = {True, False}

        @lru_cache(maxsize=_KNOWN_PEERS)
        def is_private_stranger(peer: str) -> bool | None:
            """Whether an untrusted peer's address is private; None of a trusted one, and of what is no address."""
            try:
                address = ip_address(peer.partition("%")[0])
            except ValueError:
                return None
            return None if any(address in proxy for proxy in proxies) else address.is_private

        self._is_private_stranger = is_private_stranger

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._untold and scope["type"] == "http":
            self._look(scope)
        await self._app(scope, receive, send)

    def _look(self, scope: Any) -> None:
        if all(name != b"x-forwarded-for" for name, _ in scope["headers"]):
            return
        client = scope.get("client")
        is_private = None if client is None else self._is_private_stranger(client[0])
        if is_private is not None and is_private in self._untold:
            self._untold.discard(is_private)
            log.warning(
                "forwarded_address_ignored",
                peer="private" if is_private else "public",
                setting="REPLYCO_TRUSTED_PROXIES",
            )
