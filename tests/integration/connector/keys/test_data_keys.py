"""Accounts get new data keys while everything runs: everything opens, and an old key goes only when nothing needs it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import override

from deploy.demo.postgres import CONNECTOR, OWNER
from services.connector.keys.data_key_service import Changed, Times, change_data_keys
from shared.blobs import Blob, FolderBlobs
from shared.crypto.envelope import AccountKeys, SealBroken, Sealed
from shared.crypto.key_provider import KeyFile, KeyNotChangeable
from shared.database import Sessions
from shared.driver import new_id
from shared.keyring import Keyring
from shared.tables import AccountKey, AuditEntry, Base
from shared.tables.sealed import SealedPlace, SealedTable, sealed_tables
from tests.commands import run_here
from tests.conftest import Database
from tests.factories import make_account
from tests.integration.connector.account_closing.filling import fill

AT_ONCE = Times(timedelta(0), timedelta(0), timedelta(days=1), 0.01)
# What a CHECK wants beside a sealed value.
BESIDE: Final[dict[str, dict[str, Any]]] = {"webhooks": {"previous_secret_until": datetime.now(UTC)}}
NOTHING_KEPT = Times(timedelta(0), timedelta(0), timedelta(0), 0.01)


@pytest.fixture
def key_file(tmp_path: Path) -> KeyFile:
    KeyFile.create(tmp_path / "account-keys.json")
    return KeyFile.load(tmp_path / "account-keys.json")


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


async def change(
    sessions: Sessions, key_file: KeyFile, blobs: FolderBlobs, times: Times = AT_ONCE, *, days: int = 0
) -> Changed:
    return await change_data_keys(
        sessions,
        key_file,
        blobs,
        older_than=timedelta(days=days),
        rows_per_second=100_000,
        say=lambda _text: None,
        times=times,
    )


@asynccontextmanager
async def waiting_run(sessions: Sessions, key_file: KeyFile, blobs: FolderBlobs) -> AsyncIterator[None]:
    """A run that has made its keys and waits for an hour until every process knows them; it is broken off in the end."""
    waiting = asyncio.Event()

    def say(told: str) -> None:
        if "every process knows" in told:
            waiting.set()

    run = asyncio.create_task(
        change_data_keys(
            sessions,
            key_file,
            blobs,
            older_than=timedelta(0),
            rows_per_second=1_000,
            say=say,
            times=Times(timedelta(hours=1), timedelta(0), timedelta(days=1), 0.01),
        )
    )
    try:
        await waiting.wait()
        yield
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


async def full_account(sessions: Sessions, key_file: KeyFile, blobs: FolderBlobs) -> UUID:
    """An account with a row in each table, in which every sealed column has a value."""
    keyring = Keyring(key_file)
    async with sessions.begin() as session:
        account = await make_account(session, keyring)
        await fill(session, account.id, blobs)
    keys = await keyring.of(sessions, account.id)
    async with sessions.begin() as session:
        for table in sealed_tables():
            row = await row_of(session, table, account.id)
            # What a copy is bound to is named by a column that may be empty.
            for place in table.places:
                if row[place.row_id] is None:
                    await put(session, table, account.id, {place.row_id: new_id()})
            row = await row_of(session, table, account.id)
            await put(
                session,
                table,
                account.id,
                {
                    place.column: keys.seal(place.of(row), words(table, place)).ciphertext
                    for place in table.places
                    if place != table.blob
                }
                | BESIDE.get(table.name, {}),
            )
            if table.blob is not None:
                blob = await blobs.put(
                    new_id(), keys.seal(table.blob.of(row), words(table, table.blob)).ciphertext
                )
                await put(session, table, account.id, {"blob_key": blob.key, "blob_digest": blob.digest})
    return account.id


def words(table: SealedTable, place: SealedPlace) -> bytes:
    return f"{table.name} {place.column}".encode()


async def row_of(session: AsyncSession, table: SealedTable, account_id: UUID) -> Mapping[str, Any]:
    columns = Base.metadata.tables[table.name]
    found = await session.execute(select(columns).where(columns.c.account_id == account_id))
    return dict(found.mappings().one())


async def put(session: AsyncSession, table: SealedTable, account_id: UUID, values: dict[str, Any]) -> None:
    if values:
        sets = ", ".join(f"{name} = :{name}" for name in values)
        await session.execute(
            text(f"UPDATE {table.name} SET {sets} WHERE account_id = :account_id"),
            values | {"account_id": account_id},
        )


async def opened(
    sessions: Sessions, keys: AccountKeys, account_id: UUID, blobs: FolderBlobs
) -> dict[bytes, bytes]:
    """All that is sealed, by what it should be. Raises SealBroken."""
    found: dict[bytes, bytes] = {}
    for table in sealed_tables():
        async with sessions.begin() as session:
            row = await row_of(session, table, account_id)
        for place in table.places:
            sealed = (
                Sealed(await blobs.get(Blob(row["blob_key"], row["blob_digest"])))
                if place == table.blob
                else row[place.column]
            )
            found[words(table, place)] = keys.open(place.of(row), sealed)
    return found


def only_current(keys: AccountKeys) -> AccountKeys:
    return AccountKeys(
        keys.account_id, keys.current_id, {keys.current_id: keys.data_keys[keys.current_id]}, keys.lookup_key
    )


async def test_every_sealed_column_and_file_is_sealed_anew_and_then_the_old_key_goes(
    owner_sessions: Sessions, key_file: KeyFile, blobs: FolderBlobs
):
    account_id = await full_account(owner_sessions, key_file, blobs)
    before = await Keyring(key_file).of(owner_sessions, account_id)

    changed = await change(owner_sessions, key_file, blobs)

    after = await Keyring(key_file).of(owner_sessions, account_id)
    assert (changed.made, changed.used, changed.kept, changed.removed) == (1, 1, 1, 0)
    assert (changed.broken, changed.left) == (0, 0)
    # Two tables have a file of their own beside their row.
    assert changed.resealed == len(sealed_tables()) + 2
    assert after.current_id != before.current_id
    assert set(after.data_keys) == {before.current_id, after.current_id}
    assert after.lookup_key == before.lookup_key
    found = await opened(owner_sessions, only_current(after), account_id, blobs)
    assert all(expected == value for expected, value in found.items())

    # A day later, and not before: who was frozen may still write what they had sealed.
    assert (await change(owner_sessions, key_file, blobs, days=1)).kept == 1
    removing = await change(owner_sessions, key_file, blobs, NOTHING_KEPT, days=1)
    assert (removing.made, removing.resealed, removing.removed, removing.kept) == (0, 0, 1, 0)
    assert set((await Keyring(key_file).of(owner_sessions, account_id)).data_keys) == {after.current_id}
    async with owner_sessions.begin() as session:
        entries = await session.scalars(
            select(AuditEntry).where(AuditEntry.account_id == account_id).order_by(AuditEntry.id)
        )
        told = [
            (entry.action, entry.fields["key"]) for entry in entries if entry.action.startswith("data_key")
        ]
    assert told == [
        ("data_key_changed", str(after.current_id)),
        ("data_key_removed", str(before.current_id)),
    ]


async def test_a_file_that_a_machine_with_a_clock_ahead_has_stored_is_sealed_anew_too(
    owner_sessions: Sessions, key_file: KeyFile, blobs: FolderBlobs
):
    account_id = await full_account(owner_sessions, key_file, blobs)
    keys = await Keyring(key_file).of(owner_sessions, account_id)
    async with owner_sessions.begin() as session:
        for table in sealed_tables():
            if table.blob is None:
                continue
            # A UUIDv7 begins with its moment in milliseconds.
            next_month = UUID(int=new_id().int + (timedelta(days=30) // timedelta(milliseconds=1) << 80))
            row = await row_of(session, table, account_id)
            sealed = keys.seal(table.blob.of(row), words(table, table.blob))
            blob = await blobs.put(next_month, sealed.ciphertext)
            await put(session, table, account_id, {"blob_key": blob.key, "blob_digest": blob.digest})

    await change(owner_sessions, key_file, blobs)
    removing = await change(owner_sessions, key_file, blobs, NOTHING_KEPT, days=1)

    assert (removing.removed, removing.kept, removing.broken) == (1, 0, 0)
    after = await Keyring(key_file).of(owner_sessions, account_id)
    found = await opened(owner_sessions, after, account_id, blobs)
    assert all(expected == value for expected, value in found.items())


async def test_a_process_knows_a_new_key_before_anything_is_sealed_with_it(
    owner_sessions: Sessions, key_file: KeyFile, blobs: FolderBlobs
):
    account_id = await full_account(owner_sessions, key_file, blobs)
    running = Keyring(key_file, reread_seconds=0)
    before = await running.of(owner_sessions, account_id)

    async with waiting_run(owner_sessions, key_file, blobs):
        meanwhile = await running.of(owner_sessions, account_id)
        with pytest.raises(KeyNotChangeable, match="another run"):
            await change(owner_sessions, key_file, blobs)

    assert meanwhile.current_id == before.current_id
    assert len(meanwhile.data_keys) == 2
    # The next run goes on with the key that is there.
    assert (await change(owner_sessions, key_file, blobs)).made == 0
    after = await running.of(owner_sessions, account_id)
    assert set(after.data_keys) == set(meanwhile.data_keys)
    assert after.current_id != before.current_id


async def test_keys_are_asked_of_the_provider_once_however_often_they_are_read(
    sessions: Sessions, key_file: KeyFile, tmp_path: Path
):
    asked: list[str] = []

    class Counting(KeyFile):
        @override
        async def unwrap(self, wrapping_key_id: str, wrapped: bytes, context: bytes) -> bytes:
            asked.append(wrapping_key_id)
            return await super().unwrap(wrapping_key_id, wrapped, context)

    keyring = Keyring(Counting(tmp_path / "account-keys.json"), reread_seconds=0)
    async with sessions.begin() as session:
        account = await make_account(session, Keyring(key_file))
    first = await keyring.of(sessions, account.id)

    assert await keyring.of(sessions, account.id) is first
    assert asked == ["k1", "k1"]


async def test_what_somebody_has_locked_is_left_and_its_key_stays(
    owner_sessions: Sessions, database: Database, key_file: KeyFile, blobs: FolderBlobs
):
    account_id = await full_account(owner_sessions, key_file, blobs)
    other = await asyncpg.connect(database.url(OWNER))
    try:
        async with other.transaction():
            await other.execute("SELECT FROM webhooks WHERE account_id = $1 FOR UPDATE", account_id)
            held = await change(owner_sessions, key_file, blobs, NOTHING_KEPT)
    finally:
        await other.close()
    assert (held.left, held.removed, held.kept) == (1, 0, 1)

    freed = await change(owner_sessions, key_file, blobs, NOTHING_KEPT, days=1)

    assert (freed.left, freed.resealed) == (0, 1)
    keys = await Keyring(key_file).of(owner_sessions, account_id)
    await opened(owner_sessions, only_current(keys), account_id, blobs)


async def test_what_does_not_open_stays_as_it_is_and_its_key_with_it(
    owner_sessions: Sessions, key_file: KeyFile, blobs: FolderBlobs
):
    account_id = await full_account(owner_sessions, key_file, blobs)
    [webhooks] = [table for table in sealed_tables() if table.name == "webhooks"]
    async with owner_sessions.begin() as session:
        secret = (await row_of(session, webhooks, account_id))["secret"].ciphertext
        broken = secret[:-1] + bytes([secret[-1] ^ 1])
        await put(session, webhooks, account_id, {"secret": broken})

    for _ in range(2):
        changed = await change(owner_sessions, key_file, blobs, NOTHING_KEPT, days=1)
        if not changed.made:
            changed = await change(owner_sessions, key_file, blobs, NOTHING_KEPT)
        assert changed.broken == 1
        assert changed.kept >= 1

    async with owner_sessions.begin() as session:
        row = await row_of(session, webhooks, account_id)
    keys = await Keyring(key_file).of(owner_sessions, account_id)
    assert row["secret"].ciphertext == broken
    assert UUID(bytes=broken[1:17]) in keys.data_keys
    with pytest.raises(SealBroken):
        keys.open(webhooks.places[0].of(row), row["secret"])


async def test_one_account_whose_keys_do_not_open_holds_up_no_other(
    owner_sessions: Sessions, key_file: KeyFile, blobs: FolderBlobs
):
    lost, whole = [await full_account(owner_sessions, key_file, blobs) for _ in range(2)]
    # Old keys of both are there; then one key that still seals is damaged.
    async with owner_sessions.begin() as session:
        await session.execute(text("UPDATE account_keys SET created_at = now() - interval '400 days'"))
    async with waiting_run(owner_sessions, key_file, blobs):
        pass
    async with owner_sessions.begin() as session:
        await session.execute(
            text(
                "UPDATE account_keys SET wrapped = wrapped || 'x' WHERE account_id = :id AND purpose = 'lookup'"
            ),
            {"id": lost},
        )

    changed = await change(owner_sessions, key_file, blobs, NOTHING_KEPT, days=1)

    assert changed.broken > 0
    keys = await Keyring(key_file).of(owner_sessions, whole)
    await opened(owner_sessions, only_current(keys), whole, blobs)
    async with owner_sessions.begin() as session:
        left = await session.scalars(select(AccountKey.id).where(AccountKey.account_id == lost))
        assert len(left.all()) == 3


async def test_an_account_with_a_young_key_is_passed_over(
    owner_sessions: Sessions, key_file: KeyFile, blobs: FolderBlobs
):
    keyring = Keyring(key_file)
    async with owner_sessions.begin() as session:
        old, young = await make_account(session, keyring), await make_account(session, keyring)
        await session.execute(
            text("UPDATE account_keys SET created_at = now() - interval '400 days' WHERE account_id = :id"),
            {"id": old.id},
        )

    changed = await change(owner_sessions, key_file, blobs, days=305)

    assert (changed.made, changed.used) == (1, 1)
    async with owner_sessions.begin() as session:
        keys = await session.scalars(select(AccountKey).where(AccountKey.account_id == young.id))
        assert len(keys.all()) == 2


async def test_the_command_needs_the_user_of_the_migrations_and_says_so(
    database: Database, key_file: KeyFile, tmp_path: Path
):
    environment = {
        "REPLYCO_KEY_FILE": str(tmp_path / "account-keys.json"),
        "REPLYCO_BLOB_URL": f"file://{tmp_path}/blobs",
    }

    def run(role: str) -> Any:
        return run_here(
            environment | {"REPLYCO_DATABASE_URL": database.url(role)}, "keys", "rotate-data-keys"
        )

    code, told = await run(CONNECTOR)
    owner_code, owner_told = await run(OWNER)

    assert (code, "messages" in told, "migrations upgrade" in told) == (1, True, True)
    assert owner_code == 0
    assert (
        "0 made, 0 in use from now on. 0 rows are sealed anew. Old data keys: 0 removed, 0 kept."
        in owner_told
    )
