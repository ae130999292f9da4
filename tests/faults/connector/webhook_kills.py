"""Two workers carry events to webhooks and one is killed in the middle of it, again and again; then everything is counted."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from sqlalchemy import func, select, update

from deploy.demo.postgres import CONNECTOR
from services.connector.accounts.callers import Caller
from services.connector.webhooks import service
from shared.crypto.key_provider import KeyFile
from shared.database import Sessions, create_engine, create_sessions
from shared.driver import new_id
from shared.events import EventKind, announce
from shared.keyring import Keyring
from shared.outgoing.addresses import networks
from shared.outgoing.connections import OutgoingConnections
from shared.permissions import Level, Permission
from shared.tables import EventRow, WebhookDelivery
from tests.conftest import Database, Keys
from tests.factories import make_account, make_user
from tests.integration.mailrelay.certificates import CertificateFiles
from tests.roles import Replica, replica, running

_WEBHOOKS = 4


@dataclass
class Receiver:
    """Counts what arrives by address and webhook-id, and takes a moment to answer."""

    port: int = 0
    got: Counter[tuple[str, str]] = field(default_factory=Counter)
    arrivals: asyncio.Queue[None] = field(default_factory=asyncio.Queue)

    def begin_anew(self) -> None:
        """What has arrived so far is of no interest to `some_more`."""
        while not self.arrivals.empty():
            self.arrivals.get_nowait()

    async def some_more(self) -> None:
        """Some of the new events have arrived: a worker is in the middle of carrying them."""
        async with asyncio.timeout(30):
            for _ in range(5):
                await self.arrivals.get()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(field.lower().split(": ", 1) for field in fields if field)
            await reader.readexactly(int(headers["content-length"]))
            self.got[line.split(" ")[1], headers["webhook-id"]] += 1
            self.arrivals.put_nowait(None)
            await asyncio.sleep(0.02)
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@dataclass(frozen=True, slots=True)
class Carried:
    """What was to be carried, what the database says of it, and what has really arrived."""

    events: int
    pairs: int
    """An event and a webhook that it is meant for."""
    pairs_with_a_delivery: int
    delivered: int
    not_delivered: int
    arrived: int
    strange: int
    """Arrived, and meant for nobody."""

    @property
    def is_right(self) -> bool:
        counts = {self.pairs, self.pairs_with_a_delivery, self.delivered, self.arrived}
        return len(counts) == 1 and not self.not_delivered + self.strange


@asynccontextmanager
async def _receiving(certificate: CertificateFiles) -> AsyncIterator[Receiver]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)
    made = Receiver()
    server = await asyncio.start_server(made, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


def _worker(
    database: Database, keys: Keys, certificate: CertificateFiles, folder: Path, number: int
) -> Replica:
    made = replica(
        database,
        keys,
        folder,
        "connector-worker",
        number,
        outgoing_allowed_networks="127.0.0.0/8",
        outgoing_webhook_ports="any",
    )
    made.environment = {**made.environment, "SSL_CERT_FILE": str(certificate.certificate_file)}
    return made


async def _make_webhooks(sessions: Sessions, keyring: Keyring, receiver: Receiver) -> UUID:
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        user = await make_user(session, account.id)
        now = (await session.execute(select(func.now()))).scalar_one()
    caller = Caller(account.id, user.id, {Permission.GENERAL_ADMIN: Level.EDIT}, session_id=new_id())
    outgoing = OutgoingConnections(allowed=networks("127.0.0.0/8"), webhook_ports={receiver.port})
    for number in range(_WEBHOOKS):
        await service.create_webhook(
            sessions,
            keyring,
            caller,
            url=f"https://127.0.0.1:{receiver.port}/{number}",
            kinds=[EventKind.INTEGRATION_CHANGED],
            description="",
            outgoing=outgoing,
            now=now,
        )
    return account.id


async def _end_leases(sessions: Sessions) -> None:
    """As if a minute had passed since the kill."""
    async with sessions.begin() as session:
        await session.execute(
            update(WebhookDelivery)
            .where(WebhookDelivery.state == "waiting", WebhookDelivery.attempts > 0)
            .values(next_attempt_at=func.now())
        )


async def _waiting(sessions: Sessions) -> int:
    async with sessions.begin() as session:
        events = await session.scalar(select(func.count()).where(EventRow.fanned_out_at.is_(None)))
        deliveries = await session.scalar(select(func.count()).where(WebhookDelivery.state == "waiting"))
    return (events or 0) + (deliveries or 0)


async def carried_through_kills(
    database: Database, keys: Keys, folder: Path, *, events: int, kills: int
) -> Carried:
    """Announce events, a part before each kill of one of two workers, until all is carried; then count."""
    certificate = CertificateFiles(folder)
    engine = create_engine(database.url(CONNECTOR), application_name="tests")
    sessions = create_sessions(engine)
    try:
        async with _receiving(certificate) as receiver:
            account_id = await _make_webhooks(sessions, Keyring(KeyFile.load(keys.key_file)), receiver)
            workers = [_worker(database, keys, certificate, folder, number) for number in range(2)]
            async with running(*workers):
                for kill in range(kills):
                    receiver.begin_anew()
                    await _announce(sessions, account_id, events // kills)
                    await receiver.some_more()
                    victim = workers[kill % 2]
                    await victim.kill()
                    # Behind the last kill the other one carries what is left.
                    if kill < kills - 1:
                        await victim.start()
                    await _end_leases(sessions)
                async with asyncio.timeout(60):
                    while await _waiting(sessions):
                        await _end_leases(sessions)
                        await asyncio.sleep(0.5)
        return await _count(sessions, receiver)
    finally:
        await engine.dispose()


async def _announce(sessions: Sessions, account_id: UUID, count: int) -> None:
    for _ in range(count):
        async with sessions.begin() as session:
            await announce(session, account_id, EventKind.INTEGRATION_CHANGED, integration_id=new_id())


async def _count(sessions: Sessions, receiver: Receiver) -> Carried:
    async with sessions.begin() as session:
        rows = (
            await session.execute(
                select(WebhookDelivery.webhook_id, WebhookDelivery.event_id, WebhookDelivery.state)
            )
        ).all()
        event_ids = {str(event_id) for event_id in await session.scalars(select(EventRow.id))}
    meant = {(f"/{number}", event_id) for number in range(_WEBHOOKS) for event_id in event_ids}
    return Carried(
        events=len(event_ids),
        pairs=len(meant),
        pairs_with_a_delivery=len({(row.webhook_id, row.event_id) for row in rows}),
        delivered=sum(row.state == "delivered" for row in rows),
        not_delivered=sum(row.state != "delivered" for row in rows),
        arrived=len(meant & set(receiver.got)),
        strange=len(set(receiver.got) - meant),
    )
