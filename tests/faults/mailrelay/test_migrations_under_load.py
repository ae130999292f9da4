"""An installation with data is upgraded while mail is accepted: nothing is lost, and no sender is put off."""

from pathlib import Path
from uuid import uuid4

import pytest
from alembic.script import ScriptDirectory

from deploy.demo.postgres import EmbeddedPostgres
from migrations.upgrade import alembic_config
from tests.conftest import Database, Keys
from tests.faults.mailrelay.migrating import revisions_with_data, upgraded_under_load


@pytest.fixture
def scripts_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alembic compiles every migration anew for each upgrade, of which there is one a revision: most of what they would take."""
    scripts = ScriptDirectory.from_config(alembic_config())
    monkeypatch.setattr(ScriptDirectory, "from_config", lambda _config: scripts)


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("scripts_loaded_once")
async def test_every_migration_bears_data_and_a_reader_and_lets_mail_in(
    postgres: EmbeddedPostgres, keys: Keys, tmp_path: Path
):
    """One after the other, each on the data of all versions before it; `make soak` begins at each of them, with thousands of times more, under more load."""
    database = Database(postgres, f"test_{uuid4().hex}")
    await postgres.create_database(database.name)

    count = await upgraded_under_load(
        database,
        keys,
        tmp_path / "log",
        stops=revisions_with_data(),
        conversations=20,
        mails=2,
        clients=1,
        pause_seconds=0.1,
    )

    assert count.is_right, count
    await postgres.drop_database(database.name)
