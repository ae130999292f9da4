"""A day of a few stores, while everything goes wrong: every order is there once, as it was last, and nothing untrue is said meanwhile."""

from datetime import timedelta

from shared.database import Sessions
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.faults.connector.order_week import Plan, lived_through

# `make soak` has a week of twenty stores, and 40 kills.
DAY = Plan(stores=2, days=1, step=timedelta(minutes=14), kills=1, orders_a_day=15, history=60, at_once=2)


async def test_a_day_in_which_everything_goes_wrong(
    database: Database, keys: Keys, owner_sessions: Sessions, keyring: Keyring
):
    counted = await lived_through(database, keys, owner_sessions, keyring, DAY)

    assert counted.is_right, counted
    assert counted.kills == DAY.kills
    assert counted.orders > 2 * 60
    assert counted.fetched > 10
