"""An installation with data is upgraded while mail is accepted: nothing is lost, and no sender is put off."""

from pathlib import Path
from uuid import uuid4

import pytest

from deploy.demo.postgres import EmbeddedPostgres
from tests.conftest import Database, Keys
from tests.faults.mailrelay.migrating import revisions_with_data, upgraded_under_load


@pytest.mark.timeout(600)
async def test_every_migration_bears_data_and_a_reader_and_lets_mail_in(
    postgres: EmbeddedPostgres, keys: Keys, tmp_path: Path
):
    """One after the other, each on the data of all versions before it; `make soak` begins at each of them, with a hundred times more."""
    database = Database(postgres, f"test_{uuid4().hex}")
    await postgres.create_database(database.name)

    count = await upgraded_under_load(
        database, keys, tmp_path / "log", stops=revisions_with_data(), conversations=100
    )

    assert count.is_right, count
    await postgres.drop_database(database.name)
