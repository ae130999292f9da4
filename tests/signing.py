"""Mails signed as Amazon signs them, and a name server that has the keys: real verification, wherever a test delivers mail.

The signing is dkimpy's, so that ours is held against another understanding of the RFCs. Ed25519, because it costs nothing.
"""

import asyncio
import atexit
import base64
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache

import dkim
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from services.mailrelay.parsing.claimed_sender import claimed_sender
from services.sandbox.mail.name_server import Zone, listen, serving
from shared.marketplaces import MARKETPLACES

SELECTOR = "test"
_SIGNED = re.compile(
    rb"(?im)^(from|to|subject|date|message-id|reply-to|mime-version|content-type|auto-submitted):"
)
_TO = re.compile(rb"(?im)^to:[^\r\n]*")
_IS_SIGNED = f"s={SELECTOR};".encode()
# One for the whole run: no test is about who has it.
_KEY = Ed25519PrivateKey.generate()
_SEED = base64.b64encode(_KEY.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
_PUBLIC = base64.b64encode(_KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


@dataclass
class NameServer:
    """A name server on loopback, in a thread of its own: it answers whatever a test is busy with."""

    port: int
    zone: Zone = field(default_factory=Zone)

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def setting(self) -> str:
        """For REPLYCO_NAMESERVERS."""
        return f"127.0.0.1:{self.port}"

    def publish_amazon(self) -> None:
        """Forget all else, and have the records of Amazon's domains."""
        self.zone.records.clear()
        self.zone.failing.clear()
        self.zone.silent.clear()
        self.zone.is_dead = False
        for marketplace in MARKETPLACES:
            domain = marketplace.retail_domain
            self.zone.text(f"{SELECTOR}._domainkey.{domain}", f"v=DKIM1; k=ed25519; p={_PUBLIC}")
            self.zone.text(domain, "v=spf1 ip4:198.51.100.0/24 -all")
            self.zone.text(f"_dmarc.{domain}", "v=DMARC1; p=quarantine")


@cache
def amazon_dns() -> NameServer:
    """One with Amazon's records, for all of this process and what it starts. Nobody changes it."""
    running = name_server()
    atexit.register(running.__exit__, None, None, None)
    return running.__enter__()


@contextmanager
def name_server() -> Iterator[NameServer]:
    """A running one with Amazon's records."""
    listeners = listen("127.0.0.1", 0)
    server = NameServer(listeners.port)
    server.publish_amazon()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with serving(server.zone, listeners):
            await stop.wait()

    thread = threading.Thread(
        target=lambda: loop.run_until_complete(serve()), name="name-server", daemon=True
    )
    thread.start()
    yield server
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def addressed(raw: bytes, recipient: str) -> bytes:
    """The mail to this recipient, if it has none and says that it is Amazon's, or another one."""
    head, separator, body = raw.partition(b"\r\n\r\n")
    if not separator or _IS_SIGNED in head or claimed_sender(raw).claim != "from_domain":
        return raw
    to = b"To: " + recipient.encode()
    head, found = _TO.subn(to, head, count=1)
    return (head if found else to + b"\r\n" + head) + separator + body


@lru_cache(maxsize=64)  # a mail that is sent twice has one signature, with one time in it
def signed(raw: bytes, *names: bytes) -> bytes:
    """The mail as Amazon would have sent it, if it says that it is Amazon's; any other mail, and a signed one, as it is.

    `names` are signed besides the usual ones, also where the mail does not have them.
    """
    sender = claimed_sender(raw)
    if _IS_SIGNED in raw.partition(b"\r\n\r\n")[0] or sender.claim != "from_domain" or sender.domain is None:
        return raw
    domain = next(
        m.retail_domain for m in MARKETPLACES if f".{sender.domain}".endswith(f".{m.retail_domain}")
    )
    signature: bytes = dkim.sign(
        raw,
        SELECTOR.encode(),
        domain.encode(),
        _SEED,
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=list(
            dict.fromkeys((*map(bytes.lower, _SIGNED.findall(raw.partition(b"\r\n\r\n")[0])), *names))
        ),
        signature_algorithm=b"ed25519-sha256",
    )
    return signature + raw
