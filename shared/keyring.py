"""The data keys of accounts: made with the account, opened when they are needed, and kept in memory."""

import asyncio
import os
from collections import OrderedDict
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.crypto.envelope import KEY_BYTES, AccountKeys, SealBroken
from shared.crypto.key_provider import KeyProvider
from shared.database import new_id
from shared.tables import AccountKey

# Opened keys of at most this many accounts stay in memory (about 500 bytes each).
_KEPT_ACCOUNTS: Final = 10_000


class Keyring:
    """Opens data keys through the key provider. A process has one keyring."""

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = provider
        self._opened: OrderedDict[UUID, AccountKeys] = OrderedDict()

    async def create(self, session: AsyncSession, account_id: UUID) -> None:
        """Make the first keys of a new account, in the transaction that makes the account."""
        for purpose in ("seal", "lookup"):
            key_id = new_id()
            wrapping_key_id, wrapped = await self._provider.wrap(
                os.urandom(KEY_BYTES), wrapping_context(account_id, key_id, purpose)
            )
            session.add(
                AccountKey(
                    id=key_id,
                    account_id=account_id,
                    purpose=purpose,
                    wrapping_key_id=wrapping_key_id,
                    wrapped=wrapped,
                )
            )

    async def of(self, session: AsyncSession, account_id: UUID) -> AccountKeys:
        """The opened keys of an account. Raises SealBroken if they are missing or wrapped with a key we do not have."""
        opened = self._opened.get(account_id)
        if opened is None:
            opened = await self._open(session, account_id)
            self._opened[account_id] = opened
            if len(self._opened) > _KEPT_ACCOUNTS:
                self._opened.popitem(last=False)
        else:
            self._opened.move_to_end(account_id)
        return opened

    async def _open(self, session: AsyncSession, account_id: UUID) -> AccountKeys:
        rows = (await session.scalars(select(AccountKey).where(AccountKey.account_id == account_id))).all()
        plain = await asyncio.gather(
            *(
                self._provider.unwrap(
                    r.wrapping_key_id, r.wrapped, wrapping_context(account_id, r.id, r.purpose)
                )
                for r in rows
            )
        )
        data_keys = {row.id: key for row, key in zip(rows, plain, strict=True) if row.purpose == "seal"}
        current = [row.id for row in rows if row.purpose == "seal" and row.retired_at is None]
        lookup = [
            key
            for row, key in zip(rows, plain, strict=True)
            if row.purpose == "lookup" and row.retired_at is None
        ]
        if len(current) != 1 or len(lookup) != 1:
            raise SealBroken(table="account_keys", column="wrapped")
        return AccountKeys(account_id, current[0], data_keys, lookup[0])


def wrapping_context(account_id: UUID, key_id: UUID, purpose: str) -> bytes:
    """The context that binds a wrapped data key to its row of account_keys."""
    return b"\0".join((b"account_keys", account_id.bytes, key_id.bytes, purpose.encode()))
