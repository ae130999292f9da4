"""The application's client secrets that came by Amazon's rotation, and when the newest one ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.tables import ApplicationNotice, ApplicationSecret


@dataclass(frozen=True, slots=True)
class WrappedSecret:
    """A client secret as it lies in the database."""

    id: UUID
    wrapping_key_id: str
    wrapped: bytes
    expires_at: datetime | None


async def newest(session: AsyncSession, client_id: str, limit: int) -> Sequence[WrappedSecret]:
    """The newest client secrets that have not expired, the newest first."""
    rows = await session.execute(
        select(
            ApplicationSecret.id,
            ApplicationSecret.wrapping_key_id,
            ApplicationSecret.wrapped,
            ApplicationSecret.expires_at,
        )
        .where(
            ApplicationSecret.client_id == client_id,
            or_(ApplicationSecret.expires_at.is_(None), ApplicationSecret.expires_at > func.now()),
        )
        .order_by(ApplicationSecret.id.desc())
        .limit(limit)
    )
    return [WrappedSecret(*row) for row in rows]


async def newest_ends_at(session: AsyncSession, client_id: str) -> datetime | None:
    """When the newest client secret ends, by what is known of any: each ends later than the one before it."""
    ends: datetime | None = await session.scalar(
        select(
            func.greatest(
                select(func.max(ApplicationSecret.expires_at))
                .where(ApplicationSecret.client_id == client_id)
                .scalar_subquery(),
                select(func.max(ApplicationNotice.secret_ends_at))
                .where(ApplicationNotice.client_id == client_id)
                .scalar_subquery(),
            )
        )
    )
    return ends
