"""What is wrapped with which key-encryption key, and wrapping all of it anew while everything runs.

Re-wrapping changes no data key: what processes hold opened stays good, and what is sealed stays as it is.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import Update, func, select, text, update

from services.connector.amazon.access import create_amazon
from services.connector.amazon.applications import rotate_client_secret
from services.connector.amazon_credentials.secrets import secret_context
from services.connector.amazon_pauses.service import PauseSwitch
from services.connector.keys.key_uses import DataKeyAges, KeyUse
from shared.crypto.envelope import SealBroken
from shared.crypto.key_ages import KEY_LIFETIME
from shared.crypto.key_provider import KeyNotChangeable, ManagedKeys, require_known
from shared.database import Sessions
from shared.keyring import wrapping_context
from shared.marketplaces import Region
from shared.tables import AccountKey, ApplicationSecret

# A transaction holds so many rows locked, for some milliseconds.
_BATCH: Final = 200
# What key-encryption keys wrap; of client secrets there are a handful.
_WRAPPED: Final = (AccountKey, ApplicationSecret)
# By two indexes, which know only what is not delivered: ten million delivered mails are not looked at.
UNOPENED_MAIL: Final = (
    "SELECT mail_key_id, count(*) AS mails FROM ("
    " SELECT mail_key_id FROM accepted_mail WHERE state = 'accepted'"
    " UNION ALL SELECT mail_key_id FROM accepted_mail WHERE state IN ('resting', 'held')"
    ") AS unopened GROUP BY mail_key_id"
)


_Row = TypeVar("_Row", AccountKey, ApplicationSecret)


async def uses(sessions: Sessions, keys: ManagedKeys) -> list[KeyUse]:
    """Every key of the file, the oldest first, then keys that wrap something but are not in the file."""
    async with sessions.begin() as session:
        counts: Counter[str] = Counter()
        for table in _WRAPPED:
            rows = await session.execute(
                select(table.wrapping_key_id, func.count()).group_by(table.wrapping_key_id)
            )
            counts.update({row.wrapping_key_id: row[1] for row in rows})
    # A key of KMS that was used before is not named by any setting, and is there all the same.
    before = sorted(key_id for key_id in counts if keys.knows(key_id) and key_id not in keys.key_ids)
    there, current = (*before, *keys.key_ids), keys.current_id
    opens = {key_id: await _opens(sessions, keys, key_id) for key_id in there if counts[key_id]}
    missing = sorted(set(counts) - set(there))
    return [
        KeyUse(
            key_id,
            key_id == current,
            key_id in there,
            counts[key_id],
            opens.get(key_id),
            keys.made_at(key_id),
            keys.is_in_kms(key_id),
        )
        for key_id in (*there, *missing)
    ]


async def _opens(sessions: Sessions, keys: ManagedKeys, key_id: str) -> bool:
    """Whether the file's key of this id is the one that wraps what the database names it for: every file's first key is called k1."""
    async with sessions.begin() as session:
        found: list[AccountKey | ApplicationSecret | None] = [
            await session.scalar(
                select(AccountKey)
                .where(AccountKey.wrapping_key_id == key_id)
                .order_by(AccountKey.id.desc())
                .limit(1)
            ),
            await session.scalar(
                select(ApplicationSecret)
                .where(ApplicationSecret.wrapping_key_id == key_id)
                .order_by(ApplicationSecret.id.desc())
                .limit(1)
            ),
        ]
    try:
        for row in found:
            if row is not None:
                await keys.unwrap(key_id, row.wrapped, _context(row))
    except SealBroken:
        return False
    return True


async def data_key_ages(sessions: Sessions, now: datetime) -> DataKeyAges:
    """How old the data keys are that seal at present. Look-up keys are kept for the life of their account."""
    overdue = AccountKey.created_at <= now - KEY_LIFETIME
    statement = select(func.count(), func.count().filter(overdue), func.min(AccountKey.created_at)).where(
        AccountKey.purpose == "seal", AccountKey.retired_at.is_(None)
    )
    async with sessions.begin() as session:
        count, late, oldest = (await session.execute(statement)).one()
    return DataKeyAges(count, late, oldest)


async def unopened_mail(sessions: Sessions) -> dict[str, int]:
    """How many accepted mails no worker has opened yet, by the mail key that they are sealed to."""
    async with sessions.begin() as session:
        rows = await session.execute(text(UNOPENED_MAIL))
        return {row.mail_key_id: row.mails for row in rows}


async def rewrap(
    sessions: Sessions, keys: ManagedKeys, on_progress: Callable[[int, int], None], *, batch: int = _BATCH
) -> int:
    """Wrap with the current key what other keys wrap, and return how many. `on_progress` is called with how many are done, of how many.

    After an interruption the next run continues where it was. Raises SealBroken if a key that is needed is not in the file; what was done until
    then stays done.
    """
    current, done = keys.current_id, 0
    async with sessions.begin() as session:
        total = 0
        for table in _WRAPPED:
            statement = select(func.count()).where(table.wrapping_key_id != current)
            total += await session.scalar(statement) or 0

    def count(rows: int) -> None:
        nonlocal done
        done += rows
        on_progress(done, max(total, done))

    await _rewrap_table(sessions, keys, AccountKey, count, batch)
    await _rewrap_table(sessions, keys, ApplicationSecret, count, batch)
    return done


async def _rewrap_table(
    sessions: Sessions, keys: ManagedKeys, table: type[_Row], count: Callable[[int], None], batch: int
) -> None:
    current, after = keys.current_id, UUID(int=0)
    while True:
        # In the order of their ids, so that each row is looked at once.
        statement = select(table).where(table.wrapping_key_id != current, table.id > after)
        async with sessions.begin() as session:
            rows = (await session.scalars(statement.order_by(table.id).limit(batch))).all()
        if not rows:
            return
        after = rows[-1].id
        # The provider may be far away: nothing is locked meanwhile.
        changes = [await _wrap_anew(row, keys) for row in rows]
        async with sessions.begin() as session:
            for change in changes:
                await session.execute(change.statement)
            for key_id in {change.wrapping_key_id for change in changes}:
                require_known(keys, key_id)
        count(len(rows))


async def retire(sessions: Sessions, keys: ManagedKeys, key_id: str) -> None:
    """Take a key that wraps nothing any more out of the file. Raises KeyNotChangeable, KeyFileUnusable."""
    async with sessions.begin() as session:
        # Waits for accounts that are just being made: their keys may be wrapped already, and not be seen yet.
        await session.execute(text("LOCK TABLE account_keys, application_secrets IN SHARE MODE"))
        for table in _WRAPPED:
            if await session.scalar(select(table.id).where(table.wrapping_key_id == key_id).limit(1)):
                raise KeyNotChangeable(f"{key_id} still wraps something. Run `keys rewrap` first.")
        keys.remove(key_id)


async def ask_for_client_secret(
    sessions: Sessions, client_id: str, client_secret: SecretStr, *, amazon_base_url: str | None
) -> None:
    """Amazon sends a new one to the application's queue. Raises what `rotate_client_secret` raises, and AmazonPaused."""
    amazon = create_amazon(
        client_id,
        client_secret,
        amazon_base_url=amazon_base_url,
        switch=PauseSwitch(sessions, client_id),
    )
    try:
        await rotate_client_secret(amazon, Region.EU)
    finally:
        await amazon.close()


@dataclass(frozen=True, slots=True)
class _Rewrapped:
    wrapping_key_id: str
    statement: Update


async def _wrap_anew(row: AccountKey | ApplicationSecret, keys: ManagedKeys) -> _Rewrapped:
    """The change of a row, unless somebody else has wrapped it anew meanwhile."""
    context = _context(row)
    plain = await keys.unwrap(row.wrapping_key_id, row.wrapped, context)
    wrapping_key_id, wrapped = await keys.wrap(plain, context)
    table = type(row)
    statement = (
        update(table)
        .where(table.id == row.id, table.wrapped == row.wrapped)
        .values(wrapping_key_id=wrapping_key_id, wrapped=wrapped)
    )
    return _Rewrapped(wrapping_key_id, statement)


def _context(row: AccountKey | ApplicationSecret) -> bytes:
    if isinstance(row, AccountKey):
        return wrapping_context(row.account_id, row.id, row.purpose)
    return secret_context(row.id, row.client_id)
