"""Integrations: list, guide, lock, and what Amazon says of the store.

The lock is a column: it is recomputed in the transaction that changes one of its facts, so that the list reads columns only.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.accounts.service import require_open
from services.connector.amazon.errors import AmazonPaused, AmazonUnavailable
from services.connector.amazon.sellers import Store, get_marketplace_participations
from services.connector.integrations import queries
from services.connector.integrations.health import health_of
from services.connector.integrations.names import MAX_NAME, name_key
from services.connector.integrations.owner_mails import notify_owners
from services.connector.integrations.row_locks import lock_row, reconnect
from services.connector.integrations.setup_steps import Step
from services.connector.orders import syncs
from services.connector.problems.catalogue import NotFound
from services.connector.tokens import service as tokens
from shared.database import Reader, Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.events import EventKind, announce
from shared.jobs import Job, enqueue
from shared.marketplaces import Region
from shared.tables import Integration, Lock, MarketplaceParticipation, NoticeKind, SetupStep, SyncStatus

log = structlog.get_logger()

_BATCH: Final = 500


async def list_integrations(
    sessions: Sessions, account_id: UUID, *, in_grace_period: bool, limit: int, after: UUID | None
) -> list[queries.Listed]:
    """A page of the account's integrations, oldest first: those that are connected, or those in their grace period."""
    return await queries.list_page(
        sessions, account_id, in_grace_period=in_grace_period, limit=limit, after=after
    )


async def get_integration(sessions: Sessions, account_id: UUID, integration_id: UUID) -> queries.Detail:
    """One integration with all that its page shows. Raises NotFound."""
    async with sessions.reading() as reader:
        return await _detail(reader, account_id, integration_id)


async def tick_step(
    sessions: Sessions, caller: Caller, integration_id: UUID, step: Step, *, done: bool, now: datetime
) -> None:
    """Mark a step as done or open; twice is the same as once. Raises NotFound."""
    async with sessions.begin() as session:
        await lock_row(session, caller.account_id, integration_id)
        if step not in (await _detail(session, caller.account_id, integration_id)).steps:
            raise NotFound
        if done:
            await session.execute(
                insert(SetupStep)
                .values(
                    integration_id=integration_id,
                    step=step.name,
                    country=step.country,
                    account_id=caller.account_id,
                    done_at=now,
                    done_by=caller.user_id,
                )
                .on_conflict_do_nothing()
            )
        else:
            await session.execute(
                delete(SetupStep).where(
                    SetupStep.integration_id == integration_id,
                    SetupStep.step == step.name,
                    SetupStep.country == step.country,
                )
            )
        action = "setup_step_done" if done else "setup_step_opened"
        session.add(audit_entry(caller, action, integration_id, step=step.name, country=step.country))
        await recompute_lock(session, caller.account_id, integration_id, now)


async def connect_store(
    session: AsyncSession,
    account_id: UUID,
    *,
    region: Region,
    seller_id: str,
    home_country: str,
    owner_id: UUID | None = None,
    now: datetime,
) -> tuple[UUID, bool]:
    """The account's integration of this store, locked, and whether it is new. The database decides between two at once.

    One in its grace period is restored by it. Raises AccountClosed.
    """
    await require_open(session, account_id)
    while True:
        made = await session.scalar(
            insert(Integration)
            .values(
                id=new_id(),
                account_id=account_id,
                region=region,
                home_country=home_country,
                seller_id=seller_id,
                owner_id=owner_id,
                lock_since=now,
                created_at=now,
            )
            .on_conflict_do_nothing()
            .returning(Integration.id)
        )
        if made is not None:
            return made, True
        known = await session.scalar(
            select(Integration)
            .where(
                Integration.account_id == account_id,
                Integration.region == region,
                Integration.seller_id == seller_id,
                Integration.removed_at.is_(None),
            )
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        )
        # None: it has been removed between the two statements, so that the next insert succeeds.
        if known is not None:
            if known.disconnected_at is not None:
                await _take_free_name(session, known)
                await reconnect(session, known)
            return known.id, False


