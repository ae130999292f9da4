"""A database with data of an earlier version, upgraded while a relay accepts mail and somebody reads for a long time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from deploy.demo.postgres import OWNER
from migrations.comparison import is_not_of_a_partition, is_ours
from migrations.upgrade import alembic_config, upgrade, upgrade_tables
from shared.crypto.key_provider import KeyFile
from shared.database import Sessions, create_engine, create_sessions
from shared.driver import asyncpg_dsn, new_id
from shared.keyring import Keyring
from shared.tables import Base
from tests.conftest import Database, Keys
from tests.faults.mailrelay.counting import Count, counted
from tests.faults.mailrelay.load import Load, RelayProcess, reachable, started

# Before it there was no blob store, and the data that are filled in would not fit.
FIRST_WITH_BLOBS: Final = "20261123_2320"
# Before it accepted mail had no lane, which this version's relay writes.
FIRST_OF_THIS_RELAY: Final = "20261128_1410"
# What a database of an earlier version has is carried over by them.
FIRST_WITH_ORDERS: Final = "20261126_0241"
FIRST_WITH_THREADS: Final = "20261126_0301"
MESSAGES_EACH: Final = 5
_FILLED: Final = "filled"

_PARTITIONS: Final = (Path(__file__).parents[3] / "migrations" / "partitions.sql").read_text()
_RIGHTS: Final = """
    GRANT USAGE ON SCHEMA public TO replyco_relay;
    GRANT SELECT ON relay_addresses TO replyco_relay;
    GRANT INSERT ON accepted_mail TO replyco_relay;
"""
# The relay stands for the one of the version before, which knows nothing of these tables' version nor of restored databases and goes
# on. That this version's waits for its tables is tested in tests/integration/test_tables_of_another_version.py.
_BEFORE_THESE_TABLES: Final = """
    CREATE SCHEMA before_these_tables;
    CREATE VIEW before_these_tables.alembic_version AS SELECT 'of a later version' AS version_num;
    GRANT USAGE ON SCHEMA before_these_tables TO replyco_relay;
    CREATE VIEW before_these_tables.restorations AS SELECT now() AS ends_at WHERE false;
    GRANT SELECT ON ALL TABLES IN SCHEMA before_these_tables TO replyco_relay;
    ALTER ROLE replyco_relay IN DATABASE {database} SET search_path = before_these_tables, public;
"""
STORE: Final = """
    CREATE TEMP TABLE store AS SELECT uuidv7() AS id, $1::uuid AS account_id, uuidv7() AS user_id, uuidv7() AS address_id;
"""
# In the columns of the first tables, which all later versions still have.
STORE_ROWS: Final = """
    INSERT INTO users (id, account_id, email, password_hash, name, general_admin, inbox_messages)
        SELECT user_id, account_id, user_id || '@seller.example', '', 'Seller', 'edit', 'edit' FROM store;
    INSERT INTO integrations (id, account_id, region, home_country, seller_id, name, name_key)
        SELECT id, account_id, 'eu', 'DE', id, id, id FROM store;
    INSERT INTO audit_log (id, account_id, actor_kind, actor_id, action, subject_id)
        SELECT uuidv7(), account_id, 'user', user_id, 'integration_connected', id FROM store;
    INSERT INTO grants (id, account_id, integration_id, region, seller_id, refresh_token, consented_at)
        SELECT uuidv7(), account_id, id, 'eu', id, '\\x00', now() FROM store;
    INSERT INTO relay_addresses (id, account_id, integration_id, local_part) SELECT address_id, account_id, id, address_id FROM store;
"""
_CONVERSATIONS: Final = """
    CREATE TEMP TABLE talks AS
        SELECT uuidv7(-age) AS id, now() - age AS at, uuid_send(uuidv7()) AS thread_key, n
        FROM generate_series(1, {count}) n, LATERAL (SELECT interval '150 days' * (1 - n / {count}::float8) AS age) ages;
    INSERT INTO conversations (id, account_id, integration_id, thread_key, order_id, message_count, last_message_at)
        SELECT talks.id, account_id, store.id, thread_key, '303-' || lpad(n::text, 7, '0') || '-1234567', {messages_each}, at
        FROM talks, store;
    INSERT INTO messages (id, account_id, integration_id, conversation_id, accepted_mail_id, raw_key, kind, from_amazon_domain,
            truncated, received_at, body_text, size, attachment_count)
        SELECT uuidv7(at - now()), account_id, store.id, talks.id, uuidv7(at - now()), '\\x00', 'buyer_message', true, false, at,
            '\\x00', 1000, 1
        FROM talks, store, generate_series(1, {messages_each});
    INSERT INTO accepted_mail (id, account_id, relay_address_id, session_id, peer_address, size, mail_key_id, content_key,
            envelope, raw, state)
        SELECT accepted_mail_id, store.account_id, address_id, '{filled}', '::1', 1000, '', '\\x00', '\\x00', '\\x00', 'delivered'
        FROM store JOIN messages ON integration_id = store.id;
    INSERT INTO attachments (id, account_id, message_id, position, filename, content_type, size, content)
        SELECT uuidv7(), store.account_id, messages.id, 0, '\\x00', 'image/png', 1, '\\x00'
        FROM store JOIN messages ON integration_id = store.id;
    DROP TABLE talks, store;
