"""PostgreSQL is away: a role tells it once as a warning, tells its return once, and has no error that somebody would have to mend."""

from pathlib import Path

from tests.conftest import Database, Keys
from tests.faults.outages import STOPPED, lived_through


async def test_a_database_that_is_away_is_told_once_and_its_return_once(
    own_database: Database, keys: Keys, tmp_path: Path
):
    """All four roles, and a database that is silent instead, are rounds of `make soak`."""
    told = await lived_through(own_database, keys, tmp_path, STOPPED, roles=("relay", "mail-worker"))

    assert told.is_right, told
