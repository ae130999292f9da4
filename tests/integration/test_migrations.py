"""The migrations make exactly what shared/tables/ says."""

from datetime import UTC, datetime, timedelta

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from deploy.demo.postgres import OWNER
from migrations.comparison import is_not_of_a_partition, is_ours
from migrations.upgrade import upgrade
from shared.database import asyncpg_dsn, create_engine
from shared.tables import Base
from tests.conftest import Database


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection,
        opts={"include_name": is_ours, "include_object": is_not_of_a_partition},
    )
    return list(compare_metadata(context, Base.metadata))


async def test_migrated_database_equals_the_tables(database: Database):
    engine = create_engine(database.url(OWNER), application_name="tests")

    async with engine.connect() as connection:
        differences = await connection.run_sync(_differences)

    await engine.dispose()
    assert differences == []


async def test_upgrade_may_run_again(database: Database):
    await upgrade(database.url(OWNER))


async def test_a_mail_with_a_wrong_clock_does_not_stop_new_partitions(database: Database):
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    today = datetime.now(UTC)
    # Foreign keys are of no interest here.
    await owner.execute("SET session_replication_role = replica")
    await owner.execute(
        "INSERT INTO accepted_mail (id, account_id, relay_address_id, session_id, peer_address, size, mail_key_id,"
        " content_key, envelope, raw) SELECT uuid_at($1), uuidv7(), uuidv7(), '', '::1', 0, '', '', '', ''",
        today + timedelta(days=20),
    )
    await owner.execute("SELECT ensure_partitions($1)", today + timedelta(days=10))

    names = {
        row["name"] for row in await owner.fetch("SELECT relname AS name FROM pg_class WHERE relispartition")
    }
    assert f"accepted_mail_{today + timedelta(days=19):%Y%m%d}" in names
    assert f"accepted_mail_{today + timedelta(days=20):%Y%m%d}" not in names
    assert f"accepted_mail_{today + timedelta(days=21):%Y%m%d}" in names
    await owner.close()
