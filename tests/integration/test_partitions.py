"""The months of the growing tables: made ahead, one behind the other, whatever is there already."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from deploy.demo.postgres import OWNER
from shared.driver import asyncpg_dsn
from tests.conftest import Database

NOW = datetime.now(UTC)
FAR = NOW + timedelta(days=200)


@pytest.fixture
async def owner(database: Database) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    yield connection
    await connection.close()


async def months(owner: "asyncpg.Connection[asyncpg.Record]", table: str) -> list[str]:
    rows = await owner.fetch(
        "SELECT partition FROM partition_ranges() WHERE parent = $1 ORDER BY first", table
    )
    return [row["partition"] for row in rows]


async def accept(owner: "asyncpg.Connection[asyncpg.Record]", at: datetime, mails: int = 1) -> None:
    """Whose they are is of no interest here, only that they are somebody's address."""
    await owner.execute("SET session_replication_role = replica")
    address_id = await owner.fetchval(
        "INSERT INTO relay_addresses (id, account_id, integration_id, local_part)"
        " SELECT id, id, id, id FROM uuidv7() id RETURNING id"
    )
    await owner.execute(
        "INSERT INTO accepted_mail (id, account_id, relay_address_id, session_id, peer_address, size, mail_key_id,"
        " content_key, envelope, raw, state) SELECT (left(uuid_at($1)::text, 14) || right(uuidv7()::text, 22))::uuid,"
        " $3, $3, '', '::1', 0, '', '', '', '', 'delivered' FROM generate_series(1, $2)",
        at,
        mails,
        address_id,
    )
    await owner.execute("RESET session_replication_role")


async def test_this_month_and_three_more_are_there(owner: "asyncpg.Connection[asyncpg.Record]"):
    found = await months(owner, "accepted_mail")

    assert len(found) == 4
    assert found[0] == f"accepted_mail_{NOW:%Y%m}"
    assert await owner.fetch("SELECT partitions_missing(now() + interval '89 days')") == []
    assert await owner.fetchval("SELECT ensure_partitions(now())") == 0
    assert await months(owner, "accepted_mail") == found


async def test_two_years_are_as_many_partitions_as_months(owner: "asyncpg.Connection[asyncpg.Record]"):
    """Every look at what is due, and every look-up by address, touches each of them."""
    for month in range(24):
        await owner.execute("SELECT ensure_partitions(now() - $1 * interval '1 month')", month)

    for table in ("accepted_mail", "messages"):
        assert 27 <= len(await months(owner, table)) <= 28


async def test_a_mail_with_a_wrong_clock_moves_into_its_month(owner: "asyncpg.Connection[asyncpg.Record]"):
    await accept(owner, FAR)
    before = await owner.fetchval("SELECT tableoid::regclass::text FROM accepted_mail")

    assert await owner.fetchval("SELECT ensure_partitions($1)", FAR) == 0

    after = await owner.fetchval("SELECT tableoid::regclass::text FROM accepted_mail")
    assert (before, after) == ("accepted_mail_other", f"accepted_mail_{FAR:%Y%m}")


async def test_a_month_of_too_many_stays_where_it_is_and_the_next_ones_are_made(
    owner: "asyncpg.Connection[asyncpg.Record]",
):
    """As after months without a worker: what lies there is found as before."""
    await accept(owner, FAR, mails=1001)

    assert await owner.fetchval("SELECT ensure_partitions($1)", FAR) == 1

    assert await owner.fetchval("SELECT count(*) FROM accepted_mail_other") == 1001
    assert len(await months(owner, "accepted_mail")) == 4 + 3
    assert [row[0] for row in await owner.fetch("SELECT partitions_missing($1)", FAR)] == ["accepted_mail"]


async def test_a_month_that_stays_where_it_is_asks_for_no_lock(
    database: Database, owner: "asyncpg.Connection[asyncpg.Record]"
):
    """Relays write into the default partition for as long as the month lasts, and every minute it is tried again."""
    await accept(owner, FAR, mails=1001)
    await owner.execute("SELECT ensure_partitions($1)", FAR)
    await owner.execute(f"DROP TABLE attachments_{FAR:%Y%m}")
    relay = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    await relay.execute("BEGIN; LOCK TABLE accepted_mail_other IN ROW EXCLUSIVE MODE")

    missing = await owner.fetchval("SELECT ensure_partitions($1)", FAR)

    await relay.close()
    # One that gets no lock leaves all that come after it for the next time.
    assert missing == 1
    assert f"attachments_{FAR:%Y%m}" in await months(owner, "attachments")


async def test_months_begin_behind_the_days_of_an_earlier_version(
    owner: "asyncpg.Connection[asyncpg.Record]",
):
    day = FAR.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    await owner.execute(
        f"CREATE TABLE a_day PARTITION OF accepted_mail FOR VALUES FROM ('{await owner.fetchval('SELECT uuid_at($1)', day)}')"
        f" TO ('{await owner.fetchval('SELECT uuid_at($1)', day + timedelta(days=1))}')"
    )

    assert await owner.fetchval("SELECT ensure_partitions($1)", FAR) == 0

    assert await owner.fetch("SELECT partitions_missing($1)", day + timedelta(hours=1)) == []
    assert await owner.fetch("SELECT partitions_missing($1)", day + timedelta(days=2)) == []


async def test_a_months_raw_mail_is_dropped_as_a_whole(owner: "asyncpg.Connection[asyncpg.Record]"):
    await accept(owner, NOW)
    await accept(owner, FAR)

    await owner.execute(f"DROP TABLE accepted_mail_{NOW:%Y%m}")

    assert await owner.fetchval("SELECT count(*) FROM accepted_mail") == 1
