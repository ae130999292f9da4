"""Replicas that renew tokens, all at once or dying meanwhile, and what can be counted in the end."""

import asyncio
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass

from shared.database import Sessions
from shared.keyring import Keyring
from tests.conftest import Database, Keys
from tests.faults.connector.fleet import STORES, Fleet, make_fleet, replica, running_sandbox


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


async def renewed(
    database: Database,
    keys: Keys,
    sessions: Sessions,
    keyring: Keyring,
    *,
    replicas: int,
    periods: int,
    kills: int,
) -> Renewals:
    """Every token comes due at the same moment, period after period, and all replicas want to renew it. In each of as many periods as there
    are kills one of them dies meanwhile; before the next one another comes."""
    async with running_sandbox() as (address, sandbox), AsyncExitStack() as stack:
        fleet = await make_fleet(sessions, keyring, sandbox)

        async def hire() -> asyncio.subprocess.Process:
            return await stack.enter_async_context(replica(database, keys, address, sandbox))

        running = [await hire() for _ in range(replicas)]
        for period in range(1, periods + 1):
            await fleet.make_due()
            await fleet.all_renewed(period)
            # Whatever is renewed once more later is no work of this period.
            assert set(fleet.calls().values()) == {period}
        killed_in: list[set[str]] = []
        for kill in range(1, kills + 1):
            await fleet.make_due()
            await asyncio.sleep(secrets.randbelow(300) / 1000)
            victim = running.pop(0)
            victim.kill()
            await victim.wait()
            killed_in.append(await fleet.leased())
            if kill < kills:
                running.append(await hire())
            await fleet.all_renewed(periods + kill, some_have_died=True)
        return await _renewals(fleet, periods + kills, killed_in)


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
