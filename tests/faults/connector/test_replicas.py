"""Three replicas renew fifty stores' tokens, and are killed meanwhile: one call for each store and period, none lost, none red."""

from shared.database import Sessions
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.faults.connector.fleet import STORES
from tests.faults.connector.renewals import renewed_at_once, renewed_through_kills

# `make soak` has three periods, and six kills.
PERIODS = 2
KILLS = 2


async def test_three_replicas_at_once_call_exactly_once_for_each_store_and_period(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    renewals = await renewed_at_once(database, keys, sessions, keyring, periods=PERIODS)

    assert renewals.calls == [PERIODS] * STORES
    assert renewals.red == 0


async def test_replicas_killed_while_they_renew_lose_no_grant_and_turn_none_red(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    """A call may be made twice only where its first caller died between Amazon's answer and the row."""
    renewals = await renewed_through_kills(database, keys, sessions, keyring, kills=KILLS)

    assert renewals.is_right, renewals
    print(f"{KILLS} kills, {renewals.repeated} calls repeated")  # noqa: T201
