"""New code before its migrations, and old code after them: what each role says to probes, and the relay to senders."""

import asyncio

import asyncpg
import httpx2
import pytest
from structlog.testing import capture_logs

from deploy.demo.postgres import CONNECTOR, MAIL_WORKER, OWNER
from shared.background_tasks import wait_for_tables
from shared.database import Sessions, create_engine, create_sessions, database_problem
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address
from tests.integration.mailrelay.accepting import DOMAIN, running_relay, stored_mails
from tests.no_tls import NO_AUTHORITIES

MAIL = b"From: buyer@marketplace.amazon.de\r\nSubject: Lamp\r\n\r\nWhere is it?"
EARLIER = "UPDATE alembic_version SET version_num = '20261123_2100'"
LATER = "UPDATE alembic_version SET version_num = '29991231_2359'"
NEVER_MIGRATED = "DROP TABLE alembic_version"
NOT_YET_GRANTED = (
    "REVOKE SELECT ON alembic_version FROM replyco_connector, replyco_relay, replyco_mail_worker"
)


async def change(database: Database, statement: str) -> None:
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await owner.execute(statement)
    await owner.close()


@pytest.mark.parametrize("role", [CONNECTOR, MAIL_WORKER])
@pytest.mark.parametrize(
    ("statement", "begins"),
    [
        (EARLIER, "the database's tables are at 20261123_2100, this version needs "),
        (NEVER_MIGRATED, "the database has no tables"),
        (NOT_YET_GRANTED, "the database has no tables that this role may see"),
        (LATER, None),
    ],
)
async def test_a_role_is_ready_on_its_own_tables_and_later_ones(
    database: Database, role: str, statement: str, begins: str | None
):
    engine = create_engine(database.url(role), application_name="tests")
    before = await database_problem(create_sessions(engine))
    await change(database, statement)
    after = await database_problem(create_sessions(engine))
    await engine.dispose()

    assert before is None
    if begins is None:
        assert after is None
    else:
        assert after is not None
        assert after.startswith(begins)
        assert "python -m migrations upgrade" in after


async def test_the_relay_puts_senders_off_until_the_tables_are_there(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        await make_relay_address(session, await make_integration(session, account.id), local_part="mabtekrud")
    await change(database, EARLIER)

    async with running_relay(database, keys) as relay, httpx2.AsyncClient(verify=NO_AUTHORITIES) as probe:
        ready = f"http://127.0.0.1:{relay.side_port}/readyz"
        async with relay.client() as client:
            await client.say("EHLO sender.example")
            await client.say("MAIL FROM:<buyer@marketplace.amazon.de>")
            refused = await client.say(f"RCPT TO:<mabtekrud@{DOMAIN}>")
            await client.say("RSET")
            not_ready = await probe.get(ready)
            kept_before = await stored_mails(database, keys)
            # Migrated while the sender waits: the same mail comes again.
            await change(database, LATER)
            accepted = await client.deliver(f"mabtekrud@{DOMAIN}", MAIL)
        is_ready = await probe.get(ready)

    assert refused.startswith("451 4.3.0")
    assert not_ready.status_code == 503
    assert "python -m migrations upgrade" in not_ready.text
    assert kept_before == []
    assert accepted.startswith("250 2.0.0 accepted as ")
    assert await stored_mails(database, keys) == [MAIL + b"\r\n"]
    assert is_ready.status_code == 200


async def test_a_worker_takes_nothing_in_hand_until_the_tables_are_there(
    database: Database, sessions: Sessions
):
    await change(database, EARLIER)
    stop = asyncio.Event()
    with capture_logs() as logged:
        waiting = asyncio.create_task(wait_for_tables(sessions, stop))
        async with asyncio.timeout(30):
            while not logged:  # noqa: ASYNC110 - a log is no event
                await asyncio.sleep(0.01)
        assert not waiting.done()
        await change(database, LATER)
        await asyncio.wait_for(waiting, 30)

    assert [line["event"] for line in logged] == ["waits_for_database"]
    assert "python -m migrations upgrade" in logged[0]["problem"]


async def test_a_worker_that_waits_for_its_tables_can_be_stopped(database: Database, sessions: Sessions):
    await change(database, NEVER_MIGRATED)
    stop = asyncio.Event()
    waiting = asyncio.create_task(wait_for_tables(sessions, stop))
    await asyncio.sleep(0)
    stop.set()

    await asyncio.wait_for(waiting, 30)
