"""A worker is killed while it stores a report of 5,000 rows: the next one goes on behind what was stored, and each order is there once."""

from shared.database import Sessions
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.faults.connector.report_kills import stored_through_kills

# `make soak` has 20,000 rows and three kills.
ROWS = 5_000
KILLS = 1


async def test_a_report_goes_on_where_a_killed_worker_was(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    stored = await stored_through_kills(database, keys, sessions, keyring, rows=ROWS, kills=KILLS)

    assert stored.is_right, stored
