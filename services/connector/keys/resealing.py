"""What is sealed with an old data key, sealed anew with the account's current one, while everything runs.

One pass goes through each table by its primary key and looks at nothing but the ids of the keys; what is sealed with an old one is read and written
in transactions of a few rows. Rows that somebody else has locked are left for the next pass: nobody waits for us, and no deadlock is possible.
A value that does not open stays as it is, and its key with it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.keys.data_keys import Replaced
from shared.blobs import Blob, BlobStore
from shared.crypto.envelope import AccountKeys, Place, SealBroken, Sealed
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.keyring import Keyring
from shared.tables.sealed import SealedPlace, SealedTable, sealed_tables

# Ids of keys are read by so many rows; whole rows, which may hold a large attachment each, by so few.
_PAGE: Final = 2_000
_BATCH: Final = 25


@dataclass(slots=True)
class Pass:
    """What one look at everything has found. `seen`: old keys that were met, by the bytes of their ids; `left`: rows that were locked;
    `broken`: values that do not open, or whose blob is not there.
    """

    looked_at: int = 0
    resealed: int = 0
    left: int = 0
    broken: int = 0
    seen: set[bytes] = field(default_factory=set)


class Pace:
    """Lets so many rows a second be written, on the average since it began."""

    def __init__(self, rows_per_second: float) -> None:
        self._rows_per_second = rows_per_second
        self._began_at = time.monotonic()
        self._rows = 0

    async def wait(self, rows: int) -> None:
        self._rows += rows
        ahead = self._rows / self._rows_per_second - (time.monotonic() - self._began_at)
        if ahead > 0:
            await asyncio.sleep(ahead)


async def not_allowed(sessions: Sessions) -> list[str]:
    """The tables in which the database's user may not write what is sealed: the connector itself never writes a mail's words."""
    wanted = [
        (table.name, column)
        for table in sealed_tables()
        for column in [place.column for place in table.places] + (["blob_key"] if table.blob else [])
    ]
    async with sessions.begin() as session:
        rows = await session.execute(
            text(
                "SELECT DISTINCT name FROM unnest(CAST(:tables AS text[]), CAST(:columns AS text[])) AS wanted (name, col)"
                " WHERE NOT has_column_privilege(name, col, 'UPDATE')"
            ),
            {"tables": [table for table, _ in wanted], "columns": [column for _, column in wanted]},
        )
        return sorted(row.name for row in rows)


class Resealing:
    """Seals anew what is sealed with the keys `old`. Asks the key provider while no transaction is open."""

    def __init__(
        self,
        sessions: Sessions,
        keyring: Keyring,
        blobs: BlobStore,
        old: Replaced,
        *,
        rows_per_second: float,
        stored: set[str],
    ) -> None:
        """`stored`: the keys of the blobs that this run has stored, to be handed to the next pass."""
        self._sessions = sessions
        self._keyring = keyring
        self._blobs = blobs
        self._old = old
        self._pace = Pace(rows_per_second)
        self._stored = stored
        self._found = Pass()

    async def run(
        self, on_progress: Callable[[str, Pass], None], *, page: int = _PAGE, batch: int = _BATCH
    ) -> Pass:
        """One pass over everything that is sealed. `on_progress` is called with a table's name and what was found until then."""
        found = self._found = Pass()
        for table in sealed_tables():
            async for rows in _pages(self._sessions, table, page):
                found.looked_at += len(rows)
                stale = [row for row in rows if self._is_stale(table, row)]
                for start in range(0, len(stale), batch):
                    some = stale[start : start + batch]
                    await self._reseal_rows(table, some)
                    if table.blob is not None:
                        await self._reseal_blobs(table, table.blob, some)
                    await self._pace.wait(len(some))
                    on_progress(table.name, found)
                on_progress(table.name, found)
        return found

    def _is_stale(self, table: SealedTable, row: Mapping[str, Any]) -> bool:
        """Whether something of a row is sealed with an old key, or its blob may be."""
        met = self._met(table, row)
        self._found.seen.update(met)
        return bool(met) or self._may_be_stale(row)

    def _met(self, table: SealedTable, row: Mapping[str, Any]) -> list[bytes]:
        ids = (row[f"key_of_{place.column}"] for place in table.places)
        return [key_id for key_id in ids if key_id in self._old.accounts]

    def _may_be_stale(self, row: Mapping[str, Any]) -> bool:
        # With which key a blob is sealed, it alone says: its id has the time of whoever stored it, whose clock may have been ahead.
        return (
            row["account_id"] in self._old.since
            and row.get("blob_key") is not None
            and row["blob_key"] not in self._stored
        )

    async def _reseal_rows(self, table: SealedTable, rows: Sequence[Mapping[str, Any]]) -> None:
        met = [row for row in rows if self._met(table, row)]
        keys = await self._keys_of(met)
        stale = [row for row in met if row["account_id"] in keys]
        self._found.broken += len(met) - len(stale)
        async with self._sessions.begin() as session:
            locked = await _lock(session, table, stale)
            self._found.left += len(stale) - len(locked)
            for row in locked:
                changes: dict[str, object] = {}
                for place in table.places:
                    sealed = row[place.column]
                    if sealed is None or sealed[1:17] not in self._old.accounts:
                        continue
                    try:
                        anew = _anew(keys[row["account_id"]], place.of(row), Sealed(sealed))
                    except SealBroken:
                        self._found.broken += 1
                    else:
                        changes[place.column] = anew.ciphertext
                if changes:
                    await _write(session, table, row, changes)
                    self._found.resealed += 1

    async def _reseal_blobs(
        self, table: SealedTable, place: SealedPlace, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """The row names another blob from then on. The old one is waste, which the mail worker sweeps: somebody may just be reading it."""
        stale = [row for row in rows if self._may_be_stale(row)]
        keys = await self._keys_of(stale)
        for row in stale:
            if row["account_id"] not in keys:
                self._keep_all_of(row["account_id"])
                continue
            async with self._sessions.begin() as session:
                named = await _named_blob(session, table, row)
            if named is None:
                continue
            try:
                sealed = Sealed(await self._blobs.get(named))
                if sealed.ciphertext[1:17] not in self._old.accounts:
                    continue
                self._found.seen.add(sealed.ciphertext[1:17])
                anew = _anew(keys[row["account_id"]], place.of(row), sealed)
                stored = await self._blobs.put(new_id(), anew.ciphertext)
            except Expected:
                self._keep_all_of(row["account_id"])
                continue
            async with self._sessions.begin() as session:
                locked = await _lock(session, table, [row])
                if locked and locked[0]["blob_key"] == named.key:
                    self._stored.add(stored.key)
                    changes = {"blob_key": stored.key, "blob_digest": stored.digest}
                    await _write(session, table, row, changes)
                    self._found.resealed += 1
                else:
                    self._found.left += 1

    def _keep_all_of(self, account_id: UUID) -> None:
        """Which key something is sealed with nobody can say, so all of the account's stay."""
        self._found.broken += 1
        self._found.seen.update(key_id for key_id, owner in self._old.accounts.items() if owner == account_id)

    async def _keys_of(self, rows: Sequence[Mapping[str, Any]]) -> dict[UUID, AccountKeys]:
        """Without those of an account that has been erased meanwhile, or of which a key does not open."""
        return {
            account_id: keys
            for account_id in {row["account_id"] for row in rows}
            if (keys := await self._opened(account_id)) is not None
        }

    async def _opened(self, account_id: UUID) -> AccountKeys | None:
        try:
            return await self._keyring.of(self._sessions, account_id)
        except SealBroken:
            return None


def _anew(keys: AccountKeys, place: Place, sealed: Sealed) -> Sealed:
    return keys.seal(place, keys.open(place, sealed))


async def _pages(
    sessions: Sessions, table: SealedTable, limit: int
) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    """All rows of a table, by pages in the order of its key: the key, the account, the key of a blob, and of each sealed value its key's id."""
    ids = [f'substring("{place.column}" from 2 for 16) AS "key_of_{place.column}"' for place in table.places]
    columns = ", ".join(
        [*dict.fromkeys([*table.key, "account_id"]), *(["blob_key"] if table.blob else []), *ids]
    )
    key = ", ".join(table.key)
    beyond = ", ".join(f":k{number}" for number in range(len(table.key)))
    some = f"SELECT {columns} FROM {table.name}"  # noqa: S608 - names of our tables, here and below
    first = text(f"{some} ORDER BY {key} LIMIT :rows")
    further = text(f"{some} WHERE ({key}) > ({beyond}) ORDER BY {key} LIMIT :rows")
    after: dict[str, Any] = {}
    while True:
        async with sessions.begin() as session:
            found = await session.execute(further if after else first, {"rows": limit} | after)
            rows = [dict(row) for row in found.mappings()]
        if rows:
            yield rows
        if len(rows) < limit:
            return
        after = {f"k{number}": rows[-1][column] for number, column in enumerate(table.key)}


async def _named_blob(session: AsyncSession, table: SealedTable, row: Mapping[str, Any]) -> Blob | None:
    found = await session.execute(
        text(
            f"SELECT blob_key, blob_digest FROM {table.name} WHERE {_is_row(table)} AND blob_key IS NOT NULL"  # noqa: S608 - names of our own tables
        ),
        _key(table, row),
    )
    named = found.one_or_none()
    return None if named is None else Blob(named.blob_key, named.blob_digest)


async def _lock(
    session: AsyncSession, table: SealedTable, rows: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The rows as they are now, without those that are gone or that somebody else has locked."""
    names = [*table.key, "account_id", *(place.column for place in table.places)]
    names += [place.row_id for place in table.places] + (["blob_key"] if table.blob else [])
    columns = ", ".join(dict.fromkeys(names))
    statement = text(
        f"SELECT {columns} FROM {table.name} WHERE {_is_row(table)} FOR UPDATE SKIP LOCKED"  # noqa: S608 - names of our own tables
    )
    locked: list[Mapping[str, Any]] = []
    for row in rows:
        locked += [dict(found) for found in (await session.execute(statement, _key(table, row))).mappings()]
    return locked


async def _write(
    session: AsyncSession, table: SealedTable, row: Mapping[str, Any], changes: Mapping[str, object]
) -> None:
    sets = ", ".join(f"{column} = :new_{column}" for column in changes)
    await session.execute(
        text(f"UPDATE {table.name} SET {sets} WHERE {_is_row(table)}"),  # noqa: S608 - names of our own tables
        _key(table, row) | {f"new_{column}": value for column, value in changes.items()},
    )


def _is_row(table: SealedTable) -> str:
    return " AND ".join(f"{column} = :k{number}" for number, column in enumerate(table.key))


def _key(table: SealedTable, row: Mapping[str, Any]) -> dict[str, Any]:
    return {f"k{number}": row[column] for number, column in enumerate(table.key)}