async def adopt_seller(
    session: AsyncSession, account_id: UUID, integration_id: UUID, *, region: Region, seller_id: str
) -> None:
    """Make a store that was without Amazon's API this seller's, unless the account has connected the seller's store already."""
    known = select(Integration.id).where(
        Integration.account_id == account_id,
        Integration.region == region,
        Integration.seller_id == seller_id,
        Integration.removed_at.is_(None),
    )
    await session.execute(
        update(Integration)
        .where(
            Integration.id == integration_id,
            Integration.account_id == account_id,
            Integration.region == region,
            ~Integration.uses_api,
            ~known.exists(),
        )
        .values(seller_id=seller_id, uses_api=True)
    )


async def _take_free_name(session: AsyncSession, integration: Integration) -> None:
    """Append a number to the name if another store took it during the grace period."""
    if integration.name is None:
        return
    taken = set(
        await session.scalars(
            select(Integration.name_key).where(
                Integration.account_id == integration.account_id, Integration.disconnected_at.is_(None)
            )
        )
    )
    name, number = integration.name, 1
    while name_key(name) in taken:
        number += 1
        name = f"{integration.name[: MAX_NAME - 5]} {number}"
    integration.name, integration.name_key = name, name_key(name)


async def save_store(
    session: AsyncSession, account_id: UUID, integration_id: UUID, store: Store, now: datetime
) -> None:
    """Keep what Amazon says of the store, and what follows for the lock."""
    for participation in store.participations:
        values = {
            "country": participation.marketplace.country,
            "is_participating": participation.is_participating,
            "has_suspended_listings": participation.has_suspended_listings,
            "updated_at": now,
        }
        await session.execute(
            insert(MarketplaceParticipation)
            .values(
                integration_id=integration_id,
                marketplace_id=participation.marketplace.marketplace_id,
                account_id=account_id,
                **values,
            )
            .on_conflict_do_update(index_elements=["integration_id", "marketplace_id"], set_=values)
        )
    listed = [participation.marketplace.marketplace_id for participation in store.participations]
    await session.execute(
        delete(MarketplaceParticipation).where(
            MarketplaceParticipation.integration_id == integration_id,
            MarketplaceParticipation.marketplace_id.not_in(listed),
        )
    )
    ok = case((Integration.paused_at.is_(None), SyncStatus.OK.value), else_=SyncStatus.PAUSED.value)
    changes: dict[str, Any] = {"sync_status": ok, "synced_at": now}
    if store.name is not None:
        changes["store_name"] = store.name
    if store.sells_somewhere:
        changes |= {"idle_participation_since": None, "idle_participation_checks": 0}
    else:
        changes |= {
            "idle_participation_since": func.coalesce(Integration.idle_participation_since, now),
            "idle_participation_checks": Integration.idle_participation_checks + 1,
        }
    region = await session.scalar(
        update(Integration)
        .where(Integration.id == integration_id)
        .values(**changes)
        .returning(Integration.region)
    )
    assert region is not None
    await syncs.ensure(session, account_id, integration_id, Region(region), now)
    await recompute_lock(session, account_id, integration_id, now)


async def refresh_participations(
    sessions: Sessions, vault: tokens.Vault, integration_id: UUID, now: datetime
) -> None:
    """Ask Amazon again in which countries the store sells. Does nothing for one that is paused or disconnected.

    Raises AmazonUnavailable, RenewalBusy, AmazonPaused (try again later), and what else Amazon refuses; the sync status shows it.
    """
    async with sessions.begin() as session:
        account_id = await session.scalar(
            select(Integration.account_id).where(
                Integration.id == integration_id,
                Integration.disconnected_at.is_(None),
                Integration.paused_at.is_(None),
                Integration.uses_api,
            )
        )
    if account_id is None:
        return
    try:
        store = await vault.call(account_id, integration_id, get_marketplace_participations)
    except AmazonPaused:
        # Nothing was asked, so nothing is known.
        raise
    except Expected as failure:
        is_passing = isinstance(failure, AmazonUnavailable | tokens.RenewalBusy)
        await _note_failure(sessions, account_id, integration_id, is_passing=is_passing, now=now)
        raise
    async with sessions.begin() as session:
        still_connected = await session.scalar(
            select(Integration.id)
            .where(Integration.id == integration_id, Integration.disconnected_at.is_(None))
            .with_for_update(key_share=True)
        )
        if still_connected is not None:
            await save_store(session, account_id, integration_id, store, now)


