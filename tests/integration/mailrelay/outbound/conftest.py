"""A worker's sender with the rights of its role, a store with buyers' messages, and a mail server that takes its replies."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select

from deploy.demo.postgres import MAIL_WORKER
from services.mailrelay.delivery.authentication import readable_as_decided
from services.mailrelay.outbound.metrics import OutboundMetrics
from services.mailrelay.outbound.preparing import Preparation
from services.mailrelay.outbound.sending import ReplySender, Ways
from services.mailrelay.outbound.transports import Bounds
from shared.blobs import open_blobs
from shared.crypto.envelope import Place
from shared.crypto.raw_mail import MailPublicKey
from shared.database import Sessions, create_sessions
from shared.keyring import Keyring
from shared.outgoing.connections import OutgoingConnections
from shared.outgoing.smtp import SmtpServer
from shared.settings import BlobSettings
from shared.tables import Conversation, Integration, Message, OutboundMessage, SmtpConfiguration
from tests.conftest import Keys
from tests.factories import (
    make_accepted_mail,
    make_account,
    make_conversation,
    make_integration,
    make_message,
    make_relay_address,
    make_reply,
)
from tests.integration.mailrelay.outbound.peer import Peer, listening
from tests.kept_database import KeptDatabase

ORDER = "303-1234567-1234567"
BUYER = "k3x9example0abc+a1b2c3@marketplace.amazon.de"
RAW = (
    b"From: Erika <k3x9example0abc@marketplace.amazon.de>\r\n"
    b"Reply-To: <k3x9example0abc+A2TAGOFTHETHREAD@marketplace.amazon.de>\r\n"
    b"Message-ID: <question@eu-west-1.amazonses.com>\r\n"
    b"References: <first@eu-west-1.amazonses.com>\r\n"
    b"Subject: Frage zur Lampe\r\n\r\nGuten Tag\r\n"
)


@dataclass
class Clock:
    """The sender's clock, which a test moves."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Shop:
    """A store whose buyers have written."""

    sessions: Sessions
    keyring: Keyring
    mail_key: MailPublicKey
    integration: Integration
    local_part: str
    address: Any

    @property
    def sender_address(self) -> str:
        return f"{self.local_part}@replyco.email"

    async def question(self, *, raw: bytes = RAW, **columns: Any) -> Message:
        """A buyer's message in a conversation of its own, whose answer is due."""
        async with self.sessions.begin() as session:
            conversation = await make_conversation(session, self.keyring, self.integration)
            return await self._message(session, conversation, raw, **columns)

    async def another_question(self, before: Message, *, raw: bytes = RAW, **columns: Any) -> Message:
        """The next message in the same conversation."""
        async with self.sessions.begin() as session:
            conversation = await session.get_one(Conversation, before.conversation_id)
            return await self._message(session, conversation, raw, **columns)

    async def _message(self, session: Any, conversation: Conversation, raw: bytes, **columns: Any) -> Message:
        _, key = await make_accepted_mail(session, self.address, self.mail_key, raw=raw, state="delivered")
        values: dict[str, Any] = {"authenticity": "authentic", "order_ids": [ORDER], "content_key": key}
        values |= {"answer_due_at": datetime.now(UTC) + timedelta(hours=24)}
        return await make_message(session, self.keyring, conversation, **values | columns)

    async def reply(self, message: Message, **columns: Any) -> UUID:
        async with self.sessions.begin() as session:
            return (await make_reply(session, self.keyring, message, **columns)).id

    async def row(self, reply_id: UUID) -> OutboundMessage:
        async with self.sessions() as session:
            return await session.get_one(OutboundMessage, reply_id)

    async def rows(self) -> list[OutboundMessage]:
        async with self.sessions() as session:
            return list(await session.scalars(select(OutboundMessage).order_by(OutboundMessage.id)))

    async def server_words(self, reply_id: UUID) -> str | None:
        row = await self.row(reply_id)
        keys = await self.keyring.of(self.sessions, row.account_id)
        if row.server_words is None:
            return None
        return keys.open_text(Place("outbound_messages", "server_words", reply_id), row.server_words)


