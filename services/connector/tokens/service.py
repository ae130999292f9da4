"""The vault: grants stored, access tokens handed out and renewed, everything forgotten when a store is disconnected.

Tokens are opened here and nowhere else. A grant is never emptied because of an error. A renewal is done once for all
processes: whoever takes the lease calls Amazon, the others wait for what he writes; no transaction is open meanwhile.
Times are the database's, because the processes that compare them are many.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import CursorResult, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.amazon.access import Amazon
from services.connector.amazon.lwa import Tokens
from shared.crypto.envelope import AccountKeys, Place, Sealed
from shared.database import Sessions, new_id
from shared.errors import Expected
from shared.keyring import Keyring
from shared.marketplaces import Region
from shared.tables import Grant

# A token that ends during the call that it is handed out for is of no use.
_RENEW_BEFORE_END: Final = timedelta(minutes=5)
# Longer than a call to Login with Amazon may take, so that a lease ends by itself only when its holder has died.
_LEASE: Final = timedelta(seconds=20)
# Waiting for another process: 25 ms at first, then up to 400 ms, in all about as long as a lease.
_WAITS_SECONDS: Final = (0.025, 0.05, 0.1, 0.2, *[0.4] * 50)
_EMPTY: Final = Sealed(b"")


class GrantMissing(Expected):
    """The integration has no grant, or none any more."""

    code = "grant_missing"


class RenewalBusy(Expected):
    """Another process has been renewing this token for too long. Not a failure of the grant."""

    code = "renewal_busy"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """`version` names the state of the grant that the token belongs to; see `access_token`."""

    value: SecretStr
    version: int


@dataclass(frozen=True, slots=True)
class _Lease:
    grant_id: UUID
    account_keys: AccountKeys
    version: int
    refresh_token: SecretStr


async def store_grant(
    session: AsyncSession,
    account_keys: AccountKeys,
    *,
    integration_id: UUID,
    region: Region,
    seller_id: str,
    tokens: Tokens,
    consented_at: datetime,
) -> None:
    """Keep a new consent's tokens in place of any before. The caller has locked the integration's row."""
    assert tokens.refresh_token is not None
    known = await session.scalar(select(Grant.id).where(Grant.integration_id == integration_id))
    grant_id = known or new_id()
    values: dict[str, Any] = {
        "refresh_token": account_keys.seal_text(
            _place("refresh_token", grant_id), tokens.refresh_token.get_secret_value()
        ),
        "access_token": account_keys.seal_text(
            _place("access_token", grant_id), tokens.access_token.get_secret_value()
        ),
        "access_token_expires_at": func.now() + tokens.lifetime,
        "consented_at": consented_at,
    }
    if known is None:
        session.add(
            Grant(
                id=grant_id,
                account_id=account_keys.account_id,
                integration_id=integration_id,
                region=region,
                seller_id=seller_id,
                **values,
            )
        )
        await session.flush()
        return
    await session.execute(
        update(Grant)
        .where(Grant.id == grant_id)
        .values(**values, version=Grant.version + 1, lease_holder=None, leased_until=None)
    )


async def destroy_grant(session: AsyncSession, integration_id: UUID) -> None:
    """Forget the tokens at once; the row stays as a trace. The next version makes a renewal in flight write nothing."""
    await session.execute(
        update(Grant)
        .where(Grant.integration_id == integration_id)
        .values(
            refresh_token=_EMPTY,
            access_token=None,
            access_token_expires_at=None,
            version=Grant.version + 1,
            lease_holder=None,
            leased_until=None,
        )
    )


async def access_token(
    sessions: Sessions,
    keyring: Keyring,
    amazon: Amazon,
    account_id: UUID,
    integration_id: UUID,
    *,
    refused_version: int | None = None,
) -> AccessToken:
    """An access token that is good for some minutes, renewed if need be.

    `refused_version`: Amazon has just refused the token of this version; it is renewed unless somebody already did.
    Raises GrantMissing, RenewalBusy, and what `Lwa.refresh` raises.
    """
    holder = new_id()
    for wait in _WAITS_SECONDS:
        async with sessions.begin() as session:
            account_keys = await keyring.of(session, account_id)
            found = await _read_or_lease(session, account_keys, integration_id, holder, refused_version)
        if isinstance(found, AccessToken):
            return found
        if isinstance(found, _Lease):
            renewed = await _renew(sessions, amazon, found, holder)
            if renewed is not None:
                return renewed
        else:
            await asyncio.sleep(wait)
    raise RenewalBusy


async def _read_or_lease(
    session: AsyncSession,
    account_keys: AccountKeys,
    integration_id: UUID,
    holder: UUID,
    refused_version: int | None,
) -> AccessToken | _Lease | None:
    """The stored token if it is good enough, else the lease to renew it, else None: somebody else holds it."""
    row = (
        await session.execute(
            select(
                Grant.id,
                Grant.version,
                Grant.refresh_token,
                Grant.access_token,
                (Grant.access_token_expires_at > func.now() + _RENEW_BEFORE_END).label("is_fresh"),
            ).where(Grant.integration_id == integration_id, Grant.account_id == account_keys.account_id)
        )
    ).one_or_none()
    if row is None or row.refresh_token == _EMPTY:
        raise GrantMissing
    if row.access_token is not None and row.is_fresh and row.version != refused_version:
        token = account_keys.open_text(_place("access_token", row.id), row.access_token)
        return AccessToken(SecretStr(token), row.version)
    leased = await session.scalar(
        update(Grant)
        .where(
            Grant.id == row.id,
            Grant.version == row.version,
            or_(Grant.leased_until.is_(None), Grant.leased_until < func.now()),
        )
        .values(lease_holder=holder, leased_until=func.now() + _LEASE)
        .returning(Grant.id)
    )
    if leased is None:
        return None
    refresh_token = account_keys.open_text(_place("refresh_token", row.id), row.refresh_token)
    return _Lease(row.id, account_keys, row.version, SecretStr(refresh_token))


async def _renew(sessions: Sessions, amazon: Amazon, lease: _Lease, holder: UUID) -> AccessToken | None:
    """Call Amazon and write the result, unless the grant has changed meanwhile: then None, and it is read again."""
    try:
        tokens = await amazon.lwa.refresh(lease.refresh_token)
    except BaseException:
        # Also when we are cancelled: the others need not wait for the lease to end.
        await asyncio.shield(_release(sessions, lease, holder))
        raise
    keys = lease.account_keys
    values: dict[str, Any] = {
        "access_token": keys.seal_text(
            _place("access_token", lease.grant_id), tokens.access_token.get_secret_value()
        ),
        "access_token_expires_at": func.now() + tokens.lifetime,
        "version": lease.version + 1,
        "lease_holder": None,
        "leased_until": None,
    }
    # Amazon sends the same one back; should it ever send another one, that is the one that counts.
    sent = lease.refresh_token.get_secret_value()
    if tokens.refresh_token is not None and tokens.refresh_token.get_secret_value() != sent:
        values["refresh_token"] = keys.seal_text(
            _place("refresh_token", lease.grant_id), tokens.refresh_token.get_secret_value()
        )
    async with sessions.begin() as session:
        written = await session.execute(
            update(Grant).where(Grant.id == lease.grant_id, Grant.version == lease.version).values(**values)
        )
    if cast("CursorResult[Any]", written).rowcount == 0:
        return None
    return AccessToken(tokens.access_token, lease.version + 1)


async def _release(sessions: Sessions, lease: _Lease, holder: UUID) -> None:
    async with sessions.begin() as session:
        await session.execute(
            update(Grant)
            .where(Grant.id == lease.grant_id, Grant.lease_holder == holder)
            .values(lease_holder=None, leased_until=None)
        )


def _place(column: str, grant_id: UUID) -> Place:
    return Place("grants", column, grant_id)
