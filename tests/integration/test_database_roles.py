"""What each process may do in the database, tried with its own credentials: a broken-into relay reads neither mail nor tokens."""

import asyncpg
import pytest

from deploy.demo.postgres import CONNECTOR, MAIL_WORKER, OWNER, RELAY
from shared.database import Sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from shared.tables import Base
from tests.conftest import Database
from tests.factories import make_account, make_grant, make_integration, make_relay_address, make_user

TABLES = sorted(Base.metadata.tables)
SECRETS_OF_THE_CONNECTOR = [
    "grants",
    "users",
    "sessions",
    "api_keys",
    "authorization_attempts",
    "sign_in_failures",
    "login_requests",
    "application_secrets",
    "idempotency_keys",
    "webhooks",
    "webhook_deliveries",
    "events",
    "audit_log",
    "reply_drafts",
    "reply_templates",
    "notes",
]


@pytest.fixture(autouse=True)
async def store(sessions: Sessions, keyring: Keyring) -> None:
    """Something to steal."""
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        await make_user(session, account.id)
        integration = await make_integration(session, account.id)
        await make_grant(session, keyring, integration)
        await make_relay_address(session, integration, local_part="mabtekrud")


async def is_refused(database: Database, role: str, statement: str) -> bool:
    connection = await asyncpg.connect(asyncpg_dsn(database.url(role)))
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return True
    finally:
        await connection.close()
    return False


# From which networks Amazon's mail comes says nothing of any account.
@pytest.mark.parametrize("table", [table for table in TABLES if table != "proven_networks"])
async def test_the_relay_reads_no_table(database: Database, table: str):
    assert await is_refused(database, RELAY, f'SELECT * FROM "{table}"')


@pytest.mark.parametrize("table", TABLES)
async def test_the_relay_changes_and_deletes_nothing(database: Database, table: str):
    column = next(iter(Base.metadata.tables[table].columns)).name

    assert await is_refused(database, RELAY, f'UPDATE "{table}" SET "{column}" = "{column}"')
    assert await is_refused(database, RELAY, f'DELETE FROM "{table}"')
    assert await is_refused(database, RELAY, f'TRUNCATE "{table}"')


async def test_the_relay_cannot_read_mail_behind_the_table(database: Database):
    """A partition is a table of its own."""
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    partitions = await connection.fetch(
        "SELECT oid::regclass::text AS name FROM pg_class WHERE relispartition AND relkind = 'r'"
    )
    await connection.close()

    assert len(partitions) > 10
    for partition in partitions:
        assert await is_refused(database, RELAY, f"SELECT * FROM {partition['name']}")


async def test_the_relay_reads_where_mail_goes_and_nothing_more_of_it(database: Database):
    connection = await asyncpg.connect(asyncpg_dsn(database.url(RELAY)))
    row = await connection.fetchrow(
        "SELECT id, account_id FROM relay_addresses WHERE local_part = 'mabtekrud' AND retired_at IS NULL"
    )
    await connection.close()

    assert row is not None
    assert await is_refused(database, RELAY, "SELECT integration_id FROM relay_addresses")
    assert await is_refused(database, RELAY, "INSERT INTO accepted_mail (state) VALUES ('delivered')")


@pytest.mark.parametrize("table", SECRETS_OF_THE_CONNECTOR)
async def test_the_mail_worker_reads_no_token_session_or_user(database: Database, table: str):
    assert await is_refused(database, MAIL_WORKER, f'SELECT * FROM "{table}"')


async def test_the_mail_worker_deletes_no_mail(database: Database):
    assert await is_refused(database, MAIL_WORKER, "DELETE FROM accepted_mail")
    assert await is_refused(database, MAIL_WORKER, "DELETE FROM messages")
    assert await is_refused(database, MAIL_WORKER, "UPDATE accepted_mail SET raw = ''")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO accepted_mail DEFAULT VALUES",
        "UPDATE accepted_mail SET raw = ''",
        "UPDATE accepted_mail SET content_key = ''",
        "UPDATE messages SET kind = 'x'",
        "DELETE FROM relay_addresses",
        "DELETE FROM spent_addresses",
        "DELETE FROM audit_log",
        "UPDATE audit_log SET action = 'x'",
        "TRUNCATE audit_log",
    ],
)
async def test_the_connector_changes_no_mail_and_no_history(database: Database, statement: str):
    assert await is_refused(database, CONNECTOR, statement)


@pytest.mark.parametrize("role", [CONNECTOR, RELAY, MAIL_WORKER])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE public.mine (x int)",
        "ALTER TABLE users ADD COLUMN x int",
        "CREATE ROLE mine",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ],
)
async def test_no_role_changes_the_schema_or_reaches_the_machine(
    database: Database, role: str, statement: str
):
    assert await is_refused(database, role, statement)
