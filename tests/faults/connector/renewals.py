"""Replicas that renew tokens, all at once or dying meanwhile, and what can be counted in the end."""

import asyncio
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass

from shared.database import Sessions
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.faults.connector.fleet import STORES, Fleet, make_fleet, replica, running_sandbox

_REPLICAS = 3


@dataclass(frozen=True, slots=True)
class Renewals:
    """How often Amazon was called for each store, and what went wrong."""

    calls: list[int]
    repeated: int
    inexplicable: int
    """Stores that were called for too often without a replica that died over them, or too seldom."""
    troubled: int
    red: int

    @property
    def is_right(self) -> bool:
        return len(self.calls) == STORES and not self.inexplicable + self.troubled + self.red


async def renewed_at_once(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring, *, periods: int
) -> Renewals:
    """Every token comes due at the same moment, period after period, and three replicas want to renew it."""
    async with running_sandbox() as (address, sandbox), AsyncExitStack() as stack:
        fleet = await make_fleet(sessions, keyring, sandbox)
        for _ in range(_REPLICAS):
            await stack.enter_async_context(replica(database, keys, address, sandbox))
        for period in range(1, periods + 1):
            await fleet.make_due()
            await fleet.all_renewed(period)
            # Whatever is renewed once more later is no work of this period.
            assert set(fleet.calls().values()) == {period}
        return await _renewals(fleet, periods, [])


async def renewed_through_kills(
    database: Database, keys: Keys, sessions: Sessions, keyring: Keyring, *, kills: int
) -> Renewals:
    """The same, and in each period a replica dies while it renews; another one comes."""
    async with running_sandbox() as (address, sandbox), AsyncExitStack() as stack:
        fleet = await make_fleet(sessions, keyring, sandbox)
        running = [
            await stack.enter_async_context(replica(database, keys, address, sandbox))
            for _ in range(_REPLICAS)
        ]
        killed_in: list[set[str]] = []
        for period in range(1, kills + 1):
            await fleet.make_due()
            await asyncio.sleep(secrets.randbelow(300) / 1000)
            victim = running.pop(0)
            victim.kill()
            await victim.wait()
            killed_in.append(await fleet.leased())
            running.append(await stack.enter_async_context(replica(database, keys, address, sandbox)))
            await fleet.all_renewed(period, some_have_died=True)
        return await _renewals(fleet, kills, killed_in)


async def _renewals(fleet: Fleet, periods: int, killed_in: list[set[str]]) -> Renewals:
    calls = fleet.calls()
    extra = {store: count - periods for store, count in calls.items() if count != periods}
    return Renewals(
        calls=list(calls.values()),
        repeated=sum(extra.values()),
        # Whatever was called for more often was being renewed when a replica died.
        inexplicable=sum(
            not 0 < times <= sum(store in leased for leased in killed_in) for store, times in extra.items()
        ),
        troubled=await fleet.troubled(),
        red=await fleet.red(),
    )
