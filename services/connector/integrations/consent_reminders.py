"""Consents that run out: owners are reminded 30, 7 and 1 days before, and then the lock turns red."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, update

from services.connector.integrations.health import CONSENT_LIFETIME, WARN_OF_CONSENT, consent_expires_at
from services.connector.integrations.owner_mails import notify_owners
from services.connector.integrations.service import recompute_lock
from shared.database import Sessions, each_id
from shared.tables import Grant, Integration, Lock, NoticeKind

_COUNTDOWN: Final = {30: NoticeKind.CONSENT_30, 7: NoticeKind.CONSENT_7, 1: NoticeKind.CONSENT_1}


async def send_reminders(sessions: Sessions, now: datetime) -> int:
    """Remind the owners of the stores for which something is due, each in a transaction of its own. The answer is how many."""
    async with sessions.begin() as session:
        # A new consent begins a new countdown.
        await session.execute(
            update(Integration)
            .where(
                Integration.consent_warned.is_not(None),
                Grant.integration_id == Integration.id,
                Grant.consented_at > now - CONSENT_LIFETIME + WARN_OF_CONSENT,
            )
            .values(consent_warned=None)
        )
    count = 0
    async for integration_id in each_id(sessions, select(Integration.id).where(*_is_due(now))):
        count += await _remind(sessions, integration_id, now)
    return count


async def _remind(sessions: Sessions, integration_id: UUID, now: datetime) -> bool:
    async with sessions.begin() as session:
        row = (
            await session.execute(
                select(Integration.account_id, Grant.consented_at)
                .where(*_is_due(now), Integration.id == integration_id)
                .with_for_update(of=Integration, key_share=True)
            )
        ).one_or_none()
        if row is None:  # somebody else was faster
            return False
        left = consent_expires_at(row.consented_at) - now
        if left <= timedelta(0):
            await recompute_lock(session, row.account_id, integration_id, now)
            return True
        days = min(days for days in _COUNTDOWN if left <= timedelta(days=days))
        await session.execute(
            update(Integration).where(Integration.id == integration_id).values(consent_warned=days)
        )
        occasion = row.consented_at.isoformat()
        await notify_owners(session, row.account_id, integration_id, _COUNTDOWN[days], occasion)
        return True


def _is_due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    is_near = [
        (Grant.consented_at <= now - CONSENT_LIFETIME + timedelta(days=days))
        & or_(Integration.consent_warned.is_(None), Integration.consent_warned > days)
        for days in _COUNTDOWN
    ]
    is_over = Grant.consented_at <= now - CONSENT_LIFETIME
    return (
        Grant.integration_id == Integration.id,
        func.length(Grant.refresh_token) > 0,
        Grant.revoked_at.is_(None),
        Integration.disconnected_at.is_(None),
        Integration.paused_at.is_(None),
        or_(is_over & (Integration.lock != Lock.RED), ~is_over & or_(*is_near)),
    )
