"""Both ways to Amazon in one part of the process: made by the composition root, closed with it."""

import ssl
from dataclasses import dataclass
from functools import cache

import httpx2
from pydantic import SecretStr

from services.connector.amazon.client import SpApiClient
from services.connector.amazon.lwa import Lwa
from services.connector.amazon.pausing import NeverPaused, StopSwitch
from services.connector.amazon.secrets import OneSecret, Secrets
from services.connector.amazon.throttling import Buckets, Throttle


@dataclass(frozen=True, slots=True)
class Amazon:
    """Tokens from `lwa`, data from `sp_api`. Both ask `switch` before each call."""

    lwa: Lwa
    sp_api: SpApiClient
    switch: StopSwitch

    async def close(self) -> None:
        await self.sp_api.close()


def create_amazon(
    client_id: str,
    client_secret: SecretStr | Secrets,
    *,
    amazon_base_url: str | None,
    buckets: Buckets | None = None,
    switch: StopSwitch | None = None,
) -> Amazon:
    """`amazon_base_url` is the sandbox's address, or None for Amazon itself. Without `buckets` Amazon alone throttles, and without
    `switch` nobody can stop the calls.
    """
    secrets = OneSecret(client_secret) if isinstance(client_secret, SecretStr) else client_secret
    context = tls()
    switch = switch or NeverPaused()
    throttle = Throttle(client_id, buckets)
    return Amazon(
        Lwa(client_id, secrets, amazon_base_url=amazon_base_url, tls=context, switch=switch),
        SpApiClient(amazon_base_url=amazon_base_url, tls=context, throttle=throttle, switch=switch),
        switch,
    )


@cache
def tls() -> ssl.SSLContext:
    """Made once a process: reading the certificate authorities takes some 20 ms. Proxy and certificate variables are not heeded."""
    return httpx2.create_ssl_context(trust_env=False)
