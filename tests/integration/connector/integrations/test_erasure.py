"""Erasing a removed store: as much work for each conversation however many there are, cut off anywhere, and no store waits for another."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from typing_extensions import override

from deploy.demo.postgres import CONNECTOR, OWNER
from services.connector.integrations.erasure import ErasureIncomplete, erase_removed
from shared.blobs import BlobsUnavailable, FolderBlobs
from shared.database import Sessions, create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.keyring import Keyring
from tests.conftest import Database
from tests.factories import make_account
from tests.integration.connector.integrations.erasing import make_removed_store, rows_left, rows_read

NOW = datetime.now(UTC)


class BlobsAway(FolderBlobs):
    """A store of blobs of which one cannot be removed."""

    stubborn: str = ""

    @override
    async def remove(self, key: str) -> None:
        if key == self.stubborn:
            raise BlobsUnavailable
        await super().remove(key)


@pytest.fixture
async def owner(database: Database) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    yield connection
    await connection.close()


@pytest.fixture
def blobs(tmp_path: Path) -> BlobsAway:
    return BlobsAway(tmp_path / "blobs")


@pytest.fixture
async def account_id(sessions: Sessions, keyring: Keyring) -> UUID:
    async with sessions.begin() as session:
        return (await make_account(session, keyring)).id


async def erased(database: Database, blobs: BlobsAway, *, statement_seconds: float = 15) -> int:
    """With a connection of its own: PostgreSQL counts what it has read when it ends."""
    engine = create_engine(
        database.url(CONNECTOR), application_name="tests", statement_seconds=statement_seconds
    )
    try:
        return await erase_removed(create_sessions(engine), blobs, NOW)
    finally:
        await engine.dispose()


@pytest.mark.usefixtures("short_tables")
async def test_each_conversation_costs_the_same_however_many_there_are(
    database: Database, owner: "asyncpg.Connection[asyncpg.Record]", blobs: BlobsAway, account_id: UUID
):
    """Each batch once looked for messages from the first conversation on, though those of the first had gone."""
    read = []
    for conversations in (600, 2400):
        await make_removed_store(owner, account_id, conversations)
        before = await rows_read(owner)
        assert await erased(database, blobs) == 1
        read.append(await rows_read(owner) - before)
        assert await rows_left(owner) == 0

    few, many = read
    assert many < 4 * few * 1.5, read


async def test_it_goes_on_where_it_was_cut_off(
    database: Database, owner: "asyncpg.Connection[asyncpg.Record]", blobs: BlobsAway, account_id: UUID
):
    await make_removed_store(owner, account_id, 1200)
    engine = create_engine(database.url(CONNECTOR), application_name="tests")
    erasing = asyncio.create_task(erase_removed(create_sessions(engine), blobs, NOW))
    while await owner.fetchval("SELECT count(*) FROM conversations") == 1200:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.01)
    erasing.cancel()
    await asyncio.wait([erasing])
    await engine.dispose()
    left = await rows_left(owner)

    assert await erased(database, blobs) == 1

    assert left > 0
    assert await rows_left(owner) == 0


async def test_a_store_whose_blob_cannot_be_removed_holds_up_no_other(
    database: Database, owner: "asyncpg.Connection[asyncpg.Record]", blobs: BlobsAway, account_id: UUID
):
    first = await make_removed_store(owner, account_id, 3)
    blob = await blobs.put(first, b"sealed")
    await owner.execute(
        "UPDATE attachments SET content = NULL, blob_key = $1, blob_digest = $2 WHERE message_id = (SELECT min(id::text)::uuid FROM messages)",
        blob.key,
        blob.digest,
    )
    blobs.stubborn = blob.key
    second = await make_removed_store(owner, account_id, 3)

    with pytest.raises(ErasureIncomplete) as incomplete:
        await erased(database, blobs)

    assert (incomplete.value.erased, incomplete.value.left) == (1, 1)
    left = {row["integration_id"] for row in await owner.fetch("SELECT integration_id FROM conversations")}
    assert (left, second) == ({first}, second)
    blobs.stubborn = ""
    assert await erased(database, blobs) == 1
    assert await rows_left(owner) == 0
    assert await blobs.list_day(blob.key.partition("/")[0], after="", limit=10) == []


async def test_a_store_whose_statement_always_takes_too_long_holds_up_no_other(
    database: Database, owner: "asyncpg.Connection[asyncpg.Record]", blobs: BlobsAway, account_id: UUID
):
    first = await make_removed_store(owner, account_id, 3)
    await make_removed_store(owner, account_id, 3)

    async with owner.transaction():
        # A delete of these waits until its time is over.
        await owner.fetch("SELECT FROM conversations WHERE integration_id = $1 FOR UPDATE", first)
        with pytest.raises(ErasureIncomplete) as incomplete:
            await erased(database, blobs, statement_seconds=1)
        left = await owner.fetch("SELECT DISTINCT integration_id FROM conversations")

    assert (incomplete.value.erased, incomplete.value.left) == (1, 1)
    assert [row["integration_id"] for row in left] == [first]
    assert await erased(database, blobs) == 1
    assert await rows_left(owner) == 0
