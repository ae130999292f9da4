"""The grants' rows: read, leased, renewed, claimed. Times are the database's, because the processes that compare them are many."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, and_, case, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.crypto.envelope import Sealed
from shared.marketplaces import Region
from shared.tables import Grant, Integration, RefusedBy, ServiceTrouble

EMPTY: Final = Sealed(b"")
# Longer than a call to Login with Amazon may take, so that a lease ends by itself only when its holder has died.
_LEASE: Final = timedelta(seconds=20)
# A token must outlast the call that it is handed out for: it is renewed before less than this remains of its life.
_RENEW_SHARE: Final = 0.2
_RENEW_SECONDS: Final = 120
# An integration whose token was used within this time gets the next one before it is asked for. One use a day is too rare.
_IN_USE: Final = timedelta(hours=2)
# A grant that nobody uses is tried once a week, so that its end is noticed.
_IDLE: Final = timedelta(days=7)
# Tried again after trouble; also what a process had claimed when it died.
_AGAIN: Final = timedelta(minutes=5)
# A refusal counts when Amazon repeats it after this long.
_CONFIRMED_AFTER: Final = timedelta(seconds=60)
# A revoked grant is tried again, too: Amazon may have been wrong.
_REVOKED_AGAIN: Final = timedelta(hours=1)
# From so many refusals on, and from this share of all that were tried lately, they are Amazon's trouble; for a day.
_WAVE_GRANTS: Final = 5
_WAVE_SHARE: Final = 0.2
_WAVE_WINDOW: Final = timedelta(minutes=10)
_WAVE_ENDS: Final = timedelta(days=1)

# The columns of a grant that nothing hinders.
UNTROUBLED: Final[dict[str, Any]] = {
    "delayed_since": None,
    "refused_at": None,
    "refused_by": None,
    "revoked_at": None,
}

_life = func.make_interval(0, 0, 0, 0, 0, 0, Grant.access_token_seconds)
_in_time = func.greatest(timedelta(seconds=_RENEW_SECONDS), _life * _RENEW_SHARE)
_refused_by_api = func.coalesce(Grant.refused_by == RefusedBy.SP_API.value, False)
_has_tokens = Grant.refresh_token != EMPTY


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A grant as read: sealed tokens, and what follows from the clock and from what Amazon said last."""

    id: UUID
    region: Region
    seller_id: str
    version: int
    refresh_token: Sealed
    access_token: Sealed | None
    is_fresh: bool
    is_warm: bool
    is_troubled: bool


@dataclass(frozen=True, slots=True)
class DueGrant:
    """A grant that the worker has claimed to renew. `asks_the_store`: only a call of the SP-API can show whether it is good."""

    account_id: UUID
    integration_id: UUID
    version: int
    asks_the_store: bool


async def read(session: AsyncSession, account_id: UUID, integration_id: UUID) -> GrantRow | None:
    """The grant of an integration; None if there is none, or if its tokens have been destroyed."""
    row = (
        await session.execute(
            select(
                Grant.id,
                Grant.region,
                Grant.seller_id,
                Grant.version,
                Grant.refresh_token,
                Grant.access_token,
                func.coalesce(Grant.access_token_expires_at > func.now() + _in_time, False).label("is_fresh"),
                func.coalesce(Grant.used_at > func.now() - _IN_USE / 2, False).label("is_warm"),
                (
                    func.num_nonnulls(Grant.refused_at, Grant.delayed_since, Grant.role_missing_since) > 0
                ).label("is_troubled"),
            ).where(Grant.integration_id == integration_id, Grant.account_id == account_id, _has_tokens)
        )
    ).one_or_none()
    if row is None:
        return None
    grant_id, region, seller_id, version, refresh_token, access_token, is_fresh, is_warm, is_troubled = row
    return GrantRow(
        id=grant_id,
        region=Region(region),
        seller_id=seller_id,
        version=version,
        refresh_token=refresh_token,
        access_token=access_token,
        is_fresh=is_fresh,
        is_warm=is_warm,
        is_troubled=is_troubled,
    )


async def lease(session: AsyncSession, grant_id: UUID, version: int, holder: UUID) -> bool:
    """Whether `holder` may renew now. Of any number that ask, one may."""
    leased = await session.scalar(
        update(Grant)
        .where(
            Grant.id == grant_id,
            Grant.version == version,
            or_(Grant.leased_until.is_(None), Grant.leased_until < func.now()),
        )
        .values(lease_holder=holder, leased_until=func.now() + _LEASE)
        .returning(Grant.id)
    )
    return leased is not None


