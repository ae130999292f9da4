"""How many lists of a hundred integrations a second one process of the connector answers, beside a bare route."""

import asyncio
import time
from uuid import UUID

from deploy.demo.postgres import CONNECTOR, OWNER
from shared.crypto.key_provider import KeyFile
from shared.database import asyncpg_dsn, create_engine, create_sessions
from shared.keyring import Keyring
from tests.bench.figures import Figure
from tests.bench.installation import installation
from tests.bench.served import Client, bench_key, free_port, running, settings_of
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address, make_user
from tests.processes import command

ROWS = 100
PATH = f"/api/v1/integrations?limit={ROWS}"
CONNECTIONS = 16
SECONDS = 4.0
ROUNDS = 5


def measure() -> list[Figure]:
    """About a minute."""
    with installation() as (database, keys):
        return asyncio.run(_measure(database, keys))


async def _measure(database: Database, keys: Keys) -> list[Figure]:
    account_id, api_key = await _prepare(database, keys)
    url = database.url(CONNECTOR)
    ours_port, peer_port = free_port(), free_port()
    ours: list[float] = []
    peer: list[float] = []
    with (
        running(command("services.connector", "serve"), settings_of(url, keys, ours_port)),
        running(command("tests.bench.rest_peer", asyncpg_dsn(url), str(account_id), str(peer_port)), {}),
    ):
        bodies = [await _answer(port, api_key) for port in (ours_port, peer_port)]
        if bodies[0] != bodies[1]:
            raise RuntimeError("the peer answers something else")
        for _ in range(ROUNDS):
            ours.append(await _rate(ours_port, api_key))
            peer.append(await _rate(peer_port, api_key))
    return [Figure("rest_list", "requests/s", ours, "bare FastAPI + asyncpg", peer)]


async def _prepare(database: Database, keys: Keys) -> tuple[UUID, str]:
    keyring = Keyring(KeyFile.load(keys.key_file))
    engine = create_engine(database.url(OWNER), application_name="bench")
    async with create_sessions(engine).begin() as session:
        account = await make_account(session, keyring)
        creator = await make_user(session, account.id)
        for number in range(ROWS):
            integration = await make_integration(session, account.id, name=f"Store {number}")
            await make_relay_address(session, integration)
        api_key, row = bench_key(account.id, creator.id)
        session.add(row)
    await engine.dispose()
    return account.id, api_key


async def _answer(port: int, api_key: str) -> bytes:
    client = await Client.connect(port, api_key)
    body = await client.get(PATH)
    client.close()
    return body


async def _rate(port: int, api_key: str) -> float:
    deadline = time.monotonic() + SECONDS

    async def load() -> int:
        client = await Client.connect(port, api_key)
        answered = 0
        while time.monotonic() < deadline:
            await client.get(PATH)
            answered += 1
        client.close()
        return answered

    started = time.monotonic()
    answered = await asyncio.gather(*(load() for _ in range(CONNECTIONS)))
    return sum(answered) / (time.monotonic() - started)
