"""Large mail, whose sealed bytes lie in the blob store."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import func, insert, select

from deploy.demo.postgres import MAIL_WORKER, OWNER, RELAY
from services.mailrelay.delivery.service import Delivery, deliver_due
from shared.blobs import Blob
from shared.crypto.envelope import Place, Sealed
from shared.crypto.raw_mail import ContentKey, seal_together
from shared.database import Sessions, create_engine, create_sessions
from shared.driver import asyncpg_dsn, new_id
from shared.keyring import Keyring
from shared.lanes import Lane
from shared.tables import AcceptedMail, MailState
from tests.conftest import Database, Keys
from tests.integration.mailrelay.delivery.conftest import Accept, Store, accepted_row, mail, make_store
from tests.integration.mailrelay.delivery.test_delivery import all_messages, make_due, state_of
from tests.signing import signed


async def accept_large(
    database: Database, keys: Keys, store: Store, delivery: Delivery, raw: bytes
) -> tuple[UUID, Blob]:
    """A mail in the blob store, its row stored with the relay's rights."""
    row = accepted_row(store, keys.mail_public_key, raw)
    blob = await delivery.blobs.put(row["id"], row["raw"].ciphertext)
    engine = create_engine(database.url(RELAY), application_name="tests-relay")
    async with create_sessions(engine).begin() as session:
        await session.execute(
            insert(AcceptedMail).values(
                row
                | {"raw": None, "blob_key": blob.key, "blob_digest": blob.digest, "lane": Lane.LARGE.value}
            )
        )
    await engine.dispose()
    return row["id"], blob


async def deliver_large(delivery: Delivery) -> int:
    return await deliver_due(replace(delivery, lane=Lane.LARGE))


@pytest.fixture
async def accepted(database: Database, keys: Keys, store: Store, delivery: Delivery) -> tuple[UUID, Blob]:
    return await accept_large(database, keys, store, delivery, mail("buyer-question"))


async def test_it_is_delivered(delivery: Delivery, accepted: tuple[UUID, Blob], sessions: Sessions):
    assert await deliver_large(delivery) == 1

    [message] = await all_messages(sessions)
    assert (message.kind, message.accepted_mail_id) == ("buyer_message", accepted[0])


