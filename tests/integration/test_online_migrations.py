"""The steps of migrations/online.py may be cut off anywhere: the next attempt finds what is done, and makes anew what is only begun."""

from collections.abc import Callable

import asyncpg
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from deploy.demo.postgres import OWNER
from migrations import online
from shared.database import DIALECT
from tests.conftest import Database

VALID = "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relname ~ :name"


def engine_of(database: Database) -> AsyncEngine:
    return create_async_engine(
        DIALECT, async_creator=lambda: asyncpg.connect(database.url(OWNER)), poolclass=NullPool
    )


async def migrate(database: Database, *steps: Callable[[], None]) -> None:
    """As a migration does, each step once."""

    def run(connection: Connection) -> None:
        context = MigrationContext.configure(connection, opts={"transaction_per_migration": True})
        with Operations.context(context), context.begin_transaction(_per_migration=True):
            for step in steps:
                step()

    engine = engine_of(database)
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


async def asked(database: Database, statement: str, **values: str) -> list[tuple[object, ...]]:
    engine = engine_of(database)
    async with engine.begin() as connection:
        result = await connection.execute(text(statement), values)
        rows = [tuple(row) for row in result] if result.returns_rows else []
    await engine.dispose()
    return rows


async def test_an_index_that_was_only_begun_is_made_anew(database: Database):
    await asked(database, "CREATE TABLE twice AS SELECT 1 AS one FROM generate_series(1, 2)")
    with pytest.raises(IntegrityError):
        await migrate(database, lambda: online.create_index("ix_twice_one", "twice", "one", is_unique=True))
    begun = await asked(database, VALID, name="^ix_twice_one$")

    await migrate(database, lambda: online.create_index("ix_twice_one", "twice", "one"))

    assert begun == [("ix_twice_one", False)]
    assert await asked(database, VALID, name="^ix_twice_one$") == [("ix_twice_one", True)]


async def test_an_index_over_partitions_is_whole_at_last_and_in_new_months(database: Database):
    """Cut off after its first partition, it goes on with the others."""

    def create() -> None:
        online.create_index("ix_messages_kind", "messages", "kind")

    await asked(database, "CREATE INDEX ix_messages_kind ON ONLY messages (kind)")
    [month] = [
        str(row[0])
        for row in await asked(
            database, "SELECT min(partition) FROM partition_ranges() WHERE parent = 'messages'"
        )
    ]
    await asked(database, f"CREATE INDEX {month}_kind_ix ON {month} (kind)")

    await migrate(database, create, create)
    await asked(database, "SELECT ensure_partitions(now() + interval '200 days')")

    assert await asked(database, VALID, name="^ix_messages_kind$") == [("ix_messages_kind", True)]


async def test_a_unique_index_over_partitions_holds_in_each_of_them(database: Database):
    """Cut off before its first partition, it goes on; a month that is made later has it, too."""

    def create() -> None:
        online.create_index("uq_messages_twice", "messages", "id, integration_id", is_unique=True)

    await asked(database, "CREATE UNIQUE INDEX uq_messages_twice ON ONLY messages (id, integration_id)")

    await migrate(database, create, create)
    await asked(database, "SELECT ensure_partitions(now() + interval '200 days')")

    assert await asked(database, VALID, name="^uq_messages_twice$") == [("uq_messages_twice", True)]


async def test_a_rule_that_was_only_noted_is_proven_by_the_next_attempt(database: Database):
    await asked(database, "ALTER TABLE messages ADD CONSTRAINT ck_messages_size CHECK (size >= 0) NOT VALID")

    await migrate(database, lambda: online.add_check("messages", "ck_messages_size", "size >= 0"))

    proven = await asked(
        database, "SELECT DISTINCT convalidated FROM pg_constraint WHERE conname = 'ck_messages_size'"
    )
    assert proven == [(True,)]


async def test_batches_change_each_row_once(database: Database):
    await asked(
        database, "CREATE TABLE counted AS SELECT uuidv7() AS id, 0 AS times FROM generate_series(1, 10)"
    )

    await migrate(
        database,
        lambda: online.in_batches(
            "counted", "UPDATE counted SET times = times + 1 WHERE id > :first AND id <= :last", rows=3
        ),
    )

    assert await asked(database, "SELECT times, count(*) FROM counted GROUP BY times") == [(1, 10)]