async def release(session: AsyncSession, grant_id: UUID, holder: UUID) -> None:
    """Give the lease back, if it is still this holder's."""
    await session.execute(
        update(Grant)
        .where(Grant.id == grant_id, Grant.lease_holder == holder)
        .values(lease_holder=None, leased_until=None)
    )


async def write_renewed(
    session: AsyncSession,
    grant_id: UUID,
    version: int,
    *,
    lifetime: timedelta,
    is_used: bool,
    **sealed: Sealed,
) -> bool:
    """Put new tokens in place of those of `version`. False: the grant has changed meanwhile, and nothing was written."""
    return await _changed(
        session,
        update(Grant)
        .where(Grant.id == grant_id, Grant.version == version, _has_tokens)
        .values(
            **sealed,
            **life_columns(lifetime, is_used=is_used),
            # What the SP-API has refused, only the SP-API takes back.
            delayed_since=None,
            refused_at=case((_refused_by_api, Grant.refused_at)),
            refused_by=case((_refused_by_api, Grant.refused_by)),
            revoked_at=case((_refused_by_api, Grant.revoked_at)),
            version=version + 1,
            lease_holder=None,
            leased_until=None,
        ),
    )


def life_columns(lifetime: timedelta, *, is_used: bool) -> dict[str, Any]:
    """What follows from a new access token's life: its end, and when the worker renews it unasked."""
    in_use = Grant.used_at > func.now() - _IN_USE
    early = func.now() + lifetime * (0.75 + 0.05 * func.random())
    columns: dict[str, Any] = {
        "access_token_expires_at": func.now() + lifetime,
        "access_token_seconds": int(lifetime.total_seconds()),
        "next_refresh_at": early if is_used else case((in_use, early), else_=_around(_IDLE)),
    }
    if is_used:
        columns["used_at"] = func.now()
    return columns


async def note_use(session: AsyncSession, grant_id: UUID, version: int) -> None:
    """Somebody uses this token: have the next one ready in time."""
    in_time = Grant.access_token_expires_at - _life * (0.2 + 0.05 * func.random())
    await session.execute(
        update(Grant)
        .where(Grant.id == grant_id, Grant.version == version)
        .values(used_at=func.now(), next_refresh_at=func.least(Grant.next_refresh_at, in_time))
    )


