"""What a thousand times the rows costs: the relay's look-up of an address, and the inbox over REST."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Final
from uuid import UUID

import asyncpg
from prometheus_client import CollectorRegistry
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.demo.postgres import CONNECTOR, OWNER, RELAY
from services.connector.http.paging import DEFAULT_PAGE, encode_cursor
from services.mailrelay.intake.recipients import Recipients
from services.mailrelay.metrics import RelayMetrics
from shared.crypto.envelope import AccountKeys, Place
from shared.crypto.key_provider import KeyFile
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn, new_id
from shared.keyring import Keyring
from shared.tables import Conversation
from tests.bench.figures import Figure
from tests.bench.installation import installation, migrate
from tests.bench.scale_queue import MONTHS, load_mails, queue_subjects
from tests.bench.scale_rows import Size, load
from tests.bench.served import Client, bench_key, free_port, running, settings_of
from tests.conftest import Database, Keys
from tests.factories import make_account, make_conversation, make_integration, make_message, make_user
from tests.processes import command

LARGE: Final = Size(
    accounts=2_000,
    addresses=1_000_000,
    conversations=1_000_000,
    delivered_mails=10_000_000,
    months_of_mail=MONTHS,
)
SMALL: Final = Size(accounts=1, addresses=1_000, conversations=200, delivered_mails=1, months_of_mail=1)
DOMAIN: Final = "replyco.email"
LOOKUPS: Final = 1_000
REQUESTS: Final = 100
ROUNDS: Final = 5
READABLE_MESSAGES: Final = 20

_PEERS: Final = {"lookup": "1,000 addresses", "inbox": "1,000 messages", "queue": "an empty installation"}

# Does something many times; the median of its times in microseconds.
Measure = Callable[[], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """One of the two databases: whose inbox is read, and what is asked for."""

    database: Database
    api_key: str
    conversation_id: UUID
    deep_cursor: str
    local_parts: list[str]


def measure() -> list[Figure]:
    """Some minutes, most of which the rows take, and about twelve gigabytes meanwhile."""
    with installation() as (database, keys):
        return asyncio.run(_measure(database, keys))


async def _measure(large: Database, keys: Keys) -> list[Figure]:
    small = Database(large.postgres, "small")
    await migrate(small)
    databases = [await _load(small, keys, SMALL), await _load(large, keys, LARGE)]
    runs: dict[str, list[list[float]]] = {}
    async with _subjects(databases[0], keys) as of_small, _subjects(databases[1], keys) as of_large:
        for _ in range(ROUNDS):
            for name in of_small:
                times = runs.setdefault(name, [[], []])
                times[0].append(await of_small[name]())
                times[1].append(await of_large[name]())
    return [
        Figure(
            name,
            "µs",
            large_times,
            _PEERS[name.removeprefix("scale_").partition("_")[0]],
            small_times,
        )
        for name, (small_times, large_times) in runs.items()
    ]


async def _load(database: Database, keys: Keys, size: Size) -> Loaded:
    keyring = Keyring(KeyFile.load(keys.key_file))
    engine = create_engine(database.url(OWNER), application_name="bench")
    sessions = create_sessions(engine)
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        api_key, row = bench_key(account.id, (await make_user(session, account.id)).id)
        session.add(row)
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    began = time.monotonic()
    messages = await load(owner, account.id, size)
    await load_mails(owner, size.delivered_mails, months=size.months_of_mail)
    print(  # noqa: T201
        f"{size.addresses:,} addresses, {messages:,} messages, {size.delivered_mails:,} delivered mails:"
        f" {time.monotonic() - began:.0f} s"
    )
    # The one whose messages are read, and therefore opened.
    async with sessions.begin() as session:
        conversation = await make_conversation(
            session, keyring, await make_integration(session, account.id, name="Bench")
        )
        for _ in range(READABLE_MESSAGES):
            await make_message(session, keyring, conversation)
    local_parts = await owner.fetch(
        "SELECT local_part FROM relay_addresses ORDER BY random() LIMIT $1", LOOKUPS
    )
    deep = await owner.fetchrow(
        """
        SELECT last_message_at, id FROM conversations WHERE account_id = $1
        ORDER BY last_message_at, id OFFSET (SELECT count(*) / 4 FROM conversations WHERE account_id = $1) LIMIT 1
        """,
        account.id,
    )
    assert deep is not None
    account_keys = await keyring.of(sessions, account.id)
    async with sessions.begin() as session:
        for before in (None, (deep["last_message_at"], deep["id"])):
            await _seal_page(session, account_keys, before)
    await owner.close()
    await engine.dispose()
    return Loaded(
        database,
        api_key,
        conversation.id,
        encode_cursor(deep["last_message_at"], deep["id"]),
        [row["local_part"] for row in local_parts],
    )


async def _seal_page(session: AsyncSession, keys: AccountKeys, before: tuple[datetime, UUID] | None) -> None:
    """Let a page's conversations have what is opened of them, each sealed in its place."""
    page = select(Conversation).where(Conversation.account_id == keys.account_id)
    if before is not None:
        page = page.where(tuple_(Conversation.last_message_at, Conversation.id) < before)
    newest_first = page.order_by(Conversation.last_message_at.desc(), Conversation.id.desc())
    for row in await session.scalars(newest_first.limit(DEFAULT_PAGE)):
        row.buyer_name = keys.seal_text(Place("conversations", "buyer_name", row.id), "Erika Beispiel")
        row.subject = keys.seal_text(Place("conversations", "subject", row.id), "Frage zur Lampe")
        row.snippet_message_id = new_id()
        row.snippet = keys.seal_text(Place("messages", "snippet", row.snippet_message_id), "x" * 160)


