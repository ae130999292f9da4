"""The data keys of accounts: made with the account, opened when they are needed, and kept in memory."""

import asyncio
import os
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.crypto.envelope import KEY_BYTES, AccountKeys, SealBroken
from shared.crypto.key_provider import KeyProvider, require_known
from shared.database import Sessions
from shared.driver import new_id
from shared.tables import AccountKey

# Opened keys of at most this many accounts stay in memory (about 500 bytes each).
_KEPT_ACCOUNTS: Final = 10_000
# Then their rows are read again, which takes one SELECT: whoever makes a new data key waits for all processes to know it
# (services/connector/keys/data_keys.py).
REREAD_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Kept:
    keys: AccountKeys
    # The look-up keys, too, by the ids of their rows.
    plain: dict[UUID, bytes]
    read_at: float


class Keyring:
    """Opens data keys through the key provider. A process has one keyring."""

    def __init__(
        self,
        provider: KeyProvider,
        *,
        kept_accounts: int = _KEPT_ACCOUNTS,
        reread_seconds: float = REREAD_SECONDS,
    ) -> None:
        self._provider = provider
        self._kept_accounts = kept_accounts
        self._reread_seconds = reread_seconds
        self._opened: OrderedDict[UUID, _Kept] = OrderedDict()

    async def new_keys(self, account_id: UUID) -> list[AccountKey]:
        """The first keys of a new account, to be stored by `add`. Asked for before a transaction begins: the provider may be far away."""
        return [await self.new_key(account_id, purpose) for purpose in ("seal", "lookup")]

    async def new_key(self, account_id: UUID, purpose: str) -> AccountKey:
        """One more key, to be stored by `add`; asked for before a transaction begins, too."""
        key_id = new_id()
        wrapping_key_id, wrapped = await self._provider.wrap(
            os.urandom(KEY_BYTES), wrapping_context(account_id, key_id, purpose)
        )
        return AccountKey(
            id=key_id,
            account_id=account_id,
            purpose=purpose,
            wrapping_key_id=wrapping_key_id,
            wrapped=wrapped,
        )

    async def add(self, session: AsyncSession, keys: Sequence[AccountKey]) -> None:
        """Store keys in the transaction that makes their account. Raises SealBroken if what wraps them was retired meanwhile."""
        session.add_all(keys)
        await session.flush()
        for key in keys:
            require_known(self._provider, key.wrapping_key_id)

    async def of(self, sessions: Sessions, account_id: UUID) -> AccountKeys:
        """The opened keys of an account. Raises SealBroken if they are missing or wrapped with a key we do not have.

        To be called while no transaction is open: the provider may be a service on another host. So it takes no session. Not to be kept
        longer than one request or one batch takes: keys are changed while processes run.
        """
        kept = self._opened.get(account_id)
        if kept is not None:
            self._opened.move_to_end(account_id)
            if time.monotonic() - kept.read_at < self._reread_seconds:
                return kept.keys
            # Others go on with what is here while one reads.
            kept.read_at, read_before = time.monotonic(), kept.read_at
            try:
                return await self._read(sessions, account_id, kept)
            except BaseException:
                kept.read_at = read_before
                raise
        return await self._read(sessions, account_id, None)

    async def _read(self, sessions: Sessions, account_id: UUID, kept: _Kept | None) -> AccountKeys:
        read_at = time.monotonic()
        async with sessions.begin() as session:
            wrapped = await wrapped_keys(session, account_id)
        known = {} if kept is None else kept.plain
        plain = await self._unwrapped(account_id, wrapped, known)
        keys = _account_keys(account_id, wrapped, plain)
        if kept is not None and keys == kept.keys:
            # Nothing has changed, and what it has prepared stays.
            keys = kept.keys
        self._opened[account_id] = _Kept(keys, plain, read_at)
        self._opened.move_to_end(account_id)
        if len(self._opened) > self._kept_accounts:
            self._opened.popitem(last=False)
        return keys

    async def open(self, account_id: UUID, wrapped: Sequence[AccountKey]) -> AccountKeys:
        """Unwrap the keys of an account. Raises SealBroken."""
        return _account_keys(account_id, wrapped, await self._unwrapped(account_id, wrapped, {}))

    async def _unwrapped(
        self, account_id: UUID, wrapped: Sequence[AccountKey], known: Mapping[UUID, bytes]
    ) -> dict[UUID, bytes]:
        """The keys by the ids of their rows. The provider is asked only for those that are not known."""
        missing = [row for row in wrapped if row.id not in known]
        plain = await asyncio.gather(
            *(
                self._provider.unwrap(
                    row.wrapping_key_id, row.wrapped, wrapping_context(account_id, row.id, row.purpose)
                )
                for row in missing
            )
        )
        opened = {row.id: key for row, key in zip(missing, plain, strict=True)}
        return {row.id: opened[row.id] if row.id in opened else known[row.id] for row in wrapped}


def _account_keys(
    account_id: UUID, wrapped: Sequence[AccountKey], plain: Mapping[UUID, bytes]
) -> AccountKeys:
    data_keys = {row.id: plain[row.id] for row in wrapped if row.purpose == "seal"}
    current = [row.id for row in wrapped if row.purpose == "seal" and row.retired_at is None]
    lookup = [plain[row.id] for row in wrapped if row.purpose == "lookup" and row.retired_at is None]
    if len(current) != 1 or len(lookup) != 1:
        raise SealBroken(table="account_keys", column="wrapped")
    return AccountKeys(account_id, current[0], data_keys, lookup[0])


async def wrapped_keys(session: AsyncSession, account_id: UUID) -> Sequence[AccountKey]:
    """All keys of an account, as they lie in the database."""
    return (await session.scalars(select(AccountKey).where(AccountKey.account_id == account_id))).all()


def wrapping_context(account_id: UUID, key_id: UUID, purpose: str) -> bytes:
    """The context that binds a wrapped data key to its row of account_keys."""
    return b"\0".join((b"account_keys", account_id.bytes, key_id.bytes, purpose.encode()))
