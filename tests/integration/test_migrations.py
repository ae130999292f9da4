"""The migrations make exactly what shared/tables/ says."""

from deploy.demo.postgres import OWNER
from migrations.upgrade import upgrade
from tests.conftest import Database
from tests.faults.mailrelay.migrating import differences


async def test_migrated_database_equals_the_tables(database: Database):
    assert await differences(database) == []


async def test_upgrade_may_run_again(database: Database):
    await upgrade(database.url(OWNER))