async def test_a_mail_for_two_accounts_is_delivered_to_both(
    delivery: Delivery, database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    """It lies in the blob store once; each account's message has a key to it of its own."""
    addresses = ("mabtekrud", "nefpotdak")
    stores = [await make_store(sessions, keyring, local_part=one) for one in addresses]
    raw = signed(
        mail("buyer-question").replace(
            b"To: mabtekrud@replyco.email", b"To: mabtekrud@replyco.email, nefpotdak@replyco.email"
        )
    )
    blob_id = new_id()
    rows = [accepted_row(store, keys.mail_public_key, raw) for store in stores]
    first = ContentKey.new(rows[0]["account_id"], rows[0]["id"])
    copies = [first, first.of_copy(rows[1]["account_id"], rows[1]["id"])]
    blob = await delivery.blobs.put(blob_id, first.seal_shared(blob_id, raw).ciphertext)
    engine = create_engine(database.url(RELAY), application_name="tests-relay")
    async with create_sessions(engine).begin() as session:
        for row, key, address in zip(rows, copies, addresses, strict=True):
            envelope = json.dumps({"mail_from": "", "rcpt_to": f"{address}@replyco.email"})
            shared = {
                "content_key": seal_together([key], keys.mail_public_key)[0],
                "envelope": key.seal("envelope", envelope.encode()),
                "raw": None,
                "blob_key": blob.key,
                "blob_digest": blob.digest,
                "lane": Lane.LARGE.value,
            }
            await session.execute(insert(AcceptedMail).values(row | shared))
    await engine.dispose()

    assert await deliver_large(delivery) == 2

    messages = await all_messages(sessions)
    assert {message.account_id for message in messages} == {store.integration.account_id for store in stores}
    sealed = Sealed(await delivery.blobs.get(blob))
    for message in messages:
        async with sessions() as session:
            account_keys = await keyring.of(sessions, message.account_id)
        opened = account_keys.open(Place("messages", "raw_key", message.id), message.raw_key)
        copy = ContentKey(message.account_id, message.accepted_mail_id, opened)
        assert copy.open_mail(sealed, blob_id) == raw


@pytest.mark.parametrize("harm", ["missing", "damaged"])
async def test_it_waits_for_its_blob_at_no_cost(
    *,
    delivery: Delivery,
    accepted: tuple[UUID, Blob],
    sessions: Sessions,
    keys: Keys,
    database: Database,
    harm: str,
):
    mail_id, blob = accepted
    path = keys.blob_folder / blob.key
    content = path.read_bytes()
    path.unlink()
    if harm == "damaged":
        path.write_bytes(content[:-1])

    await deliver_large(delivery)

    code = f"blob_{harm}"
    assert await state_of(sessions, mail_id) == (MailState.ACCEPTED, 0, code)
    assert delivery.metrics.put_off.labels(code)._value.get() == 1
    path.write_bytes(content)
    await make_due(database)
    await deliver_large(delivery)
    assert await state_of(sessions, mail_id) == (MailState.DELIVERED, 0, None)


@contextmanager
def fifo_in_place_of(path: Path) -> Iterator[None]:
    """A store that hangs: whoever opens this reads for ever, until somebody writes."""
    content = path.read_bytes()
    path.unlink()
    os.mkfifo(path)

    def write() -> None:
        path.write_bytes(content)

    yield
    threading.Thread(target=write, daemon=True).start()


async def test_no_transaction_waits_for_the_blob_store_and_no_small_mail(
    *,
    delivery: Delivery,
    accepted: tuple[UUID, Blob],
    accept: Accept,
    sessions: Sessions,
    keys: Keys,
    database: Database,
):
    mail_id, blob = accepted
    with fifo_in_place_of(keys.blob_folder / blob.key):
        delivering = asyncio.create_task(deliver_large(delivery))
        owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
        async with asyncio.timeout(60):
            while not await owner.fetchval(  # noqa: ASYNC110  # it has claimed the mail, and read what it has taken
                "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = database WHERE locktype = 'advisory'"
                " AND datname = current_database()) AND EXISTS (SELECT FROM pg_stat_activity WHERE usename = $1"
                " AND datname = current_database() AND state = 'idle' AND query LIKE 'COMMIT%')",
                MAIL_WORKER,
            ):
                await asyncio.sleep(0.02)
        small = await accept(mail("order-notice"))
        assert await deliver_due(delivery) == 1
        assert (await state_of(sessions, small))[0] == MailState.DELIVERED
        in_transaction = await owner.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND datname = current_database()"
            " AND (state <> 'idle' OR xact_start IS NOT NULL)",
            MAIL_WORKER,
        )
        await owner.close()
        assert not delivering.done()

    assert in_transaction == 0
    assert await delivering == 1
    assert (await state_of(sessions, mail_id))[0] == MailState.DELIVERED


async def test_while_the_store_is_away_it_waits_at_no_cost_and_not_for_long(
    delivery: Delivery, accepted: tuple[UUID, Blob], sessions: Sessions, keys: Keys, database: Database
):
    mail_id, blob = accepted
    path = keys.blob_folder / blob.key
    content = path.read_bytes()
    path.unlink()
    path.mkdir()  # what nobody, not even root, can read

    assert await deliver_large(delivery) == 1
    assert await deliver_large(delivery) == 0

    assert await state_of(sessions, mail_id) == (MailState.ACCEPTED, 0, "blobs_unavailable")
    async with sessions() as session:
        wait = await session.scalar(select(AcceptedMail.next_attempt_at - func.now()))
    assert wait is not None
    assert timedelta(0) < wait <= timedelta(minutes=1)
    path.rmdir()
    path.write_bytes(content)
    await make_due(database)
    await deliver_large(delivery)
    assert await state_of(sessions, mail_id) == (MailState.DELIVERED, 0, None)


async def test_a_lost_blob_does_not_hold_up_the_others_of_its_batch(
    *,
    delivery: Delivery,
    accepted: tuple[UUID, Blob],
    store: Store,
    sessions: Sessions,
    keys: Keys,
    database: Database,
):
    lost, blob = accepted
    (keys.blob_folder / blob.key).unlink()
    whole, _ = await accept_large(database, keys, store, delivery, mail("order-notice"))

    assert await deliver_large(delivery) == 2

    assert await state_of(sessions, whole) == (MailState.DELIVERED, 0, None)
    assert await state_of(sessions, lost) == (MailState.ACCEPTED, 0, "blob_missing")


async def test_four_workers_deliver_each_once(
    delivery: Delivery, store: Store, sessions: Sessions, keys: Keys, database: Database
):
    for number in range(20):
        await accept_large(database, keys, store, delivery, mail("buyer-question") + b"%d\r\n" % number)

    async def work() -> None:
        while await deliver_large(delivery):
            pass

    await asyncio.gather(*(work() for _ in range(4)))

    assert len(await all_messages(sessions)) == 20
