"""Three replicas of the connector renew the tokens of fifty stores at once: how often Login with Amazon is called."""

import asyncio
import time
from contextlib import AsyncExitStack

from deploy.demo.postgres import CONNECTOR
from shared.crypto.key_provider import KeyFile
from shared.database import create_engine, create_sessions
from shared.keyring import Keyring
from tests.bench.figures import Figure
from tests.bench.installation import installation
from tests.conftest import Database, Keys
from tests.faults.connector.fleet import STORES, make_fleet, replica, running_sandbox

REPLICAS = 3
ROUNDS = 3


def measure() -> list[Figure]:
    """About half a minute. Right is one call for each store, however many ask."""
    with installation() as (database, keys):
        return asyncio.run(_measure(database, keys))


async def _measure(database: Database, keys: Keys) -> list[Figure]:
    engine = create_engine(database.url(CONNECTOR), application_name="bench")
    calls, seconds = [], []
    async with running_sandbox() as (address, sandbox), AsyncExitStack() as stack:
        fleet = await make_fleet(create_sessions(engine), Keyring(KeyFile.load(keys.key_file)), sandbox)
        for _ in range(REPLICAS):
            await stack.enter_async_context(replica(database, keys, address, sandbox))
        for period in range(1, ROUNDS + 1):
            before, started = fleet.calls().total(), time.monotonic()
            await fleet.make_due()
            await fleet.all_renewed(period)
            seconds.append(time.monotonic() - started)
            calls.append(float(fleet.calls().total() - before))
    await engine.dispose()
    return [
        Figure("refresh_calls", f"calls for {STORES} stores", calls),
        Figure("refresh_seconds", f"s for {STORES} stores", seconds),
    ]
