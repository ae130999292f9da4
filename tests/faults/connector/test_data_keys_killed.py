"""Whoever changes data keys is killed at every step; the next run goes on, nobody notices, and everything opens."""

from pathlib import Path

from tests.conftest import Database, Keys
from tests.faults.connector.data_key_kills import changed_through_kills


async def test_everything_opens_with_the_new_keys_though_the_command_was_killed(
    database: Database, keys: Keys, tmp_path: Path
):
    count = await changed_through_kills(database, keys, tmp_path, messages=40, kills=1)

    assert count.is_right, count
    assert count.killed == 3
    assert count.there > 3 * 40 * 6
