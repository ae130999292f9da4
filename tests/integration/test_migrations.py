"""The migrations make exactly what shared/tables/ says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from deploy.demo.postgres import OWNER, EmbeddedPostgres
from migrations.upgrade import upgrade, upgrade_tables
from shared.driver import asyncpg_dsn
from tests.conftest import Database
from tests.faults.mailrelay.migrating import differences

BEFORE_MONTHS_OF_ATTACHMENTS = "20261128_1111"
MONTHS_OF_ATTACHMENTS = "20261128_1112"


@pytest.fixture
async def empty(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    """A database of no version yet."""
    database = Database(postgres, f"test_{uuid4().hex}")
    await postgres.create_database(database.name)
    yield database
    await postgres.drop_database(database.name)


@asynccontextmanager
async def connected(database: Database) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    yield connection
    await connection.close()


async def test_migrated_database_equals_the_tables(database: Database):
    assert await differences(database) == []


async def test_each_partition_of_items_and_packages_refers_to_its_fellow_of_orders(database: Database):
    proven = (
        "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND convalidated"
        " AND conname = ANY ($1)"
    )
    names = [f"fk_{table}_order_row_id_account_id" for table in ("order_items", "order_packages")]

    async with connected(database) as owner:
        found = {tuple(row) for row in await owner.fetch(proven, names)}

    assert found == {
        (f"{table}_h{number:02}", f"orders_h{number:02}")
        for table in ("order_items", "order_packages")
        for number in range(16)
    }


async def test_upgrade_may_run_again(database: Database):
    await upgrade(database.url(OWNER))


async def test_an_upgrade_takes_the_url_that_the_processes_take(database: Database):
    """How TLS is asked for stands in it."""
    await upgrade(f"{database.url(OWNER)}&sslmode=prefer")


async def test_an_upgrade_that_ends_a_deadlock_tries_again(empty: Database):
    """A worker that stores a message has locked `messages`, and comes to `attachments` while the migration has it."""
    url = empty.url(OWNER)
    await upgrade_tables(url, BEFORE_MONTHS_OF_ATTACHMENTS)
    waits = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE datname = $1 AND application_name = 'migrations' AND wait_event_type = 'Lock')"
    )
    async with connected(empty) as worker, connected(empty) as owner:
        async with worker.transaction():
            # The migration is the one that PostgreSQL ends.
            await worker.execute("SET LOCAL deadlock_timeout = '1min'")
            await worker.execute("LOCK TABLE messages IN ROW EXCLUSIVE MODE")
            upgrading = asyncio.create_task(upgrade_tables(url, MONTHS_OF_ATTACHMENTS))
            while not await owner.fetchval(waits, empty.name):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
            await worker.execute("LOCK TABLE attachments IN ROW EXCLUSIVE MODE")
        await upgrading
        is_partitioned = "SELECT relkind = 'p' FROM pg_class WHERE oid = 'attachments'::regclass"

        assert await owner.fetchval(is_partitioned)


@pytest.mark.parametrize(("tries", "is_done"), [(3, True), (2, False)])
async def test_an_upgrade_whose_statement_is_cancelled_tries_again_a_few_times(
    empty: Database, tries: int, *, is_done: bool
):
    """A busy server is too slow for a statement; one that is always too slow must not hold its locks again and again."""
    url = empty.url(OWNER)
    await upgrade_tables(url, BEFORE_MONTHS_OF_ATTACHMENTS)
    cancel = (
        "SELECT pid, pg_cancel_backend(pid) FROM pg_stat_activity"
        " WHERE datname = $1 AND application_name = 'migrations' AND wait_event_type = 'Lock' AND pid <> ALL ($2)"
    )
    async with connected(empty) as reader, connected(empty) as owner:
        async with reader.transaction():
            await reader.execute("LOCK TABLE attachments IN ACCESS SHARE MODE")
            upgrading = asyncio.create_task(
                upgrade_tables(url, MONTHS_OF_ATTACHMENTS, tries={"57014": tries}, pause_seconds=0)
            )
            cancelled = list[int]()  # each try has a connection of its own
            while len(cancelled) < 2:
                cancelled += [row["pid"] for row in await owner.fetch(cancel, empty.name, cancelled)]
                await asyncio.sleep(0.01)
            if not is_done:
                with pytest.raises(DBAPIError, match="canceling statement"):
                    await upgrading
        if is_done:
            await upgrading
        is_partitioned = "SELECT relkind = 'p' FROM pg_class WHERE oid = 'attachments'::regclass"

        assert await owner.fetchval(is_partitioned) is is_done


async def test_an_attachment_with_a_wrong_clock_stops_no_upgrade(empty: Database):
    """What lies in the future when the first partition of attachments is made lies in that partition."""
    url = empty.url(OWNER)
    await upgrade_tables(url, "20261128_1110")
    async with connected(empty) as owner:
        await owner.execute("SET session_replication_role = replica")
        message_id = await owner.fetchval("SELECT uuidv7($1)", timedelta(days=400))
        await owner.execute(
            "INSERT INTO attachments (id, account_id, message_id, position, filename, content_type, size, content)"
            " VALUES (uuidv7(), uuidv7(), $1, 0, '', 'image/png', 0, '')",
            message_id,
        )

        # No further: its message is made up, which a later migration would find.
        await upgrade_tables(url, MONTHS_OF_ATTACHMENTS)

        assert await owner.fetchval("SELECT message_id FROM attachments_before") == message_id


async def test_rows_that_were_there_tell_what_newer_columns_say(empty: Database):
    """From one revision to the other in one database, for most of what each would take is to come there."""
    await _conversations_that_were_there_tell_whether_they_have_files(empty)
    await _addresses_that_were_confirmed_before_it_was_noted_are_known(empty)


async def _conversations_that_were_there_tell_whether_they_have_files(empty: Database) -> None:
    url = empty.url(OWNER)
    await upgrade_tables(url, "20261129_0051")
    async with connected(empty) as owner:
        account_id = await owner.fetchval(
            "INSERT INTO accounts (id, name) VALUES (uuidv7(), 'x') RETURNING id"
        )
        store_id = await owner.fetchval(
            "INSERT INTO integrations (id, account_id, region, home_country, seller_id, name, name_key)"
            " VALUES (uuidv7(), $1, 'eu', 'DE', 'A1', 'x', 'x') RETURNING id",
            account_id,
        )
        conversations = []
        # The newest message of the second one came with none.
        for files in ([0], [2, 0], []):
            conversation_id = await owner.fetchval(
                "INSERT INTO conversations (id, account_id, integration_id, message_count, last_message_at, status, kind)"
                " VALUES (uuidv7(), $1, $2, 1, now(), 'open', 'buyer_message') RETURNING id",
                account_id,
                store_id,
            )
            conversations.append(conversation_id)
            for count in files:
                await owner.execute(
                    "INSERT INTO messages (id, account_id, integration_id, conversation_id, accepted_mail_id, raw_key, kind,"
                    " from_amazon_domain, truncated, received_at, body_text, size, attachment_count)"
                    " VALUES (uuidv7(), $1, $2, $3, uuidv7(), '', 'buyer_message', true, false, now(), '', 1, $4)",
                    account_id,
                    store_id,
                    conversation_id,
                    count,
                )

        await upgrade_tables(url, "20261129_0061")

        found = await owner.fetch("SELECT id FROM conversations WHERE has_files")
        assert [row["id"] for row in found] == conversations[1:2]


async def _addresses_that_were_confirmed_before_it_was_noted_are_known(empty: Database) -> None:
    """By Amazon's own mail alone: a stranger may send one that looks like it."""
    url = empty.url(OWNER)
    await upgrade_tables(url, "20261129_0320")
    async with connected(empty) as owner:
        account_id = await owner.fetchval(
            "INSERT INTO accounts (id, name) VALUES (uuidv7(), 'x') RETURNING id"
        )
        stores = {}
        for name, kind, is_amazons in (
            ("confirmed", "verification", True),
            ("by a stranger", "verification", False),
            ("other mail", "other", True),
        ):
            stores[name] = await owner.fetchval(
                "INSERT INTO integrations (id, account_id, region, home_country, seller_id, name, name_key)"
                " VALUES (uuidv7(), $1, 'eu', 'DE', $2, $2, $2) RETURNING id",
                account_id,
                name,
            )
            await owner.execute("SET session_replication_role = replica")
            await owner.execute(
                "INSERT INTO messages (id, account_id, integration_id, conversation_id, accepted_mail_id, raw_key, kind, from_amazon_domain,"
                " truncated, received_at, body_text, size, attachment_count)"
                " VALUES (uuidv7(), $1, $2, uuidv7(), uuidv7(), '', $3, $4, false, '2026-11-01', '', 1, 0)",
                account_id,
                stores[name],
                kind,
                is_amazons,
            )
            await owner.execute("RESET session_replication_role")
        await owner.execute("UPDATE integrations SET health_due_at = NULL")

        await upgrade_tables(url, "20261129_0330")

        known = "SELECT id FROM integrations WHERE verification_mail_at = '2026-11-01' AND health_due_at IS NOT NULL"
        assert [row["id"] for row in await owner.fetch(known)] == [stores["confirmed"]]
        rest = (
            "SELECT count(*) FROM integrations WHERE account_id = $1"
            " AND verification_mail_at IS NULL AND health_due_at IS NULL"
        )
        assert await owner.fetchval(rest, account_id) == 2
