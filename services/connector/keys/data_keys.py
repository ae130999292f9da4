"""New data keys for accounts, while everything runs.

A key goes through four states, all of them in its row, so that whoever is broken off goes on where they were: made, and only opened with
(`retired_at` is set, and it is newer than the one that seals); sealing; only opened with again; unused, and after a day removed. Processes
read the keys of an account again after `REREAD_SECONDS`, so each knows a key long before anything is sealed with it. The look-up key stays
(docs/adr/0028).
"""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text, update

from services.connector.accounts.audit import system_audit_entry
from shared.database import Sessions
from shared.keyring import REREAD_SECONDS, Keyring
from shared.tables import AccountKey

# Five times what a process takes to read an account's keys again: a request or batch that has begun just before then ends in it.
LEARNED_AFTER: Final = timedelta(seconds=5 * REREAD_SECONDS)
# Somebody whose process was frozen may still hold an old key and write what they have sealed with it.
REMOVED_AFTER: Final = timedelta(days=1)
# A transaction holds the keys of so many accounts locked.
_BATCH: Final = 20

_DUE: Final = text("""
    SELECT account_id FROM account_keys AS sealing
    WHERE purpose = 'seal' AND retired_at IS NULL AND created_at <= now() - CAST(:older_than AS interval) AND NOT EXISTS (
        SELECT FROM account_keys AS newer WHERE newer.account_id = sealing.account_id AND newer.purpose = 'seal'
        AND newer.created_at > sealing.created_at)
    ORDER BY account_id""")
_STILL_THERE: Final = text("""
    SELECT account_id, now() AS now FROM account_keys
    WHERE account_id = ANY(CAST(:ids AS uuid[])) AND purpose = 'seal' AND retired_at IS NULL ORDER BY account_id FOR UPDATE""")
_NOT_IN_USE_YET: Final = """
    FROM account_keys AS newer JOIN account_keys AS sealing ON sealing.account_id = newer.account_id AND sealing.purpose = 'seal'
        AND sealing.retired_at IS NULL
    WHERE newer.purpose = 'seal' AND newer.retired_at IS NOT NULL AND newer.created_at > sealing.created_at"""
_TO_LEARN: Final = text(
    "SELECT count(*) AS keys, max(CAST(:learned_after AS interval) - (now() - newer.retired_at)) AS rest"
    + _NOT_IN_USE_YET
)
_LEARNED: Final = text(
    "SELECT DISTINCT ON (newer.account_id) newer.account_id, newer.id AS new_id, sealing.id AS old_id"
    + _NOT_IN_USE_YET
    + " AND newer.retired_at <= now() - CAST(:learned_after AS interval)"
    " ORDER BY newer.account_id, newer.created_at DESC, newer.id DESC LIMIT :batch"
)
_REPLACED: Final = text("""
    SELECT old.id, old.account_id, old.retired_at, now() AS now FROM account_keys AS old
    JOIN account_keys AS sealing ON sealing.account_id = old.account_id AND sealing.purpose = 'seal' AND sealing.retired_at IS NULL
    WHERE old.purpose = 'seal' AND old.retired_at IS NOT NULL AND old.created_at < sealing.created_at""")
_REMOVE: Final = text("""
    DELETE FROM account_keys WHERE id = ANY(CAST(:ids AS uuid[])) AND purpose = 'seal' AND retired_at IS NOT NULL
    AND unused_since <= now() - CAST(:removed_after AS interval) RETURNING id, account_id""")
_UNUSED: Final = text(
    "UPDATE account_keys SET unused_since = now() WHERE id = ANY(CAST(:ids AS uuid[])) AND unused_since IS NULL"
)
_MET: Final = text("UPDATE account_keys SET unused_since = NULL WHERE id = ANY(CAST(:ids AS uuid[]))")


async def due(sessions: Sessions, older_than: timedelta) -> list[UUID]:
    """The accounts whose data key is at least so old, and which have no newer one yet."""
    async with sessions.begin() as session:
        return list(await session.scalars(_DUE, {"older_than": older_than}))


