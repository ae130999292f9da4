"""Changes the data keys of accounts from the first step to the last; `data_keys` has the steps. May be broken off and run again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import text

from services.connector.keys import data_keys
from services.connector.keys.resealing import Pass, Resealing, not_allowed
from shared.blobs import BlobStore
from shared.crypto.key_provider import KeyNotChangeable, KeyProvider
from shared.database import Sessions
from shared.keyring import REREAD_SECONDS, Keyring

# A process that has not read its keys again yet seals with the old one so long.
_SETTLED_AFTER: Final = timedelta(seconds=2 * REREAD_SECONDS)
# Every account's keys are opened once in a run, not once a page.
_KEPT_ACCOUNTS: Final = 1_000_000
# Rows that somebody has locked each time are left to the next run.
_MOST_PASSES: Final = 5
_WAIT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Times:
    """How long each state of a key lasts at least."""

    learned_after: timedelta = data_keys.LEARNED_AFTER
    settled_after: timedelta = _SETTLED_AFTER
    removed_after: timedelta = data_keys.REMOVED_AFTER
    wait_seconds: float = _WAIT_SECONDS


@dataclass(slots=True)
class Changed:
    """What a run has done: keys made, accounts that seal with a new one, rows sealed anew, old keys removed and still kept; values that do
    not open, and rows that were locked to the end.
    """

    made: int = 0
    used: int = 0
    resealed: int = 0
    removed: int = 0
    kept: int = 0
    broken: int = 0
    left: int = 0


async def change_data_keys(
    sessions: Sessions,
    provider: KeyProvider,
    blobs: BlobStore,
    *,
    older_than: timedelta,
    rows_per_second: float,
    say: Callable[[str], None],
    times: Times | None = None,
) -> Changed:
    """New data keys for the accounts whose key is at least so old; everything sealed anew; what nothing needs any more removed.

    Raises KeyNotChangeable, SealBroken, and what the key provider raises.
    """
    times = times or Times()
    async with _alone(sessions):
        tables = await not_allowed(sessions)
        if tables:
            raise KeyNotChangeable(
                f"This user of the database may not write {', '.join(tables)}. Set REPLYCO_DATABASE_URL to the one that "
                "`python -m migrations upgrade` is run with."
            )
        changed = Changed()
        keyring = Keyring(provider)
        changed.made = await data_keys.make(
            sessions,
            keyring,
            await data_keys.due(sessions, older_than),
            lambda done, total: say(f"{done} of {total} data keys are made."),
        )
        changed.used = await _use(sessions, times, say)
        opened = Keyring(provider, kept_accounts=_KEPT_ACCOUNTS)
        stored: set[str] = set()
        last, old = await _reseal(
            sessions,
            lambda replaced: Resealing(
                sessions, opened, blobs, replaced, rows_per_second=rows_per_second, stored=stored
            ),
            changed,
            times,
            say,
        )
        changed.broken, changed.left = last.broken, last.left
        changed.removed, changed.kept = await data_keys.settle(
            sessions, old, last.seen, removed_after=times.removed_after
        )
        return changed


async def _use(sessions: Sessions, times: Times, say: Callable[[str], None]) -> int:
    while (rest := await data_keys.seconds_to_learn(sessions, times.learned_after)) is not None and rest > 0:
        say(f"In {rest:.0f} seconds every process knows the new keys; then they seal.")
        await asyncio.sleep(min(rest, times.wait_seconds))
    return await data_keys.use_learned(sessions, times.learned_after)


async def _reseal(
    sessions: Sessions,
    resealing: Callable[[data_keys.Replaced], Resealing],
    changed: Changed,
    times: Times,
    say: Callable[[str], None],
) -> tuple[Pass, data_keys.Replaced]:
    """Passes until one finds nothing that it can seal anew; the last one, and the keys that it looked for."""
    while (rest := (await data_keys.replaced(sessions)).seconds_until(times.settled_after)) > 0:
        say(f"In {rest:.0f} seconds no process seals with an old key any more.")
        await asyncio.sleep(min(rest, times.wait_seconds))

    def on_progress(table: str, found: Pass) -> None:
        say(f"{table}: {found.looked_at} rows looked at, {changed.resealed + found.resealed} sealed anew.")

    passes = 0
    while True:
        old = await data_keys.replaced(sessions)
        if not old.accounts:
            return Pass(), old
        found = await resealing(old).run(on_progress)
        passes += 1
        changed.resealed += found.resealed
        if passes == _MOST_PASSES or not (found.resealed or found.left):
            return found, old
        if not found.resealed:
            say(f"{found.left} rows are in use by others just now.")
            await asyncio.sleep(times.wait_seconds)


@asynccontextmanager
async def _alone(sessions: Sessions) -> AsyncIterator[None]:
    """Two runs at once would make keys twice. The lock ends with the connection. Raises KeyNotChangeable."""
    async with sessions.reading() as connection:
        lock = "(hashtextextended('replyco data keys', 0))"
        if not await connection.scalar(text(f"SELECT pg_try_advisory_lock{lock}")):
            raise KeyNotChangeable("Data keys are being changed by another run just now.")
        try:
            yield
        finally:
            await connection.execute(text(f"SELECT pg_advisory_unlock{lock}"))
