"""Statements of webhooks: fan-out, claims and outcomes by the database's clock, because several workers do them at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import CursorResult, func, or_, select, text, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.levels import (
    PERMISSIONS_OF_PEOPLE,
    column_of,
    levels_of_key,
    levels_of_user,
)
from services.connector.webhooks.creators import Creator
from services.connector.webhooks.retries import GIVEN_UP_AFTER
from shared.crypto.envelope import Sealed
from shared.driver import new_id
from shared.permissions import Permission
from shared.tables import Account, ApiKey, DeliveryState, EventRow, User, Webhook, WebhookDelivery

# Whoever has claimed a delivery is done with it by then, or was killed; it is due again.
_LEASE: Final = timedelta(seconds=60)

# A few of each webhook, so that one with many that wait holds up no other; fewer still of one that fails.
_CLAIM: Final = text("""
WITH due AS (
    SELECT waiting.id
    FROM webhooks CROSS JOIN LATERAL (
        SELECT id, next_attempt_at FROM webhook_deliveries
        WHERE webhook_id = webhooks.id AND state = 'waiting' AND next_attempt_at <= now()
        ORDER BY next_attempt_at LIMIT CASE WHEN webhooks.failing_since IS NULL THEN 2 ELSE 1 END
        FOR UPDATE SKIP LOCKED
    ) AS waiting
    WHERE webhooks.disabled_at IS NULL AND webhooks.id <> ALL(:busy)
    ORDER BY waiting.next_attempt_at LIMIT :limit
)
UPDATE webhook_deliveries SET attempts = attempts + 1, last_attempt_at = now(), next_attempt_at = now() + :lease
FROM due WHERE webhook_deliveries.id = due.id
RETURNING webhook_deliveries.id
""")


TEST_KIND: Final = "webhook.ping"
# A delivery is made after its event, so its id is no earlier, but for clocks that differ.
_OF_TIME: Final = """
SELECT id, state FROM webhook_deliveries
WHERE webhook_id = :webhook_id AND id > uuid_at(CAST(:since AS timestamptz) - interval '1 hour')
    AND event_at >= CAST(:since AS timestamptz) AND event_at < CAST(:until AS timestamptz) AND kind <> :test
"""
_RESEND: Final = text(f"""
WITH again AS ({_OF_TIME} AND state = 'dead' ORDER BY id LIMIT :limit FOR UPDATE)
UPDATE webhook_deliveries SET state = 'waiting', attempts = 0, next_attempt_at = now()
FROM again WHERE webhook_deliveries.id = again.id
""")  # noqa: S608 - our own words
_DEAD: Final = text(f"""
SELECT count(*) FROM ({_OF_TIME} AND state = 'dead' LIMIT :limit) AS dead
""")  # noqa: S608 - our own words
_STATES: Final = text(f"""
SELECT state, count(*) AS deliveries FROM ({_OF_TIME} LIMIT :limit) AS of_time GROUP BY state
""")  # noqa: S608 - our own words

_KEY_IS_LIVE: Final = ApiKey.revoked_at.is_(None) & or_(
    ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()
)


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that is ours for a minute, and where it goes. `attempts` includes the one that begins now."""

    id: UUID
    account_id: UUID
    webhook_id: UUID
    event_id: UUID
    kind: str
    ids: dict[str, str]
    event_at: datetime
    attempts: int
    url: str
    creator: Creator
    secret: Sealed
    previous_secret: Sealed | None
    """The secret before the present one, as long as it signs as well."""


