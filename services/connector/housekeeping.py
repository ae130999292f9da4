"""What the database needs now and then: partitions ahead of time, and an end to what is over."""

from datetime import UTC, datetime, timedelta
from typing import Final

from pgqueuer import PgQueuer
from pgqueuer.models import Schedule
from sqlalchemy import delete, text

from shared.database import Sessions
from shared.tables import AuthorizationAttempt, SignInFailures, UserSession

_EVERY_TEN_MINUTES: Final = "*/10 * * * *"
# An attempt's page may be looked at again for so long; the audit log keeps what came of it.
_ATTEMPTS_KEPT: Final = timedelta(days=30)
_JOB_LOG_KEPT: Final = timedelta(days=30)


def register(queue: PgQueuer, sessions: Sessions) -> None:
    """Make the schedule known to a worker."""

    @queue.schedule("housekeeping", _EVERY_TEN_MINUTES)
    async def housekeeping(_schedule: Schedule) -> None:
        await keep_house(sessions, datetime.now(UTC))


async def keep_house(sessions: Sessions, now: datetime) -> None:
    """May run at any time, by several workers at once."""
    async with sessions.begin() as session:
        await session.execute(text("SELECT ensure_partitions(:now)"), {"now": now})
    async with sessions.begin() as session:
        await session.execute(delete(UserSession).where(UserSession.expires_at < now))
        await session.execute(delete(SignInFailures).where(SignInFailures.window_ends_at < now))
        await session.execute(
            delete(AuthorizationAttempt).where(AuthorizationAttempt.expires_at < now - _ATTEMPTS_KEPT)
        )
        for table in ("pgqueuer_log", "pgqueuer_statistics"):
            statement = text(f"DELETE FROM {table} WHERE created < :before")  # noqa: S608 - the queue library's own tables
            await session.execute(statement, {"before": now - _JOB_LOG_KEPT})
