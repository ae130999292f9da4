"""The tests' own database: emptied it is as new, and what more than rows were changed in is never given to another test."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import text

from deploy.demo.postgres import CONNECTOR, OWNER, EmbeddedPostgres
from shared.driver import asyncpg_dsn
from tests.conftest import TEMPLATE
from tests.kept_database import KeptDatabase

ACCOUNT = "INSERT INTO accounts (id, name) VALUES (gen_random_uuid(), 'Lampenladen')"


@pytest.fixture
async def kept(postgres: EmbeddedPostgres) -> AsyncIterator[KeptDatabase]:
    kept = await KeptDatabase.create(postgres, TEMPLATE, copy_files=False)
    yield kept
    await kept.drop()


async def test_rows_and_connections_that_a_test_leaves_are_gone(
    kept: KeptDatabase, postgres: EmbeddedPostgres
):
    left = await asyncpg.connect(asyncpg_dsn(postgres.url(OWNER, kept.name)))
    await left.execute(ACCOUNT)
    open_session = kept.sessions(CONNECTOR)()
    await open_session.execute(text("SELECT FROM accounts FOR UPDATE"))
    transaction = left.transaction()
    await transaction.start()
    await left.execute("LOCK TABLE users")

    assert await kept.is_as_new()

    assert left.is_closed()
    async with kept.sessions(CONNECTOR).reading() as reader:
        assert (await reader.execute(text("SELECT count(*) FROM accounts"))).scalar_one() == 0
    await open_session.invalidate()


async def test_it_is_as_new_however_often_it_was_emptied(postgres: EmbeddedPostgres):
    kept = await KeptDatabase.create(postgres, TEMPLATE, copy_files=False, deletions=2)
    async with kept.sessions(OWNER).begin() as session:
        relation_size = text("SELECT pg_relation_size('accounts')")
        sizes = [(await session.execute(relation_size)).scalar_one()]
    for _ in range(4):
        async with kept.sessions(OWNER).begin() as session:
            await session.execute(text(ACCOUNT))

        assert await kept.is_as_new()

        async with kept.sessions(OWNER).begin() as session:
            assert (await session.execute(text("SELECT count(*) FROM accounts"))).scalar_one() == 0
            sizes.append((await session.execute(relation_size)).scalar_one())
    await kept.shorten()
    async with kept.sessions(OWNER).begin() as session:
        sizes.append((await session.execute(relation_size)).scalar_one())
    await kept.drop()
    # Deleted from twice, then made short again, and once more when asked to.
    assert [size > 0 for size in sizes] == [False, True, True, False, True, False]


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE things (id int)",
        "ALTER TABLE accounts ADD COLUMN note text",
        "ALTER TABLE accounts ALTER COLUMN name DROP NOT NULL",
        "CREATE INDEX names ON accounts (name)",
        "DROP INDEX ix_users_account_id",
        "GRANT SELECT ON users TO replyco_relay",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE users DISABLE TRIGGER ALL",
        "ANALYZE accounts",
        "UPDATE alembic_version SET version_num = 'another'",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = ''1MB''', current_database()); END $$",
    ],
)
async def test_a_database_that_was_changed_is_not_used_again(
    kept: KeptDatabase, postgres: EmbeddedPostgres, change: str
):
    owner = await asyncpg.connect(asyncpg_dsn(postgres.url(OWNER, kept.name)))
    await owner.execute(ACCOUNT)
    await owner.execute(change)
    await owner.close()

    assert not await kept.is_as_new()