async def fan_out(session: AsyncSession, *, limit: int) -> int:
    """Make a delivery of each event for each webhook that wants it. Returns how many events were fanned out; other workers skip these."""
    events = (
        await session.execute(
            select(EventRow.id)
            .where(EventRow.fanned_out_at.is_(None))
            .order_by(EventRow.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    ).scalars()
    event_ids = list(events)
    if not event_ids:
        return 0
    wanted = await session.execute(
        select(
            EventRow.account_id,
            Webhook.id.label("webhook_id"),
            EventRow.id.label("event_id"),
            EventRow.kind,
            EventRow.ids,
            EventRow.at.label("event_at"),
        )
        .join(Webhook, Webhook.account_id == EventRow.account_id)
        .where(
            EventRow.id.in_(event_ids),
            Webhook.disabled_at.is_(None),
            Webhook.created_at <= EventRow.at,
            EventRow.kind == func.any(Webhook.kinds),
        )
        # Not deleted meanwhile, or none of these events could be stored.
        .with_for_update(of=Webhook, key_share=True, read=True)
    )
    deliveries = [{"id": new_id(), **row} for row in wanted.mappings()]
    if deliveries:
        await session.execute(insert(WebhookDelivery).on_conflict_do_nothing(), deliveries)
    await session.execute(update(EventRow).where(EventRow.id.in_(event_ids)).values(fanned_out_at=func.now()))
    return len(event_ids)


async def claim_due(session: AsyncSession, *, busy: Sequence[UUID], limit: int) -> list[ClaimedDelivery]:
    """Deliveries that are due, of webhooks that are not busy; other workers pass them over."""
    ids = (await session.scalars(_CLAIM, {"busy": list(busy), "limit": limit, "lease": _LEASE})).all()
    if not ids:
        return []
    rows = await session.execute(
        select(
            WebhookDelivery.id,
            WebhookDelivery.account_id,
            WebhookDelivery.webhook_id,
            WebhookDelivery.event_id,
            WebhookDelivery.kind,
            WebhookDelivery.ids,
            WebhookDelivery.event_at,
            WebhookDelivery.attempts,
            Webhook.url,
            Webhook.secret,
            Webhook.previous_secret,
            (Webhook.previous_secret_until > func.now()).label("both_sign"),
            (User.disabled_at.is_(None) & or_(Webhook.created_by_key.is_(None), _KEY_IS_LIVE)).label(
                "is_active"
            ),
            *(getattr(User, column_of(each)).label(column_of(each)) for each in PERMISSIONS_OF_PEOPLE),
            Webhook.created_by_key,
            *(getattr(ApiKey, column_of(each)).label(f"key_{column_of(each)}") for each in Permission),
        )
        .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
        .outerjoin(User, User.id == Webhook.created_by)
        .outerjoin(ApiKey, ApiKey.id == Webhook.created_by_key)
        .where(WebhookDelivery.id.in_(ids))
    )
    return [
        ClaimedDelivery(
            id=row.id,
            account_id=row.account_id,
            webhook_id=row.webhook_id,
            event_id=row.event_id,
            kind=row.kind,
            ids=row.ids,
            event_at=row.event_at,
            attempts=row.attempts,
            url=row.url,
            creator=Creator(
                # Without a user, there is nobody whose right it could be.
                is_active=bool(row.is_active) and row.general_admin is not None,
                user_levels={} if row.general_admin is None else levels_of_user(row),
                key_levels=None if row.created_by_key is None else levels_of_key(row, "key_"),
            ),
            secret=row.secret,
            previous_secret=row.previous_secret if row.both_sign else None,
        )
        for row in rows
    ]


async def write_delivered(session: AsyncSession, claimed: ClaimedDelivery, status: int) -> None:
    """Mark a delivery as delivered, even if another worker has claimed it meanwhile."""
    # The webhook first, as wherever both are written: so nobody waits for each other.
    await session.execute(
        update(Webhook)
        .where(Webhook.id == claimed.webhook_id, Webhook.failing_since.is_not(None))
        .values(failing_since=None)
    )
    await session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id == claimed.id)
        .values(
            state=DeliveryState.DELIVERED.value, delivered_at=func.now(), last_status=status, last_error=None
        )
    )


async def write_failed(
    session: AsyncSession,
    claimed: ClaimedDelivery,
    *,
    status: int | None,
    error: str,
    delay: timedelta | None,
) -> bool:
    """Put it off, or give it up without a delay. The answer is whether its webhook has failed for so long that it is to be disabled."""
    again = {"state": DeliveryState.DEAD.value} if delay is None else {"next_attempt_at": func.now() + delay}
    # The webhook first here, too: enabling one holds it, and then writes to its waiting deliveries.
    await session.execute(
        select(Webhook.id).where(Webhook.id == claimed.webhook_id).with_for_update(key_share=True)
    )
    written = await session.execute(
        update(WebhookDelivery)
        .where(
            WebhookDelivery.id == claimed.id,
            WebhookDelivery.state == DeliveryState.WAITING.value,
            # Else another worker has claimed it anew, and that worker's outcome counts.
            WebhookDelivery.attempts == claimed.attempts,
        )
        .values(last_status=status, last_error=error, **again)
    )
    assert isinstance(written, CursorResult)
    if not written.rowcount:
        return False
    is_hopeless = await session.scalar(
        update(Webhook)
        .where(Webhook.id == claimed.webhook_id)
        .values(failing_since=func.coalesce(Webhook.failing_since, func.now()))
        .returning(Webhook.failing_since < func.now() - GIVEN_UP_AFTER)
    )
    return bool(is_hopeless)


