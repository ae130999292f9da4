"""The data keys of accounts: made with the account, opened when they are needed, and kept in memory."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.crypto.envelope import KEY_BYTES, AccountKeys, SealBroken
from shared.crypto.key_provider import KeyProvider, require_known
from shared.database import Sessions, new_id
from shared.tables import AccountKey

# Opened keys of at most this many accounts stay in memory (about 500 bytes each).
_KEPT_ACCOUNTS: Final = 10_000


class Keyring:
    """Opens data keys through the key provider. A process has one keyring."""

    def __init__(self, provider: KeyProvider, *, kept_accounts: int = _KEPT_ACCOUNTS) -> None:
        self._provider = provider
        self._kept_accounts = kept_accounts
        self._opened: OrderedDict[UUID, AccountKeys] = OrderedDict()

    async def new_keys(self, account_id: UUID) -> list[AccountKey]:
        """The first keys of a new account, to be stored by `add`. Asked for before a transaction begins: the provider may be far away."""
        keys = []
        for purpose in ("seal", "lookup"):
            key_id = new_id()
            wrapping_key_id, wrapped = await self._provider.wrap(
                os.urandom(KEY_BYTES), wrapping_context(account_id, key_id, purpose)
            )
            keys.append(
                AccountKey(
                    id=key_id,
                    account_id=account_id,
                    purpose=purpose,
                    wrapping_key_id=wrapping_key_id,
                    wrapped=wrapped,
                )
            )
        return keys

    async def add(self, session: AsyncSession, keys: Sequence[AccountKey]) -> None:
        """Store keys in the transaction that makes their account. Raises SealBroken if what wraps them was retired meanwhile."""
        session.add_all(keys)
        await session.flush()
        for key in keys:
            require_known(self._provider, key.wrapping_key_id)

    async def of(self, sessions: Sessions, account_id: UUID) -> AccountKeys:
        """The opened keys of an account. Raises SealBroken if they are missing or wrapped with a key we do not have.

        To be called while no transaction is open: the provider may be a service on another host. So it takes no session.
        """
        opened = self._opened.get(account_id)
        if opened is None:
            async with sessions.begin() as session:
                wrapped = await wrapped_keys(session, account_id)
            opened = await self.open(account_id, wrapped)
            self._opened[account_id] = opened
            if len(self._opened) > self._kept_accounts:
                self._opened.popitem(last=False)
        else:
            self._opened.move_to_end(account_id)
        return opened

    async def open(self, account_id: UUID, wrapped: Sequence[AccountKey]) -> AccountKeys:
        """Unwrap the keys of an account. Raises SealBroken."""
        plain = await asyncio.gather(
            *(
                self._provider.unwrap(
                    row.wrapping_key_id, row.wrapped, wrapping_context(account_id, row.id, row.purpose)
                )
                for row in wrapped
            )
        )
        data_keys = {row.id: key for row, key in zip(wrapped, plain, strict=True) if row.purpose == "seal"}
        current = [row.id for row in wrapped if row.purpose == "seal" and row.retired_at is None]
        lookup = [
            key
            for row, key in zip(wrapped, plain, strict=True)
            if row.purpose == "lookup" and row.retired_at is None
        ]
        if len(current) != 1 or len(lookup) != 1:
            raise SealBroken(table="account_keys", column="wrapped")
        return AccountKeys(account_id, current[0], data_keys, lookup[0])


async def wrapped_keys(session: AsyncSession, account_id: UUID) -> Sequence[AccountKey]:
    """All keys of an account, as they lie in the database."""
    return (await session.scalars(select(AccountKey).where(AccountKey.account_id == account_id))).all()


def wrapping_context(account_id: UUID, key_id: UUID, purpose: str) -> bytes:
    """The context that binds a wrapped data key to its row of account_keys."""
    return b"\0".join((b"account_keys", account_id.bytes, key_id.bytes, purpose.encode()))
