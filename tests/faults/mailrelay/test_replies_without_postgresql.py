"""PostgreSQL goes away while a reply is being sent: no final dot without its note, no answer of the server forgotten."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from deploy.demo.postgres import MAIL_WORKER, OWNER
from services.mailrelay.outbound.sending import ReplySender
from shared.database import create_engine, create_sessions
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.integration.mailrelay.outbound.conftest import Senders, Shop, make_shop, send_all
from tests.integration.mailrelay.outbound.peer import Peer, listening


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with listening(Peer()) as peer:
        yield peer


@pytest.fixture
async def shop(own_database: Database, keys: Keys, keyring: Keyring) -> AsyncIterator[Shop]:
    engine = create_engine(own_database.url(OWNER), application_name="tests")
    yield await make_shop(create_sessions(engine), keyring, keys)
    await engine.dispose()


@pytest.fixture
async def sender(
    own_database: Database, keys: Keys, keyring: Keyring, peer: Peer
) -> AsyncIterator[ReplySender]:
    engine = create_engine(own_database.url(MAIL_WORKER), application_name="tests-mail-worker")
    sender = Senders(create_sessions(engine), keyring, keys)(peer.server())
    yield sender
    await sender.close()
    await engine.dispose()


@pytest.mark.parametrize("step", ["DATA", "end"])
async def test_postgresql_is_away_at_this_step(
    sender: ReplySender, shop: Shop, peer: Peer, own_database: Database, step: str
):
    reply = await shop.reply(await shop.question())
    peer.go_on[step] = asyncio.Event()
    await sender.send_due()
    await peer.reached[step].wait()

    own_database.postgres.kill()
    peer.go_on.pop(step).set()
    if step == "DATA":
        # The note cannot be stored: the connection ends without a dot.
        async with asyncio.timeout(30):
            await peer.left.wait()
        assert peer.mails == []
    own_database.postgres.start_again()
    async with asyncio.timeout(60):
        await sender.settle(60)
    row = await shop.row(reply)

    if step == "DATA":
        assert (row.state, row.attempts, row.first_attempt_at) == ("delayed", 0, None)
        sender.clock = lambda: row.due_at
        await send_all(sender)
    assert (await shop.row(reply)).state == "handed_over"
    assert len(peer.mails) == 1
