"""A mail worker is frozen with mail in hand (SIGSTOP: it keeps its connections and says nothing): another one takes the mail over."""

import asyncio

import asyncpg
import psutil
from sqlalchemy import insert

from deploy.demo.postgres import OWNER
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from shared.tables import AcceptedMail
from tests.conftest import Database, Keys
from tests.faults.mailrelay.worker import all_delivered, worker_process
from tests.integration.mailrelay.delivery.conftest import accepted_row, mail, make_store
from tests.signing import signed

MAILS = 150
CLAIMED = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"


async def test_mail_in_the_hands_of_a_frozen_worker_is_delivered_once_by_another(
    database: Database, keys: Keys, keyring: Keyring
):
    engine = create_engine(database.url(OWNER), application_name="tests")
    sessions = create_sessions(engine)
    store = await make_store(sessions, keyring)
    raws = [
        signed(b"X-Number: %d\r\n" % number + mail("buyer-question"), b"x-number") for number in range(MAILS)
    ]
    async with sessions.begin() as session:
        await session.execute(
            insert(AcceptedMail), [accepted_row(store, keys.mail_public_key, raw) for raw in raws]
        )
    await engine.dispose()
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    async with worker_process(database, keys) as worker:
        frozen = psutil.Process(worker.pid)
        await _freeze_with_mail_in_hand(frozen, connection)
        async with worker_process(database, keys):
            await all_delivered(database, within_seconds=120)
            frozen.resume()
            # It ends after what it had in hand.
            worker.terminate()
            await worker.wait()
    messages = await connection.fetchrow("SELECT count(*), count(DISTINCT accepted_mail_id) FROM messages")
    await connection.close()
    assert tuple(messages or ()) == (MAILS, MAILS)


async def _freeze_with_mail_in_hand(
    worker: psutil.Process, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async with asyncio.timeout(60):
        while True:
            if await connection.fetchval(CLAIMED):
                worker.suspend()
                # What it had asked before it froze may still end its claim.
                in_hand = [await connection.fetchval(CLAIMED) for _ in range(20)]
                if in_hand[-1]:
                    return
                worker.resume()
            await asyncio.sleep(0.002)
