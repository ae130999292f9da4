"""What the database needs now and then: partitions ahead of time, and an end to what is over."""

from datetime import UTC, datetime, timedelta
from typing import Final

from pgqueuer import PgQueuer
from pgqueuer.models import Schedule
from sqlalchemy import ColumnElement, delete, func, select, text

from shared.database import Sessions
from shared.tables import (
    AuthorizationAttempt,
    DeliveryState,
    EventRow,
    IdempotencyKey,
    LoginRequest,
    SignInFailures,
    ThrottleBucket,
    UserSession,
    WebhookDelivery,
)

_EVERY_TEN_MINUTES: Final = "*/10 * * * *"
# An attempt's page may be looked at again for so long; the audit log keeps what came of it.
_ATTEMPTS_KEPT: Final = timedelta(days=30)
_JOB_LOG_KEPT: Final = timedelta(days=30)
# From these a listener resumes who was away.
_EVENTS_KEPT: Final = timedelta(hours=24)
# A bucket that nobody has used for so long is full again.
_BUCKETS_KEPT: Final = timedelta(days=1)
_DELIVERIES_KEPT: Final = timedelta(days=30)
_BATCH: Final = 10_000


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
        await session.execute(delete(LoginRequest).where(LoginRequest.expires_at < now))
        await session.execute(delete(UserSession).where(UserSession.expires_at < now))
        await session.execute(delete(IdempotencyKey).where(IdempotencyKey.expires_at < now))
        await session.execute(delete(ThrottleBucket).where(ThrottleBucket.updated_at < now - _BUCKETS_KEPT))
        await session.execute(delete(SignInFailures).where(SignInFailures.window_ends_at < now))
        await session.execute(
            delete(AuthorizationAttempt).where(AuthorizationAttempt.expires_at < now - _ATTEMPTS_KEPT)
        )
        # A full bucket is the same as none.
        await session.execute(
            text(
                "DELETE FROM throttle_buckets WHERE updated_at < now() - interval '1 hour'"
                " AND tokens + rate * extract(epoch FROM now() - updated_at) >= burst"
            )
        )
        for table in ("pgqueuer_log", "pgqueuer_statistics"):
            statement = text(f"DELETE FROM {table} WHERE created < :before")  # noqa: S608 - the queue library's own tables
            await session.execute(statement, {"before": now - _JOB_LOG_KEPT})
    # By id, that is by age, so that only what may go is looked at.
    await _forget(
        sessions,
        EventRow,
        EventRow.id < func.uuid_at(now - _EVENTS_KEPT),
        EventRow.fanned_out_at < now - _EVENTS_KEPT,
    )
    await _forget(
        sessions,
        WebhookDelivery,
        WebhookDelivery.id < func.uuid_at(now - _DELIVERIES_KEPT),
        WebhookDelivery.state != DeliveryState.WAITING.value,
    )


async def _forget(
    sessions: Sessions, table: type[EventRow | WebhookDelivery], *conditions: ColumnElement[bool]
) -> None:
    """Delete a batch a transaction: after a long rest there may be millions, which no single statement gets done in time."""
    is_more = True
    while is_more:
        batch = select(table.id).where(*conditions).order_by(table.id).limit(_BATCH)
        async with sessions.begin() as session:
            gone = await session.execute(delete(table).where(table.id.in_(batch)).returning(table.id))
            is_more = len(gone.all()) == _BATCH