async def make(
    sessions: Sessions, keyring: Keyring, account_ids: list[UUID], on_progress: Callable[[int, int], None]
) -> int:
    """Make a data key for each of these accounts, with which nothing is sealed yet. Raises what the key provider raises."""
    made = 0
    for start in range(0, len(account_ids), _BATCH):
        ids = account_ids[start : start + _BATCH]
        # The provider may be far away: nothing is locked meanwhile.
        keys = await asyncio.gather(*(keyring.new_key(account_id, "seal") for account_id in ids))
        async with sessions.begin() as session:
            # An account that has been erased meanwhile has no keys, and gets none.
            there = {row.account_id: row.now for row in await session.execute(_STILL_THERE, {"ids": ids})}
            wanted = [key for key in keys if key.account_id in there]
            for key in wanted:
                key.created_at = key.retired_at = there[key.account_id]
            await keyring.add(session, wanted)
        made += len(wanted)
        on_progress(start + len(ids), len(account_ids))
    return made


async def seconds_to_learn(sessions: Sessions, learned_after: timedelta) -> float | None:
    """How long until every process knows all keys that are made and not in use yet; None if there are none."""
    async with sessions.begin() as session:
        row = (await session.execute(_TO_LEARN, {"learned_after": learned_after})).one()
    return max(row.rest.total_seconds(), 0.0) if row.keys else None


async def use_learned(sessions: Sessions, learned_after: timedelta, *, batch: int = _BATCH) -> int:
    """Seal with the keys that every process knows by now, and return for how many accounts."""
    changed = 0
    while True:
        async with sessions.begin() as session:
            rows = (await session.execute(_LEARNED, {"learned_after": learned_after, "batch": batch})).all()
            for row in rows:
                await session.execute(
                    update(AccountKey).where(AccountKey.id == row.old_id).values(retired_at=text("now()"))
                )
                await session.execute(
                    update(AccountKey).where(AccountKey.id == row.new_id).values(retired_at=None)
                )
                session.add(
                    system_audit_entry(
                        row.account_id, "data_key_changed", row.account_id, key=str(row.new_id)
                    )
                )
        changed += len(rows)
        if len(rows) < batch:
            return changed


class Replaced:
    """The data keys that nothing new is sealed with: by the bytes that name a key in a ciphertext, whose it is; and since when, by account."""

    def __init__(self, rows: Collection[tuple[UUID, UUID, datetime]], at: datetime | None) -> None:
        self.accounts = {key_id.bytes: account_id for key_id, account_id, _ in rows}
        self.since: dict[UUID, datetime] = {}
        for _, account_id, retired_at in rows:
            self.since[account_id] = max(retired_at, self.since.get(account_id, retired_at))
        # As of when PostgreSQL was asked.
        self._at = at

    def seconds_until(self, age: timedelta) -> float:
        """How long until the one that was replaced last has been so for `age`."""
        if self._at is None:
            return 0.0
        return max((max(self.since.values()) + age - self._at).total_seconds(), 0.0)


async def replaced(sessions: Sessions) -> Replaced:
    """All data keys that are older than the one that seals."""
    async with sessions.begin() as session:
        rows = (await session.execute(_REPLACED)).all()
    return Replaced([(row.id, row.account_id, row.retired_at) for row in rows], rows[0].now if rows else None)


async def settle(
    sessions: Sessions, looked_for: Replaced, seen: Collection[bytes], *, removed_after: timedelta
) -> tuple[int, int]:
    """What follows from a whole look at everything that is sealed, in which only the keys `seen` were met: the others are unused from now on, and
    removed if they already were for `removed_after`. Returns how many were removed and how many old ones are left.
    """
    unused = [UUID(bytes=key_id) for key_id in looked_for.accounts if key_id not in seen]
    removed = 0
    async with sessions.begin() as session:
        await session.execute(_MET, {"ids": [UUID(bytes=key_id) for key_id in seen]})
    for start in range(0, len(unused), _BATCH):
        ids = {"ids": unused[start : start + _BATCH]}
        async with sessions.begin() as session:
            for row in (await session.execute(_REMOVE, ids | {"removed_after": removed_after})).all():
                removed += 1
                session.add(
                    system_audit_entry(row.account_id, "data_key_removed", row.account_id, key=str(row.id))
                )
            await session.execute(_UNUSED, ids)
    return removed, len(looked_for.accounts) - removed
