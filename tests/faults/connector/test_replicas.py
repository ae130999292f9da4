"""Replicas renew fifty stores' tokens, and one is killed meanwhile: one call for each store and period, none lost, none red."""

from shared.database import Sessions
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.faults.connector.renewals import renewed

# `make soak` has three replicas, three periods without a kill, and six kills.
REPLICAS = 2
PERIODS = 1
KILLS = 1


async def test_replicas_call_once_for_each_store_and_period_and_one_that_dies_loses_no_grant_and_turns_none_red(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    """A call may be made twice only where its first caller died between Amazon's answer and the row."""
    renewals = await renewed(
        database, keys, sessions, keyring, replicas=REPLICAS, periods=PERIODS, kills=KILLS
    )

    assert renewals.is_right, renewals
    print(f"{KILLS} kills, {renewals.repeated} calls repeated")  # noqa: T201
