"""Mail workers are killed, and so is PostgreSQL, while mail waits: in the end each mail is visible exactly once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import func, insert, select

from deploy.demo.postgres import OWNER, EmbeddedPostgres
from migrations.upgrade import upgrade
from shared.database import Sessions, asyncpg_dsn, create_engine, create_sessions
from shared.events import CHANNEL
from shared.keyring import Keyring
from shared.tables import AcceptedMail, Conversation, MailState, Message
from tests.conftest import Database, Keys
from tests.faults.mailrelay.worker import worker_process
from tests.integration.mailrelay.delivery.conftest import Store, accepted_row, mail, make_store

MAILS = 1_000
COPIES = 100
KILLS = 10


@pytest.fixture(scope="module")
async def own_postgres(scratch: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A server that may be killed without another test noticing."""
    server = EmbeddedPostgres.start(scratch / "pg-killed")
    await upgrade(server.url(OWNER))
    await server.allow_logins()
    yield server
    server.stop()


async def wait_for_messages(postgres: EmbeddedPostgres, enough: int) -> None:
    """Until there are as many messages; told by PostgreSQL, as the helpdesk is."""
    told = asyncio.Event()
    connection = await asyncpg.connect(asyncpg_dsn(postgres.url(OWNER)))
    try:
        await connection.add_listener(CHANNEL, lambda *_args: told.set())
        async with asyncio.timeout(60):
            while await connection.fetchval("SELECT count(*) FROM messages") < enough:
                await told.wait()
                told.clear()
    finally:
        await connection.close()


async def wait_for_one_more(postgres: EmbeddedPostgres, sessions: Sessions) -> None:
    messages, *_ = await count_up(sessions)
    await wait_for_messages(postgres, min(messages + 1, MAILS))


async def accept_all(sessions: Sessions, store: Store, keys: Keys) -> None:
    question = mail("buyer-question")
    raws = [question + b"%d\r\n" % number for number in range(MAILS)]
    raws += [b"Received: by another hop\r\n" + raw for raw in raws[:COPIES]]
    public_key = keys.mail_public_key
    async with sessions.begin() as session:
        await session.execute(insert(AcceptedMail), [accepted_row(store, public_key, raw) for raw in raws])


async def count_up(sessions: Sessions) -> tuple[int, int, int, int]:
    """Messages, accepted mails behind them, what conversations count, and mails that are not delivered."""
    async with sessions() as session:
        waiting = (
            select(func.count()).select_from(AcceptedMail).where(AcceptedMail.state != MailState.DELIVERED)
        )
        return (
            await session.scalar(select(func.count()).select_from(Message)) or 0,
            await session.scalar(select(func.count(func.distinct(Message.accepted_mail_id)))) or 0,
            await session.scalar(select(func.sum(Conversation.message_count))) or 0,
            await session.scalar(waiting) or 0,
        )


@pytest.mark.timeout(240)
async def test_mail_is_visible_once_though_workers_and_postgresql_are_killed(
    own_postgres: EmbeddedPostgres, keys: Keys, keyring: Keyring
):
    engine = create_engine(own_postgres.url(OWNER), application_name="tests")
    sessions = create_sessions(engine)
    database = Database(own_postgres, "postgres")
    await accept_all(sessions, await make_store(sessions, keyring), keys)

    for kill in range(KILLS):
        async with worker_process(database, keys) as worker:
            await wait_for_one_more(own_postgres, sessions)
            if kill == KILLS // 2:
                own_postgres.kill()
                own_postgres.start_again()
                await engine.dispose()
                await wait_for_one_more(own_postgres, sessions)  # the same worker goes on
                assert worker.returncode is None
            # Told of one commit, it is in the middle of the next batch.
            worker.kill()
            await worker.wait()

    async with worker_process(database, keys), worker_process(database, keys):
        await wait_for_messages(own_postgres, MAILS)
        while (await count_up(sessions))[3]:  # noqa: ASYNC110 - copies make no event that could be awaited
            await asyncio.sleep(0.1)

    assert await count_up(sessions) == (MAILS, MAILS, MAILS, 0)
    await engine.dispose()
