"""How many lists of a hundred integrations a second one process of the connector answers, beside a bare route."""

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from deploy.demo.postgres import CONNECTOR, OWNER
from services.connector.accounts.credentials import hash_secret, new_api_key
from shared.crypto.key_provider import KeyFile
from shared.database import asyncpg_dsn, create_engine, create_sessions
from shared.keyring import Keyring
from shared.tables import ApiKey
from tests.bench.figures import Figure
from tests.bench.installation import installation
from tests.conftest import Database, Keys
from tests.factories import make_account, make_integration, make_relay_address, make_user
from tests.processes import command

ROWS = 100
CONNECTIONS = 16
SECONDS = 4.0
ROUNDS = 3


def measure() -> list[Figure]:
    """About a minute."""
    with installation() as (database, keys):
        return asyncio.run(_measure(database, keys))


async def _measure(database: Database, keys: Keys) -> list[Figure]:
    account_id, api_key = await _prepare(database, keys)
    url = database.url(CONNECTOR)
    ours_port, peer_port = _free_port(), _free_port()
    settings = {
        "REPLYCO_DATABASE_URL": url,
        "REPLYCO_KEY_FILE": str(keys.key_file),
        "REPLYCO_BLOB_URL": keys.blob_url,
        "REPLYCO_PORT": str(ours_port),
        "REPLYCO_REQUESTS_PER_MINUTE": "100000000",
        "REPLYCO_AMAZON_APPLICATION_ID": "amzn1.sp.solution.bench",
        "REPLYCO_AMAZON_CLIENT_ID": "amzn1.application-oa2-client.bench",
        "REPLYCO_AMAZON_CLIENT_SECRET": "bench",
    }
    ours: list[float] = []
    peer: list[float] = []
    with (
        _running(command("services.connector", "serve"), settings),
        _running(command("tests.bench.rest_peer", asyncpg_dsn(url), str(account_id), str(peer_port)), {}),
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
    key = new_api_key()
    async with create_sessions(engine).begin() as session:
        account = await make_account(session, keyring)
        creator = await make_user(session, account.id)
        for number in range(ROWS):
            integration = await make_integration(session, account.id, name=f"Store {number}")
            await make_relay_address(session, integration)
        session.add(
            ApiKey(
                account_id=account.id,
                name="Bench",
                hint=key[-4:],
                secret_hash=hash_secret(key),
                general_admin="view",
                inbox_messages="none",
                created_by=creator.id,
            )
        )
    await engine.dispose()
    return account.id, key


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def _running(arguments: list[str], settings: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={"PATH": os.defpath, **settings},
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


async def _answer(port: int, api_key: str) -> bytes:
    """Wait until it is up, and say what it answers."""
    deadline = time.monotonic() + 30
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
            continue
        body = await _ask(reader, writer, _request(api_key))
        writer.close()
        return body


async def _rate(port: int, api_key: str) -> float:
    request, deadline = _request(api_key), time.monotonic() + SECONDS

    async def load() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answered = 0
        while time.monotonic() < deadline:
            await _ask(reader, writer, request)
            answered += 1
        writer.close()
        return answered

    started = time.monotonic()
    answered = await asyncio.gather(*(load() for _ in range(CONNECTIONS)))
    return sum(answered) / (time.monotonic() - started)


def _request(api_key: str) -> bytes:
    return (
        f"GET /api/v1/integrations?limit={ROWS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {api_key}\r\n\r\n"
    ).encode()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(head.decode())
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    return await reader.readexactly(length)