async def enqueue_for_all(sessions: Sessions, job: Job) -> int:
    """Enqueue this job for every connected integration, a batch per transaction. The answer is how many."""
    count, after = 0, None
    while True:
        async with sessions.begin() as session:
            batch = await queries.active_ids(session, limit=_BATCH, after=after)
            await enqueue(session, job, *batch)
        count += len(batch)
        if len(batch) < _BATCH:
            return count
        after = batch[-1]


async def _note_failure(
    sessions: Sessions, account_id: UUID, integration_id: UUID, *, is_passing: bool, now: datetime
) -> None:
    """Mark the synchronization as late or failed; `synced_at` says since when. The lock follows facts, not failures."""
    status = SyncStatus.LATE if is_passing else SyncStatus.FAILED
    async with sessions.begin() as session:
        changed = await session.scalar(
            update(Integration)
            .where(
                Integration.id == integration_id,
                Integration.disconnected_at.is_(None),
                Integration.paused_at.is_(None),
                Integration.sync_status != status.value,
            )
            .values(sync_status=status.value)
            .returning(Integration.id)
        )
        if changed is not None:
            await recompute_lock(session, account_id, integration_id, now)


async def recompute_lock_of(sessions: Sessions, integration_id: UUID, now: datetime) -> None:
    """Decide a lock anew in a transaction of its own: of a fact that another process has stored."""
    async with sessions.begin() as session:
        account_id = await session.scalar(
            select(Integration.account_id).where(Integration.id == integration_id)
        )
        if account_id is not None:
            await recompute_lock(session, account_id, integration_id, now)


async def recompute_lock(
    session: AsyncSession,
    account_id: UUID,
    integration_id: UUID,
    now: datetime,
) -> None:
    """Decide the lock, and what its reasons come to, anew from the stored facts, and announce the change. Whoever changes a fact calls this in the same transaction.

    Of a store that is disconnected nothing is decided. The row is locked first, so that of two changes at once the later one
    sees both. Whoever changes another row of the integration, too, locks this one before.
    """
    await _decide_health(session, account_id, integration_id, now)
    await announce(session, account_id, EventKind.INTEGRATION_CHANGED, integration_id=integration_id)


async def recompute_due(sessions: Sessions, now: datetime) -> int:
    """Decide the locks anew that time alone may have changed, each in a transaction of its own. The answer is how many."""
    count = 0
    while True:
        async with sessions.begin() as session:
            batch = await queries.due_ids(session, now, limit=_BATCH)
        for integration_id, account_id in batch:
            async with sessions.begin() as session:
                if await _decide_health(session, account_id, integration_id, now):
                    await announce(
                        session, account_id, EventKind.INTEGRATION_CHANGED, integration_id=integration_id
                    )
        count += len(batch)
        if len(batch) < _BATCH:
            return count


async def _decide_health(
    session: AsyncSession, account_id: UUID, integration_id: UUID, now: datetime
) -> bool:
    """Store what follows from the stored facts. The answer is whether a list shows something else than before."""
    held = await session.scalar(
        select(Integration.id).where(Integration.id == integration_id).with_for_update(key_share=True)
    )
    detail = await queries.detail_of(session, account_id, integration_id) if held is not None else None
    if detail is None:
        return False
    health, listed = health_of(detail.facts, now), detail.listed
    shown = {
        "lock": health.lock.value,
        "summary": health.summary.value,
        "summary_countries": list(health.countries),
        "worst_check": health.worst.code if health.worst is not None else None,
    }
    is_changed = shown != {name: getattr(listed, name) for name in shown}
    changes: dict[str, Any] = {**shown, "health_due_at": health.changes_at}
    if health.lock != listed.lock:
        changes["lock_since"] = now
        if health.lock is Lock.RED:
            changes["alerted_lock_since"] = now
            await notify_owners(session, account_id, integration_id, NoticeKind.LOCK_RED, now.isoformat())
    await session.execute(update(Integration).where(Integration.id == integration_id).values(**changes))
    return is_changed


async def _detail(reader: Reader, account_id: UUID, integration_id: UUID) -> queries.Detail:
    detail = await queries.detail_of(reader, account_id, integration_id)
    if detail is None:
        raise NotFound
    return detail