"""


@dataclass(frozen=True, slots=True)
class UpgradeCount:
    """What an upgrade has left; all but `conversations` and `mails` have to be as they were, or 0."""

    mails: Count
    conversations: int
    rows_missing: int
    mails_put_off: int
    differences: Sequence[object]

    @property
    def is_right(self) -> bool:
        return self.mails.is_right and not (self.rows_missing or self.mails_put_off or self.differences)


def revisions() -> list[str]:
    """All of them, the oldest first."""
    scripts = ScriptDirectory.from_config(alembic_config())
    return [script.revision for script in reversed(list(scripts.walk_revisions()))]


def revisions_with_data() -> list[str]:
    """Those whose tables can be filled in here."""
    every = revisions()
    return every[every.index(FIRST_WITH_BLOBS) :]


async def upgraded_under_load(
    database: Database,
    keys: Keys,
    log: Path,
    *,
    stops: Sequence[str],
    conversations: int,
    mails: int = 20,
    clients: int = 3,
    pause_seconds: float = 0.02,
) -> UpgradeCount:
    """Upgrade an empty database to each of these revisions, and at last to the newest one. At each, data are added.

    Mail is accepted from the first revision on that this version's relay can write to. `mails` of them are, while the long reader
    reads, and as many when it has ended: more than there are `clients`, so that one at least is sent after that has begun.
    `pause_seconds`: between two mails of a client.
    """
    url = database.url(OWNER)
    await upgrade_tables(url, stops[0])
    owner = await asyncpg.connect(asyncpg_dsn(url))
    await owner.execute(_PARTITIONS + _RIGHTS + _BEFORE_THESE_TABLES.format(database=database.name))
    for month in range(7):
        await owner.execute("SELECT ensure_partitions(now() - $1 * interval '1 month')", month)
    orders = threads = 0
    load: Load | None = None
    async with AsyncExitStack() as running:
        # Each of them once for all revisions.
        accounts = await running.enter_async_context(_connected(database))
        reader = await asyncpg.connect(asyncpg_dsn(url))
        running.push_async_callback(reader.close)
        await _make_address_of_load(owner, accounts, keys)
        await _fill(owner, accounts, keys, conversations)
        # Large tables are read as their figures say; those that are filled a little at each revision are small.
        await owner.execute("ANALYZE", timeout=None)
        for stop, next_stop in zip(stops, (*stops[1:], None), strict=True):
            if load is None and stop >= FIRST_OF_THIS_RELAY:
                load = await running.enter_async_context(
                    _loaded_relay(database, keys, log, clients, pause_seconds)
                )
            orders += conversations * (stop < FIRST_WITH_ORDERS)
            threads += conversations * (stop < FIRST_WITH_THREADS)
            async with _long_reader(reader) as reading:
                upgrading = asyncio.create_task(
                    upgrade(url) if next_stop is None else upgrade_tables(url, next_stop)
                )
                await _waiting_or_done(owner, database, upgrading)
                if load is not None:
                    await load.more("data 250", mails)
                reading.set()
                await upgrading
            if load is None and next_stop is None:
                load = await running.enter_async_context(
                    _loaded_relay(database, keys, log, clients, pause_seconds)
                )
            if load is not None:
                await load.more("data 250", mails)
            if next_stop is not None:
                await _fill(owner, accounts, keys, conversations)
    assert load is not None
    total = conversations * len(stops)
    expected = {
        "conversations": total,
        "messages": total * MESSAGES_EACH,
        "attachments": total * MESSAGES_EACH,
        f"accepted_mail WHERE session_id = '{_FILLED}'": total * MESSAGES_EACH,
        "conversation_orders": orders,
        "conversation_threads": threads,
    }
    missing = sum([abs(await _rows(owner, table) - rows) for table, rows in expected.items()])
    # What was never a mail opens with no key.
    await owner.execute("DELETE FROM accepted_mail WHERE session_id = $1", _FILLED, timeout=None)
    await owner.close()
    return UpgradeCount(
        mails=await counted(database, keys, load),
        conversations=total,
        rows_missing=missing,
        mails_put_off=load.codes["data 451"],
        differences=await differences(database),
    )


@asynccontextmanager
async def _loaded_relay(
    database: Database, keys: Keys, log: Path, clients: int, pause_seconds: float
) -> AsyncIterator[Load]:
    """Mail on its way to a relay, until the block ends."""
    async with started(RelayProcess(database, keys, log, commit_timeout_seconds="10")) as relay:
        await reachable(relay)
        async with Load(relay.port, clients=clients, pause_seconds=pause_seconds) as load:
            yield load


async def differences(database: Database) -> list[object]:
    """Between the database and shared/tables/."""
    engine = create_engine(database.url(OWNER), application_name="tests")
    async with engine.connect() as connection:
        found = await connection.run_sync(_differences)
    await engine.dispose()
    return found


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"include_name": is_ours, "include_object": is_not_of_a_partition}
    )
    return list(compare_metadata(context, Base.metadata))


@asynccontextmanager
async def _connected(database: Database) -> AsyncIterator[Sessions]:
    engine = create_engine(database.url(OWNER), application_name="tests")
    yield create_sessions(engine)
    await engine.dispose()


async def _make_account(sessions: Sessions, keys: Keys) -> UUID:
    """With columns that it has had from the beginning: factories write today's."""
    keyring = Keyring(KeyFile.load(keys.key_file))
    account_id = new_id()
    async with sessions.begin() as session:
        await session.execute(
            text("INSERT INTO accounts (id, name) VALUES (:id, 'Lampenladen GmbH')"), {"id": account_id}
        )
        for key in await keyring.new_keys(account_id):
            await session.execute(
                text(
                    "INSERT INTO account_keys (id, account_id, purpose, wrapping_key_id, wrapped)"
                    " VALUES (:id, :account_id, :purpose, :wrapping_key_id, :wrapped)"
                ),
                {
                    "id": key.id,
                    "account_id": key.account_id,
                    "purpose": key.purpose,
                    "wrapping_key_id": key.wrapping_key_id,
                    "wrapped": key.wrapped,
                },
            )
    return account_id


