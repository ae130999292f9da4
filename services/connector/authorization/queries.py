"""The statements of the authorization room; each decides what it decides alone, in the database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from shared.marketplaces import Region
from shared.tables import Account, Outcome, User
from shared.tables import AuthorizationAttempt as Attempt


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """An attempt as it is stored."""

    id: UUID
    account_id: UUID
    user_id: UUID
    browser_hash: bytes
    country: str
    region: str
    expires_at: datetime
    consumed_at: datetime | None
    outcome: str | None
    problem_code: str | None
    right_region: str | None
    integration_id: UUID | None


_COLUMNS: Final[tuple[InstrumentedAttribute[Any], ...]] = (
    Attempt.id,
    Attempt.account_id,
    Attempt.user_id,
    Attempt.browser_hash,
    Attempt.country,
    Attempt.region,
    Attempt.expires_at,
    Attempt.consumed_at,
    Attempt.outcome,
    Attempt.problem_code,
    Attempt.right_region,
    Attempt.integration_id,
)


async def attempt_by_id(session: AsyncSession, account_id: UUID, attempt_id: UUID) -> AttemptRow | None:
    row = (
        await session.execute(
            select(*_COLUMNS).where(Attempt.id == attempt_id, Attempt.account_id == account_id)
        )
    ).one_or_none()
    return None if row is None else AttemptRow(*row)


async def attempt_by_state(session: AsyncSession, state_hash: bytes) -> AttemptRow | None:
    row = (await session.execute(select(*_COLUMNS).where(Attempt.state_hash == state_hash))).one_or_none()
    return None if row is None else AttemptRow(*row)


async def newest_waiting(
    session: AsyncSession, account_id: UUID, user_id: UUID, browser_hash: bytes, now: datetime
) -> AttemptRow | None:
    """The attempt that a login URI without a state of ours must belong to."""
    row = (
        await session.execute(
            select(*_COLUMNS)
            .where(
                Attempt.account_id == account_id,
                Attempt.user_id == user_id,
                Attempt.browser_hash == browser_hash,
                Attempt.consumed_at.is_(None),
                Attempt.expires_at > now,
            )
            .order_by(Attempt.id.desc())
            .limit(1)
        )
    ).one_or_none()
    return None if row is None else AttemptRow(*row)


async def account_name(session: AsyncSession, account_id: UUID) -> str:
    return (await session.execute(select(Account.name).where(Account.id == account_id))).scalar_one()


async def unfinished_attempts(
    session: AsyncSession, account_id: UUID, user_id: UUID, since: datetime
) -> tuple[int, datetime | None]:
    """How many attempts of this user led nowhere, and when the oldest began. Failed ones count: each may have cost a call.

    Two counts of one user never run at once: his row is held.
    """
    await session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
    count, oldest = (
        await session.execute(
            select(func.count(), func.min(Attempt.created_at)).where(
                Attempt.account_id == account_id,
                Attempt.user_id == user_id,
                or_(Attempt.outcome.is_(None), Attempt.outcome == Outcome.FAILED.value),
                Attempt.created_at > since,
            )
        )
    ).one()
    return count, oldest


async def consume(
    session: AsyncSession,
    *,
    state_hash: bytes,
    browser_hash: bytes,
    account_id: UUID,
    user_id: UUID,
    now: datetime,
) -> UUID | None:
    """Take the attempt of this state, browser and user, once and in time. Of two at once, one gets it."""
    return await session.scalar(
        update(Attempt)
        .where(
            Attempt.state_hash == state_hash,
            Attempt.browser_hash == browser_hash,
            Attempt.account_id == account_id,
            Attempt.user_id == user_id,
            Attempt.consumed_at.is_(None),
            Attempt.expires_at > now,
        )
        .values(consumed_at=now)
        .returning(Attempt.id)
    )


async def write_outcome(
    session: AsyncSession,
    attempt_id: UUID,
    outcome: Outcome,
    *,
    integration_id: UUID | None = None,
    problem_code: str | None = None,
    right_region: Region | None = None,
) -> None:
    """The first outcome stays."""
    await session.execute(
        update(Attempt)
        .where(Attempt.id == attempt_id, Attempt.outcome.is_(None))
        .values(
            outcome=outcome.value,
            integration_id=integration_id,
            problem_code=problem_code,
            right_region=right_region,
        )
    )
