"""An upgrade under load, with the real version before the last migration beside this one: nobody is turned away by the old one, and nothing is lost."""

from pathlib import Path
from uuid import uuid4

import pytest

from deploy.demo.postgres import EmbeddedPostgres
from tests.conftest import Database
from tests.faults.upgrading import NoHistory, extract_version_before, upgraded


@pytest.mark.timeout(400)
async def test_the_old_version_goes_on_and_the_new_one_waits_for_its_tables(
    postgres: EmbeddedPostgres, tmp_path: Path
):
    code, folder = tmp_path / "code", tmp_path / "installation"
    code.mkdir()
    folder.mkdir()
    try:
        extract_version_before(code)
    except NoHistory:
        pytest.skip("there is no history here to take the version before from")
    database = Database(postgres, f"test_{uuid4().hex}")
    await postgres.create_database(database.name)

    count = await upgraded(database, folder, code)

    print(count)  # noqa: T201 - the counts are what this is for
    assert count.is_right, count
    await postgres.drop_database(database.name)