async def _make_address_of_load(
    owner: "asyncpg.Connection[asyncpg.Record]", accounts: Sessions, keys: Keys
) -> None:
    """Where the load's mails go; factories that write today's columns cannot make it."""
    await owner.execute(STORE, await _make_account(accounts, keys))
    await owner.execute(STORE_ROWS + "UPDATE relay_addresses SET local_part = 'mabtekrud'; DROP TABLE store;")


async def _fill(
    owner: "asyncpg.Connection[asyncpg.Record]", accounts: Sessions, keys: Keys, conversations: int
) -> None:
    """One more store with conversations, five messages and an attachment each: foreign keys hold as it is made."""
    account_id = await _make_account(accounts, keys)
    await owner.execute("SET session_replication_role = replica")
    await owner.execute(STORE, account_id)
    await owner.execute(STORE_ROWS)
    await owner.execute(
        _CONVERSATIONS.format(count=conversations, messages_each=MESSAGES_EACH, filled=_FILLED), timeout=None
    )
    await owner.execute("RESET session_replication_role")


@asynccontextmanager
async def _long_reader(
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> AsyncIterator[asyncio.Event]:
    """Reads the tables as a backup does, until the event is set or the block ends."""
    transaction = connection.transaction(isolation="repeatable_read", readonly=True)
    await transaction.start()
    for table in ("accepted_mail", "messages", "conversations", "attachments"):
        await connection.fetchval(f"SELECT count(*) FROM {table}", timeout=None)
    ended = asyncio.Event()

    async def end() -> None:
        await ended.wait()
        await transaction.rollback()

    ending = asyncio.create_task(end())
    yield ended
    ended.set()
    await ending


async def _waiting_or_done(
    owner: "asyncpg.Connection[asyncpg.Record]", database: Database, upgrading: "asyncio.Task[None]"
) -> None:
    """Until the migration waits for the reader, if it does."""
    waits = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE datname = $1 AND application_name = 'migrations' AND wait_event_type = 'Lock')"
    )
    while not upgrading.done() and not await owner.fetchval(waits, database.name):  # noqa: ASYNC110 - nothing tells
        # It waits for two seconds, then it tries again.
        await asyncio.sleep(0.05)


async def _rows(owner: "asyncpg.Connection[asyncpg.Record]", table: str) -> int:
    """Before a worker delivers what the load has sent, they are those that were filled in."""
    rows: int = await owner.fetchval(f"SELECT count(*) FROM {table}", timeout=None)
    return rows
