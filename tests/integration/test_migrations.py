"""The migrations make exactly what shared/tables/ says."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from deploy.demo.postgres import OWNER
from migrations.comparison import is_not_of_a_partition, is_ours
from migrations.upgrade import upgrade
from shared.database import create_engine
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
