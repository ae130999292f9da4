"""The journal's promises that an SMTP dialogue does not show."""

import asyncio
import contextlib
import socket
from ipaddress import ip_address

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from prometheus_client import CollectorRegistry

from deploy.demo.postgres import OWNER, RELAY
from services.mailrelay.intake.journal import AcceptedRow, Journal, JournalUnavailable
from services.mailrelay.metrics import RelayMetrics
from shared.crypto.raw_mail import ContentKey, MailPrivateKey
from shared.database import Sessions
from shared.driver import asyncpg_dsn, new_id
from shared.keyring import Keyring
from shared.tables import RelayAddress
from tests.conftest import Database
from tests.factories import make_account, make_integration, make_relay_address

BATCH = bytes(16_777_216)
MAIL_KEY = MailPrivateKey("k1", X25519PrivateKey.generate())


@pytest.fixture
async def address(sessions: Sessions, keyring: Keyring) -> RelayAddress:
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        return await make_relay_address(session, await make_integration(session, account.id))


def row(address: RelayAddress, raw: bytes) -> tuple[ContentKey, AcceptedRow]:
    mail_id = new_id()
    return ContentKey.new(address.account_id, mail_id), AcceptedRow(
        id=mail_id,
        account_id=address.account_id,
        relay_address_id=address.id,
        session_id="s1",
        peer_address=ip_address("192.0.2.1"),
        tls_version=None,
        size=len(raw),
        envelope=b"",
        raw=raw,
    )


def journal_of(database_url: str, *, seconds: float, registry: CollectorRegistry | None = None) -> Journal:
    metrics = RelayMetrics(registry or CollectorRegistry())
    return Journal(
        database_url,
        mail_key=lambda: MAIL_KEY.public,
        commit_timeout_seconds=seconds,
        queue_bytes=2**30,
        metrics=metrics,
    )


async def test_nobody_waits_longer_because_others_wait_too(address: RelayAddress):
    """A server that takes connections and says nothing: each batch in turn would call it and wait for as long as it may."""
    batches = 10
    with socket.create_server(("127.0.0.1", 0), backlog=batches) as silent:
        port = silent.getsockname()[1]
        journal = journal_of(f"postgresql://relay@127.0.0.1:{port}/silent", seconds=1)
        writing = asyncio.create_task(journal.run())

        answers = await asyncio.gather(
            *(journal.append([row(address, BATCH)]) for _ in range(batches)), return_exceptions=True
        )

        assert [type(answer) for answer in answers] == [JournalUnavailable] * batches
        journal.close()
        await writing
        # Whose time was over when the first had given up has asked nobody.
        assert _calls(silent) < batches / 2


def _calls(server: socket.socket) -> int:
    """How many connections wait to be taken."""
    server.setblocking(False)
    calls = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            calls += 1
    return calls


async def test_a_mail_whose_client_has_gone_is_not_written(database: Database, address: RelayAddress):
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    journal = journal_of(database.url(RELAY), seconds=10)
    writing = asyncio.create_task(journal.run())
    async with owner.transaction():
        await owner.execute("LOCK TABLE accepted_mail IN SHARE MODE")
        first = asyncio.create_task(journal.append([row(address, b"1")]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # the journal has taken the first
        gone = asyncio.create_task(journal.append([row(address, b"22")]))
        await asyncio.sleep(0)
        gone.cancel()
    await first
    await journal.append([row(address, b"333")])

    sizes = await owner.fetch("SELECT size FROM accepted_mail ORDER BY id")
    assert [size for (size,) in sizes] == [1, 3]
    journal.close()
    await writing
    await owner.close()


async def test_what_arrives_with_a_commit_shares_the_next_one(database: Database, address: RelayAddress):
    """Clients that were answered a moment ago and send again are in one transaction with who has waited meanwhile."""
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    journal = journal_of(database.url(RELAY), seconds=60)
    writing = asyncio.create_task(journal.run())

    async def send_twice() -> None:
        await journal.append([row(address, b"1")])
        await journal.append([row(address, b"2")])

    async with owner.transaction():
        await owner.execute("LOCK TABLE accepted_mail IN SHARE MODE")
        quick = [asyncio.create_task(send_twice()) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # the journal has taken the first of each
        waiting = asyncio.create_task(journal.append([row(address, b"2")]))
        await asyncio.sleep(0)
    await asyncio.gather(*quick, waiting)

    transactions = await owner.fetch("SELECT count(*) FROM accepted_mail GROUP BY xmin::text ORDER BY 1")
    assert [mails for (mails,) in transactions] == [2, 3]
    # One commit's content keys are sealed together, those of two are not; each opens for its own mail.
    together = await owner.fetch(
        "SELECT count(DISTINCT substr(content_key, 1, 80)) FROM accepted_mail GROUP BY xmin::text"
    )
    assert [senders for (senders,) in together] == [1, 1]
    rows = await owner.fetch("SELECT id, account_id, mail_key_id, content_key FROM accepted_mail")
    assert len({one["content_key"][:80] for one in rows}) == 2
    for one in rows:
        assert one["mail_key_id"] == MAIL_KEY.key_id
        ContentKey.open_with(MAIL_KEY, one["account_id"], one["id"], one["content_key"])
    journal.close()
    await writing
    await owner.close()


async def test_the_age_of_the_queue_is_that_of_the_mail_which_waits_longest(
    database: Database, address: RelayAddress
):
    registry = CollectorRegistry()
    journal = journal_of(database.url(RELAY), seconds=10, registry=registry)

    def age() -> float:
        return registry.get_sample_value("replyco_journal_queue_age_seconds") or 0

    assert age() == 0
    first = asyncio.create_task(journal.append([row(address, b"1")]))
    async with asyncio.timeout(60):
        while (before := age()) == 0:  # noqa: ASYNC110 - time that passes is no event
            await asyncio.sleep(0)
    second = asyncio.create_task(journal.append([row(address, b"22")]))
    await asyncio.sleep(0)  # it waits, too, and is younger
    assert age() > before

    writing = asyncio.create_task(journal.run())
    await asyncio.gather(first, second)
    assert age() == 0
    journal.close()
    await writing
