"""Three replicas renew fifty stores' tokens, and are killed meanwhile: one call for each store and period, none lost, none red."""

import asyncio
import secrets
from contextlib import AsyncExitStack

import pytest

from shared.database import Sessions
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.faults.connector.fleet import STORES, make_fleet, replica, running_sandbox

REPLICAS = 3
KILLS = 6


@pytest.mark.timeout(120)
async def test_three_replicas_at_once_call_exactly_once_for_each_store_and_period(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    async with running_sandbox() as (address, sandbox), AsyncExitStack() as stack:
        fleet = await make_fleet(sessions, keyring, sandbox)
        for _ in range(REPLICAS):
            await stack.enter_async_context(replica(database, keys, address, sandbox))
        for period in range(1, 4):
            await fleet.make_due()
            await fleet.all_renewed(period)
            assert set(fleet.calls().values()) == {period}

        assert len(fleet.calls()) == STORES
        assert "red" not in await fleet.locks()


@pytest.mark.timeout(240)
async def test_replicas_killed_while_they_renew_lose_no_grant_and_turn_none_red(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring
):
    """A call may be made twice only where its first caller died between Amazon's answer and the row."""
    async with running_sandbox() as (address, sandbox), AsyncExitStack() as stack:
        fleet = await make_fleet(sessions, keyring, sandbox)
        running = [
            await stack.enter_async_context(replica(database, keys, address, sandbox))
            for _ in range(REPLICAS)
        ]
        killed_in: list[set[str]] = []
        for period in range(1, KILLS + 1):
            await fleet.make_due()
            await asyncio.sleep(secrets.randbelow(300) / 1000)
            victim = running.pop(0)
            victim.kill()
            await victim.wait()
            killed_in.append(await fleet.leased())
            running.append(await stack.enter_async_context(replica(database, keys, address, sandbox)))
            await fleet.all_renewed(period, some_have_died=True)

        extra = {store: calls - KILLS for store, calls in fleet.calls().items() if calls != KILLS}
        # Whatever was called for more often was being renewed when a replica died.
        for store, times in extra.items():
            assert 0 < times <= sum(store in leased for leased in killed_in)
        assert len(fleet.calls()) == STORES
        assert await fleet.troubled() == 0
        assert "red" not in await fleet.locks()
        print(f"{KILLS} kills, {sum(extra.values())} calls repeated")  # noqa: T201