@pytest.fixture
def owner(owner_sessions: Sessions) -> Sessions:
    return owner_sessions


async def make_shop(
    sessions: Sessions, keyring: Keyring, keys: Keys, *, local_part: str = "mabtekrud"
) -> Shop:
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        integration = await make_integration(session, account.id)
        address = await make_relay_address(session, integration, local_part=local_part)
        return Shop(sessions, keyring, keys.mail_public_key, integration, local_part, address)


@pytest.fixture
async def shop(owner: Sessions, keyring: Keyring, keys: Keys) -> Shop:
    return await make_shop(owner, keyring, keys)


async def give_own_server(shop: Shop, **columns: Any) -> None:
    """The store sends by a server of its own from now on."""
    keys = await shop.keyring.of(shop.sessions, shop.integration.account_id)
    place = Place("smtp_configurations", "password", shop.integration.id)
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 1,
        "tls_mode": "starttls",
        "username": "shop",
        "password": "secret",
    }
    values |= {"sender_address": "shop@seller.example"} | columns
    values["password"] = keys.seal_text(place, values["password"])
    async with shop.sessions.begin() as session:
        session.add(
            SmtpConfiguration(
                integration_id=shop.integration.id, account_id=shop.integration.account_id, **values
            )
        )


@pytest.fixture
async def own_shop(owner: Sessions, keyring: Keyring, keys: Keys) -> Shop:
    """A store that sends by a server of its own, at which nobody listens."""
    shop = await make_shop(owner, keyring, keys, local_part="gilnopwas")
    await give_own_server(shop)
    return shop


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with listening(Peer()) as peer:
        yield peer


@dataclass
class Senders:
    """Makes senders, each with the rights of a mail worker."""

    sessions: Sessions
    keyring: Keyring
    keys: Keys
    clock: Clock = field(default_factory=Clock)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __call__(
        self,
        smarthost: SmtpServer | None,
        *,
        bounds: Bounds | None = None,
        outgoing: OutgoingConnections | None = None,
        lease: timedelta = timedelta(seconds=30),
        scanner: Any = None,
        end_seconds: float = 60,
        **parts: Any,
    ) -> ReplySender:
        self.registry = CollectorRegistry()
        blobs = open_blobs(BlobSettings(blob_url=self.keys.blob_url))
        outgoing = outgoing or OutgoingConnections()
        return ReplySender(
            Preparation(self.sessions, self.keyring, blobs, scanner, "replyco.email", readable_as_decided),
            Ways(
                hello_name="mx1.replyco.email",
                outgoing=outgoing,
                smarthost=smarthost,
                smarthost_tls=outgoing.smtp_tls,
                smarthost_bounds=bounds or Bounds(4, 10_000),
                end_seconds=end_seconds,
            ),
            OutboundMetrics(self.registry),
            lease=lease,
            clock=self.clock,
            **parts,
        )


@pytest.fixture
def senders(kept_database: KeptDatabase, keys: Keys, keyring: Keyring) -> Senders:
    return Senders(create_sessions(kept_database.process_engine(MAIL_WORKER, pool_size=20)), keyring, keys)


@pytest.fixture
async def sender(senders: Senders, peer: Peer) -> AsyncIterator[ReplySender]:
    sender = senders(peer.server())
    yield sender
    await sender.close()


async def send_all(sender: ReplySender, *, seconds: float = 30) -> None:
    """Until nothing is due any more, nor in hand."""
    async with asyncio.timeout(seconds):
        while True:
            rest = await sender.send_due()
            if rest and not sender.in_hand:
                return
            await sender.settle(seconds)


async def send_once(sender: ReplySender) -> None:
    """What is due now, and nothing that becomes due by it."""
    await sender.send_due()
    await sender.settle(30)
