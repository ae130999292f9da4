"""How many lists a second one process of the connector answers, beside a bare route: integrations, and conversations with what is
sealed of them.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text

from deploy.demo.postgres import CONNECTOR, OWNER
from shared.crypto.key_provider import KeyFile
from shared.database import Sessions, create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from shared.tables import Integration
from tests.bench.figures import Figure
from tests.bench.installation import installation
from tests.bench.served import Client, bench_key, free_port, running, settings_of
from tests.conftest import Database, Keys
from tests.factories import (
    make_account,
    make_conversation,
    make_integration,
    make_message,
    make_relay_address,
    make_user,
)
from tests.processes import command

INTEGRATIONS: Final = 100
CONVERSATIONS: Final = 50
PATHS: Final = {
    "rest_list": f"/api/v1/integrations?limit={INTEGRATIONS}",
    "rest_conversations": f"/api/v1/conversations?limit={CONVERSATIONS}",
}
CONNECTIONS: Final = 16
SECONDS: Final = 4.0
ROUNDS: Final = 5
# What lies sealed beside a conversation lies here in clear, for the peer.
_PLAIN_TEXTS: Final = (
    "CREATE TABLE plain_texts (conversation_id uuid PRIMARY KEY, buyer_name text, subject text, snippet text)",
    "GRANT SELECT ON plain_texts TO replyco_connector",
)
_WORDS: Final = (
    "Guten Tag, die Mühle mahlt seit gestern zu grob, obwohl ich sie nach Ihrer Anleitung eingestellt habe. "
    "Was kann ich tun, und tauschen Sie sie notfalls um?"
)


def measure() -> list[Figure]:
    """About two minutes."""
    with installation() as (database, keys):
        return asyncio.run(_measure(database, keys))


async def _measure(database: Database, keys: Keys) -> list[Figure]:
    account_id, api_key = await _prepare(database, keys)
    url = database.url(CONNECTOR)
    ours_port, peer_port = free_port(), free_port()
    ours: dict[str, list[float]] = {name: [] for name in PATHS}
    peer: dict[str, list[float]] = {name: [] for name in PATHS}
    with (
        running(command("services.connector", "serve"), settings_of(url, keys, ours_port)),
        running(command("tests.bench.rest_peer", asyncpg_dsn(url), str(account_id), str(peer_port)), {}),
    ):
        for path in PATHS.values():
            bodies = [await _answer(port, api_key, path) for port in (ours_port, peer_port)]
            if bodies[0] != bodies[1]:
                raise RuntimeError(f"the peer answers something else: {path}")
        for _ in range(ROUNDS):
            for name, path in PATHS.items():
                ours[name].append(await _rate(ours_port, api_key, path))
                peer[name].append(await _rate(peer_port, api_key, path))
    return [Figure(name, "requests/s", ours[name], "bare FastAPI + asyncpg", peer[name]) for name in PATHS]


async def _prepare(database: Database, keys: Keys) -> tuple[UUID, str]:
    keyring = Keyring(KeyFile.load(keys.key_file))
    engine = create_engine(database.url(OWNER), application_name="bench")
    sessions = create_sessions(engine)
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        creator = await make_user(session, account.id)
        stores = [
            await make_integration(session, account.id, name=f"Store {number}")
            for number in range(INTEGRATIONS)
        ]
        for store in stores:
            await make_relay_address(session, store)
        api_key, row = bench_key(account.id, creator.id)
        session.add(row)
    await _make_conversations(sessions, keyring, stores[0])
    await engine.dispose()
    return account.id, api_key


async def _make_conversations(sessions: Sessions, keyring: Keyring, integration: Integration) -> None:
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        for statement in _PLAIN_TEXTS:
            await session.execute(text(statement))
        for number in range(CONVERSATIONS):
            order_id = f"303-{number:07}-1234567"
            name, subject = f"Erika Beispiel {number}", f"Anfrage zur Bestellung {order_id}"
            conversation = await make_conversation(
                session,
                keyring,
                integration,
                buyer_name=name,
                subject=subject,
                order_id=order_id,
                last_message_at=now - timedelta(minutes=number),
                answer_due_at=now + timedelta(hours=20),
            )
            message = await make_message(session, keyring, conversation, snippet=_WORDS)
            conversation.snippet, conversation.snippet_message_id = message.snippet, message.id
            await session.execute(
                text("INSERT INTO plain_texts VALUES (:id, :name, :subject, :snippet)"),
                {"id": conversation.id, "name": name, "subject": subject, "snippet": _WORDS},
            )


async def _answer(port: int, api_key: str, path: str) -> bytes:
    client = await Client.connect(port, api_key)
    body = await client.get(path)
    client.close()
    return body


async def _rate(port: int, api_key: str, path: str) -> float:
    deadline = time.monotonic() + SECONDS

    async def load() -> int:
        client = await Client.connect(port, api_key)
        answered = 0
        while time.monotonic() < deadline:
            await client.get(path)
            answered += 1
        client.close()
        return answered

    started = time.monotonic()
    answered = await asyncio.gather(*(load() for _ in range(CONNECTIONS)))
    return sum(answered) / (time.monotonic() - started)
