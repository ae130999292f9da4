"""A mail worker's parts with the rights of its role, and a relay that accepts: what `journal` writes, in one statement."""

import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import insert, text
from typing_extensions import override

from deploy.demo.postgres import MAIL_WORKER, RELAY
from services.mailrelay.authenticity.nameservers import NameServers
from services.mailrelay.delivery.metrics import DeliveryMetrics
from services.mailrelay.delivery.parser_pool import ParserPool, _Running
from services.mailrelay.delivery.service import Delivery, deliver_due
from shared.blobs import open_blobs
from shared.channels import MAIL_CHANNEL
from shared.crypto.key_provider import KeyFile
from shared.crypto.raw_mail import ContentKey, MailPublicKey, seal_together
from shared.database import Sessions, create_sessions
from shared.driver import new_id
from shared.keyring import Keyring
from shared.lanes import Lane
from shared.settings import BlobSettings
from shared.tables import AcceptedMail, Integration, RelayAddress
from tests.conftest import Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.kept_database import KeptDatabase
from tests.signing import addressed, signed

MAILS = Path(__file__).parents[3] / "mails"

Accept = Callable[[bytes], Awaitable[UUID]]


@dataclass(frozen=True)
class Store:
    """A connected store that is still being set up, with its relay address."""

    integration: Integration
    address: RelayAddress

    @property
    def account_id(self) -> UUID:
        return self.integration.account_id


@pytest.fixture
async def store(sessions: Sessions, keyring: Keyring) -> Store:
    return await make_store(sessions, keyring)


def accepted_row(store: Store, public_key: MailPublicKey, raw: bytes) -> dict[str, Any]:
    """A mail as the relay's journal stores it."""
    mail_id = new_id()
    key = ContentKey.new(store.account_id, mail_id)
    return {
        "id": mail_id,
        "account_id": store.account_id,
        "relay_address_id": store.address.id,
        "session_id": "s1",
        "peer_address": "192.0.2.1",
        "tls_version": None,
        "size": len(raw),
        "mail_key_id": public_key.key_id,
        "content_key": seal_together([key], public_key)[0],
        "envelope": key.seal(
            "envelope",
            json.dumps({"mail_from": "", "rcpt_to": f"{store.address.local_part}@replyco.email"}).encode(),
        ),
        "raw": key.seal("raw", raw),
    }


async def make_store(sessions: Sessions, keyring: Keyring, *, local_part: str = "mabtekrud") -> Store:
    """By default with the address that the mails of tests/mails name in To."""
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        integration = await make_integration(session, account.id)
        return Store(integration, await make_relay_address(session, integration, local_part=local_part))


@pytest.fixture
def accept_forged(kept_database: KeptDatabase, keys: Keys, store: Store) -> Accept:
    """Accept a mail for the store's address as it is, with the relay's rights."""
    sessions = kept_database.sessions(RELAY)
    public_key = keys.mail_public_key

    async def accept_mail(raw: bytes) -> UUID:
        row = accepted_row(store, public_key, raw)
        async with sessions.begin() as session:
            await session.execute(insert(AcceptedMail).values(row))
            await session.execute(text(f"NOTIFY {MAIL_CHANNEL}"))
        return UUID(str(row["id"]))

    return accept_mail


@pytest.fixture
def accept(accept_forged: Accept, store: Store) -> Accept:
    """The same, sent there and signed by Amazon if the mail says that it is Amazon's."""

    async def accept_signed(raw: bytes) -> UUID:
        return await accept_forged(signed(addressed(raw, f"{store.address.local_part}@replyco.email")))

    return accept_signed


@pytest.fixture
def delivery_metrics(request: pytest.FixtureRequest) -> Iterator[DeliveryMetrics]:
    """Each batch is to be stored as one: a test in which one cannot be says so (`batches_fail`)."""
    registry = CollectorRegistry()
    yield DeliveryMetrics(registry)
    if request.node.get_closest_marker("batches_fail") is None:
        assert registry.get_sample_value("replyco_mail_batches_failed_total") == 0


@pytest.fixture
async def delivery(
    kept_database: KeptDatabase,
    keys: Keys,
    parser: ParserPool,
    name_servers: NameServers,
    delivery_metrics: DeliveryMetrics,
) -> AsyncIterator[Delivery]:
    blobs = open_blobs(BlobSettings(blob_url=keys.blob_url))
    yield Delivery(
        create_sessions(kept_database.process_engine(MAIL_WORKER)),
        Keyring(KeyFile.load(keys.key_file)),
        keys.mail_private_keys,
        parser,
        delivery_metrics,
        blobs,
        name_servers,
        # A busy machine shortens no batch of a test.
        turn_seconds=60.0,
    )
    blobs.close()


def freeze(parser: _Running) -> None:
    """Whatever it is asked from now on takes too long, on the fastest machine."""
    os.kill(parser.process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, parser.process.pid, os.WSTOPPED | os.WNOWAIT)  # until it has stopped


class FrozenParsers(ParserPool):
    """No mail of theirs is parsed in time."""

    def __init__(self) -> None:
        super().__init__(seconds=0.0)

    @override
    def _start(self) -> _Running:
        parser = super()._start()
        freeze(parser)
        return parser


async def deliver_in_each_lane(delivery: Delivery) -> int:
    """One turn in each lane, the slow one last; the number of mails claimed."""
    return sum([await deliver_due(replace(delivery, lane=lane)) for lane in Lane])


def mail(name: str) -> bytes:
    """A mail from tests/mails."""
    return (MAILS / f"{name}.eml").read_bytes()