async def claim_due(session: AsyncSession, limit: int) -> Sequence[DueGrant]:
    """Grants whose time has come, for this process alone: it renews them, or they are due again in some minutes.

    Not those of a store that is paused, whose time a consent or a renewal under way may have set.
    """
    is_paused = exists().where(Integration.id == Grant.integration_id, Integration.paused_at.is_not(None))
    chosen = (
        select(Grant.id)
        .where(Grant.next_refresh_at <= func.now(), _has_tokens, ~is_paused)
        .order_by(Grant.next_refresh_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    rows = await session.execute(
        update(Grant)
        .where(Grant.id.in_(chosen))
        .values(next_refresh_at=_around(_AGAIN))
        .returning(
            Grant.account_id,
            Grant.integration_id,
            Grant.version,
            _refused_by_api,
        )
    )
    return [
        DueGrant(account_id, integration_id, version, asks_the_store=refused_by_api)
        for account_id, integration_id, version, refused_by_api in rows
    ]


# --- what Amazon has said of a grant ------------------------------------------------------------------------------------


async def lock_integration(session: AsyncSession, integration_id: UUID) -> None:
    """Before a grant's health changes: everybody locks the integration first, then its grant."""
    await session.execute(
        select(Integration.id).where(Integration.id == integration_id).with_for_update(key_share=True)
    )


async def note_delay(session: AsyncSession, integration_id: UUID) -> bool:
    """Amazon is in trouble, since now unless it was before. Whether that is new."""
    return await _changed(
        session,
        update(Grant)
        .where(Grant.integration_id == integration_id, _has_tokens, Grant.delayed_since.is_(None))
        .values(delayed_since=func.now()),
    )


async def note_refusal(session: AsyncSession, integration_id: UUID, version: int, by: RefusedBy) -> bool:
    """Amazon does not take the tokens of this version: tried again soon, because once is not enough. Whether that is new."""
    return await _changed(
        session,
        update(Grant)
        .where(
            Grant.integration_id == integration_id,
            Grant.version == version,
            _has_tokens,
            Grant.refused_at.is_(None),
        )
        .values(
            refused_at=func.now(),
            refused_by=by.value,
            delayed_since=None,
            next_refresh_at=func.now() + _CONFIRMED_AFTER * (1.05 + 0.4 * func.random()),
        ),
    )


async def note_revocation(session: AsyncSession, integration_id: UUID, version: int, by: RefusedBy) -> bool:
    """The second refusal, long enough after the first: the grant is revoked. Whether that is new."""
    return await _changed(
        session,
        update(Grant)
        .where(
            Grant.integration_id == integration_id,
            Grant.version == version,
            _has_tokens,
            Grant.refused_by == by.value,
            Grant.refused_at <= func.now() - _CONFIRMED_AFTER,
            Grant.revoked_at.is_(None),
        )
        .values(revoked_at=func.now(), next_refresh_at=_around(_REVOKED_AGAIN)),
    )


async def is_wave(session: AsyncSession, region: Region, integration_id: UUID | None = None) -> bool:
    """Whether so many of the region's grants are refused at once that it must be Amazon's doing; for each, a day at most.

    Counted against those that were renewed in the last minutes: in an outage nearly all that are tried are refused.
    """
    refused = and_(
        Grant.refused_at.is_not(None),
        or_(Grant.revoked_at.is_(None), Grant.refused_at > func.now() - _WAVE_WINDOW),
    )
    renewed = and_(
        Grant.refused_at.is_(None), Grant.access_token_expires_at - _life > func.now() - _WAVE_WINDOW
    )
    is_old = and_(Grant.integration_id == integration_id, Grant.refused_at < func.now() - _WAVE_ENDS)
    row = (
        await session.execute(
            select(
                func.count().filter(refused), func.count().filter(renewed), func.count().filter(is_old)
            ).where(Grant.region == region.value, _has_tokens)
        )
    ).one()
    refusals, renewals, old = row
    return old == 0 and refusals >= _WAVE_GRANTS and refusals > _WAVE_SHARE * (refusals + renewals)


async def note_role_missing(session: AsyncSession, integration_id: UUID, operation: str) -> bool:
    """Amazon does not let us do this for the store. Whether that is new."""
    return await _changed(
        session,
        update(Grant)
        .where(Grant.integration_id == integration_id, _has_tokens, Grant.role_missing_since.is_(None))
        .values(role_missing_since=func.now(), role_missing_operation=operation),
    )


async def note_success(session: AsyncSession, integration_id: UUID, operations: Collection[str]) -> bool:
    """The store's data was given: whatever stood against the grant is over. Whether anything did."""
    role_is_there = Grant.role_missing_operation.in_(operations)
    return await _changed(
        session,
        update(Grant)
        .where(
            Grant.integration_id == integration_id,
            _has_tokens,
            or_(Grant.refused_at.is_not(None), Grant.delayed_since.is_not(None), role_is_there),
        )
        .values(
            **UNTROUBLED,
            role_missing_since=case((role_is_there, None), else_=Grant.role_missing_since),
            role_missing_operation=case((role_is_there, None), else_=Grant.role_missing_operation),
        ),
    )


# --- what concerns many stores at once ---------------------------------------------------------------------------------


async def troubles(session: AsyncSession) -> dict[str, str]:
    """The scopes in trouble, each with its code."""
    rows = await session.execute(select(ServiceTrouble.scope, ServiceTrouble.code))
    return {row.scope: row.code for row in rows}


async def note_trouble(session: AsyncSession, scope: str, code: str) -> bool:
    """Store that a scope is in trouble. The answer is whether that is new."""
    noted = await session.scalar(
        insert(ServiceTrouble)
        .values(scope=scope, code=code)
        .on_conflict_do_nothing()
        .returning(ServiceTrouble.scope)
    )
    return noted is not None


async def end_trouble(session: AsyncSession, scope: str) -> None:
    """Forget the trouble of a scope."""
    await session.execute(delete(ServiceTrouble).where(ServiceTrouble.scope == scope))


def _around(wait: timedelta) -> ColumnElement[Any]:
    """The time after `wait`, or up to a fifth less, so that grants which began together do not stay together."""
    return func.now() + wait * (0.8 + 0.2 * func.random())


async def _changed(session: AsyncSession, statement: Any) -> bool:
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount > 0
