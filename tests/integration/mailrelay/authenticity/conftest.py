"""A name server of one test, and mails that are checked with it."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from services.mailrelay.authenticity.metrics import DnsMetrics
from services.mailrelay.authenticity.nameservers import NameServers
from services.mailrelay.authenticity.resolver import Resolver
from services.mailrelay.authenticity.signers import TrustedSigners
from services.mailrelay.authenticity.verdict import Verdict, authenticate
from tests.signing import NameServer, name_server

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
MAIL = b"""\
Date: Thu, 26 Nov 2026 12:00:00 +0000\r
From: Kim <abc123def456gh7@marketplace.amazon.de>\r
To: mabtekrud@replyco.email\r
Message-ID: <1@example>\r
Subject: Frage zur Lampe\r
MIME-Version: 1.0\r
Content-Type: text/plain; charset=utf-8\r
\r
Guten Tag,\r
wann  kommt meine Lampe?\t\r
\r
\r
"""


@pytest.fixture
def dns() -> Iterator[NameServer]:
    with name_server() as server:
        yield server


@pytest.fixture
async def resolver(dns: NameServer) -> AsyncIterator[NameServers]:
    """Patient enough for a busy machine; what is silent here is silent for ever."""
    servers = NameServers([("127.0.0.1", dns.port)], DnsMetrics(CollectorRegistry()))
    yield servers
    await servers.close()


async def verdict_on(
    raw: bytes,
    resolver: Resolver,
    *,
    peer_address: str = "192.0.2.1",
    helo: str = "mail.example",
    mail_from: str = "",
    from_domain: str = "marketplace.amazon.de",
    trusted: TrustedSigners | None = None,
) -> Verdict:
    return await authenticate(
        raw,
        peer_address=peer_address,
        helo=helo,
        mail_from=mail_from,
        from_domain=from_domain,
        received_at=NOW,
        resolver=resolver,
        trusted=trusted,
    )
