"""The application's client secrets that came by Amazon's rotation, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.tables import ApplicationSecret


@dataclass(frozen=True, slots=True)
class WrappedSecret:
    """A client secret as it lies in the database."""

    id: UUID
    wrapping_key_id: str
    wrapped: bytes
    expires_at: datetime | None


async def newest(session: AsyncSession, client_id: str, limit: int) -> Sequence[WrappedSecret]:
    """Those that have not expired."""
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