@asynccontextmanager
async def _subjects(loaded: Loaded, keys: Keys) -> AsyncIterator[dict[str, Measure]]:
    """What is measured, by the names of the figures."""
    inbox = "/api/v1/conversations"
    async with AsyncExitStack() as stack:
        port = free_port()
        settings = settings_of(loaded.database.url(CONNECTOR), keys, port)
        stack.enter_context(running(command("services.connector", "serve"), settings))
        client = await Client.connect(port, loaded.api_key)
        stack.callback(client.close)
        cold, _ = await _recipients(loaded.database)
        warm, registry = await _recipients(loaded.database)
        listening = asyncio.create_task(warm.run())
        # It keeps what it has found once it listens.
        while not registry.get_sample_value("replyco_recipients_lookups_total", {"where": "memory"}):
            await warm.find(f"{loaded.local_parts[0]}@{DOMAIN}")
        await _look_up(warm, loaded.local_parts)

        of_queue = await stack.enter_async_context(queue_subjects(loaded.database))

        yield {
            **of_queue,
            "scale_lookup": lambda: _look_up(cold, loaded.local_parts),
            "scale_lookup_warm": lambda: _look_up(warm, loaded.local_parts),
            "scale_inbox": lambda: _ask(client, inbox),
            "scale_inbox_deep": lambda: _ask(client, f"{inbox}?cursor={loaded.deep_cursor}"),
            "scale_inbox_messages": lambda: _ask(client, f"{inbox}/{loaded.conversation_id}/messages"),
        }
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
        await cold.close()
        await warm.close()


async def _recipients(database: Database) -> tuple[Recipients, CollectorRegistry]:
    """Unless its `run` is called it keeps nothing, and every look-up asks the database."""
    registry = CollectorRegistry()
    recipients = await Recipients.open(
        database.url(RELAY), domain=DOMAIN, postmaster_local_part=None, metrics=RelayMetrics(registry)
    )
    return recipients, registry


async def _look_up(recipients: Recipients, local_parts: list[str]) -> float:
    times = []
    for local_part in local_parts:
        began = time.perf_counter()
        found = await recipients.find(f"{local_part}@{DOMAIN}")
        times.append(time.perf_counter() - began)
        if found is None:
            raise RuntimeError("an address was not found")
    return median(times) * 1e6


async def _ask(client: Client, path: str) -> float:
    times = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        await client.get(path)
        times.append(time.perf_counter() - began)
    return median(times) * 1e6