async def disable(session: AsyncSession, webhook_id: UUID, reason: str) -> bool:
    """No more deliveries; what waits goes on waiting (`pausing`). False if it was disabled already."""
    disabled = await session.scalar(
        update(Webhook)
        .where(Webhook.id == webhook_id, Webhook.disabled_at.is_(None))
        .values(disabled_at=func.now(), disabled_reason=reason, version=Webhook.version + 1)
        .returning(Webhook.id)
    )
    return disabled is not None


async def go_on(session: AsyncSession, webhook_id: UUID, *, limit: int) -> None:
    """What has waited for this webhook is due now, but for what another worker may be sending at this moment.

    Of more than `limit`, those whose next try is the nearest; the others are tried when they would have been anyway.
    """
    first = (
        select(WebhookDelivery.id)
        .where(
            WebhookDelivery.webhook_id == webhook_id,
            WebhookDelivery.state == DeliveryState.WAITING.value,
            WebhookDelivery.next_attempt_at > func.now(),
            or_(
                WebhookDelivery.last_attempt_at.is_(None),
                WebhookDelivery.last_attempt_at < func.now() - _LEASE,
            ),
        )
        .order_by(WebhookDelivery.next_attempt_at)
        .limit(limit)
        .with_for_update()
    )
    await session.execute(
        update(WebhookDelivery).where(WebhookDelivery.id.in_(first)).values(next_attempt_at=func.now())
    )


async def end_pauses(
    session: AsyncSession, *, longest: timedelta, limit: int, webhook_id: UUID | None = None
) -> int:
    """What has waited for longer than this for a disabled webhook, any or this one, is dead; how many that were."""
    over = (
        select(WebhookDelivery.id)
        .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
        .where(
            WebhookDelivery.state == DeliveryState.WAITING.value,
            Webhook.disabled_at < func.now() - longest,
            true() if webhook_id is None else Webhook.id == webhook_id,
        )
        .limit(limit)
        .with_for_update(of=WebhookDelivery, skip_locked=True)
    )
    ended = await session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id.in_(over))
        .values(state=DeliveryState.DEAD.value, last_error="disabled")
    )
    assert isinstance(ended, CursorResult)
    return ended.rowcount


async def resend_dead(
    session: AsyncSession, webhook_id: UUID, *, since: datetime, until: datetime, limit: int
) -> int:
    """Send the oldest dead deliveries of events of this time again, and try as often as new ones; how many they are."""
    again = await session.execute(_RESEND, _within(webhook_id, since, until, limit))
    assert isinstance(again, CursorResult)
    return again.rowcount


async def count_dead(
    session: AsyncSession, webhook_id: UUID, *, since: datetime, until: datetime, limit: int
) -> int:
    """How many deliveries of events of this time are dead; so many are counted at most."""
    return int(await session.scalar(_DEAD, _within(webhook_id, since, until, limit)) or 0)


async def count_states(
    session: AsyncSession, webhook_id: UUID, *, since: datetime, until: datetime, limit: int
) -> dict[str, int]:
    """How many deliveries of events of this time are in which state, of so many at most."""
    rows = await session.execute(_STATES, _within(webhook_id, since, until, limit))
    return {row.state: row.deliveries for row in rows}


def _within(webhook_id: UUID, since: datetime, until: datetime, limit: int) -> dict[str, object]:
    return {"webhook_id": webhook_id, "since": since, "until": until, "limit": limit, "test": TEST_KIND}


async def count_webhooks(session: AsyncSession, account_id: UUID) -> int:
    """Two counts of one account never run at once: its row is held."""
    await session.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))
    statement = select(func.count()).select_from(Webhook).where(Webhook.account_id == account_id)
    return (await session.execute(statement)).scalar_one()


async def webhooks_of(
    session: AsyncSession, account_id: UUID, *, limit: int, after: UUID | None
) -> list[Webhook]:
    """An account's webhooks, newest first."""
    statement = select(Webhook).where(Webhook.account_id == account_id)
    if after is not None:
        statement = statement.where(Webhook.id < after)
    return list((await session.scalars(statement.order_by(Webhook.id.desc()).limit(limit))).all())


async def deliveries_of(
    session: AsyncSession, webhook_id: UUID, *, state: DeliveryState | None, limit: int, after: UUID | None
) -> list[WebhookDelivery]:
    """A webhook's deliveries, newest first."""
    statement = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    if state is not None:
        statement = statement.where(WebhookDelivery.state == state.value)
    if after is not None:
        statement = statement.where(WebhookDelivery.id < after)
    return list((await session.scalars(statement.order_by(WebhookDelivery.id.desc()).limit(limit))).all())


async def database_time(session: AsyncSession) -> datetime:
    """The clock by which deliveries are due."""
    return (await session.execute(select(func.now()))).scalar_one()
