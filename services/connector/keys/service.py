"""What is wrapped with which key-encryption key, and wrapping all of it anew while everything runs.

Re-wrapping changes no data key: what processes hold opened stays good, and what is sealed stays as it is.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.amazon.access import create_amazon
from services.connector.amazon.applications import rotate_client_secret
from services.connector.amazon_credentials.secrets import secret_context
from shared.crypto.key_provider import KeyFile, KeyNotChangeable
from shared.database import Sessions
from shared.keyring import wrapping_context
from shared.marketplaces import Region
from shared.tables import AcceptedMail, AccountKey, ApplicationSecret, MailState

# A transaction holds so many rows locked, for some milliseconds.
_BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class KeyUse:
    """`wrapped`: how many data keys of accounts, and client secrets, this key-encryption key wraps."""

    key_id: str
    is_current: bool
    is_in_file: bool
    wrapped: int


async def uses(sessions: Sessions, keys: KeyFile) -> list[KeyUse]:
    """Every key of the file, the oldest first, then keys that wrap something but are not in the file."""
    async with sessions.begin() as session:
        counts: Counter[str] = Counter()
        for table in (AccountKey, ApplicationSecret):
            rows = await session.execute(
                select(table.wrapping_key_id, func.count()).group_by(table.wrapping_key_id)
            )
            counts.update({row.wrapping_key_id: row[1] for row in rows})
    in_file, current = keys.key_ids, keys.current_id
    missing = sorted(set(counts) - set(in_file))
    return [
        KeyUse(key_id, key_id == current, key_id in in_file, counts[key_id])
        for key_id in (*in_file, *missing)
    ]


async def unopened_mail(sessions: Sessions) -> dict[str, int]:
    """How many accepted mails no worker has opened yet, by the mail key that they are sealed to."""
    async with sessions.begin() as session:
        rows = await session.execute(
            select(AcceptedMail.mail_key_id, func.count())
            .where(AcceptedMail.state != MailState.DELIVERED.value)
            .group_by(AcceptedMail.mail_key_id)
        )
        return {row.mail_key_id: row[1] for row in rows}


async def rewrap(sessions: Sessions, keys: KeyFile, on_progress: Callable[[int], None]) -> int:
    """Wrap with the current key what another one wraps. How many. Broken off, the next run goes on where it was.

    Raises SealBroken if a key that is needed is not in the file; what was done until then stays done.
    """
    done = 0
    while True:
        async with sessions.begin() as session:
            count = await _rewrap_batch(session, keys)
        if count == 0:
            return done
        done += count
        on_progress(done)


async def retire(sessions: Sessions, keys: KeyFile, key_id: str) -> None:
    """Take a key that wraps nothing any more out of the file. Raises KeyNotChangeable, KeyFileUnusable."""
    async with sessions.begin() as session:
        # Waits for accounts that are just being made: their keys may be wrapped already, and not be seen yet.
        await session.execute(text("LOCK TABLE account_keys, application_secrets IN SHARE MODE"))
        for table in (AccountKey, ApplicationSecret):
            if await session.scalar(select(table.id).where(table.wrapping_key_id == key_id).limit(1)):
                raise KeyNotChangeable(f"{key_id} still wraps something. Run `keys rewrap` first.")
        keys.remove(key_id)


async def ask_for_client_secret(
    client_id: str, client_secret: SecretStr, *, amazon_base_url: str | None
) -> None:
    """Amazon sends a new one to the application's queue. Raises what `rotate_client_secret` raises."""
    amazon = create_amazon(client_id, client_secret, amazon_base_url=amazon_base_url)
    try:
        await rotate_client_secret(amazon, Region.EU)
    finally:
        await amazon.close()


async def _rewrap_batch(session: AsyncSession, keys: KeyFile) -> int:
    """A batch of data keys; client secrets, of which there are a handful, when no data key is left."""
    account_keys = (
        await session.scalars(
            select(AccountKey)
            .where(AccountKey.wrapping_key_id != keys.current_id)
            .limit(_BATCH)
            .with_for_update()
        )
    ).all()
    for row in account_keys:
        await _wrap_anew(row, wrapping_context(row.account_id, row.id, row.purpose), keys)
    if account_keys:
        return len(account_keys)
    secrets = (
        await session.scalars(
            select(ApplicationSecret)
            .where(ApplicationSecret.wrapping_key_id != keys.current_id)
            .limit(_BATCH)
            .with_for_update()
        )
    ).all()
    for secret in secrets:
        await _wrap_anew(secret, secret_context(secret.id, secret.client_id), keys)
    return len(secrets)


async def _wrap_anew(row: AccountKey | ApplicationSecret, context: bytes, keys: KeyFile) -> None:
    plain = await keys.unwrap(row.wrapping_key_id, row.wrapped, context)
    row.wrapping_key_id, row.wrapped = await keys.wrap(plain, context)
