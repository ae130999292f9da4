"""Integrations: list, name, guide, disconnect, and what Amazon says of the store.

The lock is a column: it is recomputed in the transaction that changes one of its facts, so that the list reads columns only.
"""

import secrets
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.amazon.access import Amazon
from services.connector.amazon.errors import AmazonUnavailable, TokenRefused
from services.connector.amazon.sellers import Store, get_marketplace_participations
from services.connector.integrations import queries
from services.connector.integrations.guide import Step
from services.connector.integrations.health import next_lock
from services.connector.integrations.names import NameTaken, clean_name, name_key
from services.connector.problems import NotFound
from services.connector.tokens import service as tokens
from shared.addresses import new_local_part
from shared.database import Sessions, new_id
from shared.errors import Expected
from shared.events import ADDRESS_CHANNEL, EventKind, announce
from shared.jobs import Job, enqueue
from shared.keyring import Keyring
from shared.marketplaces import Region
from shared.tables import Integration, Lock, MarketplaceParticipation, RelayAddress, SetupStep, SyncStatus

log = structlog.get_logger()

# A candidate is taken with a chance of one in 100 even with ten million addresses given out.
_ADDRESS_ATTEMPTS: Final = 20
_BATCH: Final = 500


async def list_integrations(
    sessions: Sessions, account_id: UUID, *, limit: int, after: UUID | None
) -> list[queries.Listed]:
    """A page of the account's integrations, oldest first."""
    async with sessions.begin() as session:
        return await queries.list_page(session, account_id, limit=limit, after=after)


async def get_integration(sessions: Sessions, account_id: UUID, integration_id: UUID) -> queries.Detail:
    """Raises NotFound."""
    async with sessions.begin() as session:
        return await _detail(session, account_id, integration_id)


async def rename(
    sessions: Sessions, caller: Caller, integration_id: UUID, entered: str, now: datetime
) -> queries.Detail:
    """Give a name; the first one brings the relay address. Raises NotFound, NameEmpty, NameTooLong, NameTaken."""
    name = clean_name(entered)
    try:
        async with sessions.begin() as session:
            integration = await _lock_row(session, caller.account_id, integration_id)
            is_first = integration.name is None
            integration.name, integration.name_key = name, name_key(name)
            await session.flush()
            if is_first:
                await _give_address(session, integration)
            session.add(
                audit_entry(
                    caller, "integration_named" if is_first else "integration_renamed", integration_id
                )
            )
            await _changed(session, caller.account_id, integration_id, now)
            return await _detail(session, caller.account_id, integration_id)
    except IntegrityError as error:
        if "uq_integrations_name" in str(error.orig):
            raise NameTaken from error
        raise


async def disconnect(sessions: Sessions, caller: Caller, integration_id: UUID, now: datetime) -> None:
    """Tokens are destroyed and the address retired at once; conversations stay. Raises NotFound."""
    async with sessions.begin() as session:
        integration = await _lock_row(session, caller.account_id, integration_id)
        integration.disconnected_at = now
        await tokens.destroy_grant(session, integration_id)
        retired = await session.scalar(
            update(RelayAddress)
            .where(RelayAddress.integration_id == integration_id, RelayAddress.retired_at.is_(None))
            .values(retired_at=now)
            .returning(RelayAddress.local_part)
        )
        if retired is not None:
            await _tell_relays(session, retired)
        session.add(audit_entry(caller, "integration_disconnected", integration_id))
        await announce(
            session, caller.account_id, EventKind.INTEGRATION_CHANGED, integration_id=integration_id
        )
    log.info("integration_disconnected", integration_id=str(integration_id))


async def tick_step(
    sessions: Sessions, caller: Caller, integration_id: UUID, step: Step, *, done: bool, now: datetime
) -> datetime | None:
    """Mark a step as done or open; twice is the same as once. When it was done. Raises NotFound."""
    async with sessions.begin() as session:
        await _lock_row(session, caller.account_id, integration_id)
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
                    done_by=caller.user_id if caller.is_browser else None,
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
        await _changed(session, caller.account_id, integration_id, now, step_was_opened=not done)
        return (await _detail(session, caller.account_id, integration_id)).done.get(step)


async def connect_store(
    session: AsyncSession,
    account_id: UUID,
    *,
    region: Region,
    seller_id: str,
    home_country: str,
    now: datetime,
) -> tuple[UUID, bool]:
    """The account's integration of this store, locked, and whether it is new. The database decides between two at once."""
    while True:
        made = await session.scalar(
            insert(Integration)
            .values(
                id=new_id(),
                account_id=account_id,
                region=region,
                home_country=home_country,
                seller_id=seller_id,
                lock_since=now,
                created_at=now,
            )
            .on_conflict_do_nothing()
            .returning(Integration.id)
        )
        if made is not None:
            return made, True
        known = await session.scalar(
            select(Integration.id)
            .where(
                Integration.account_id == account_id,
                Integration.region == region,
                Integration.seller_id == seller_id,
                Integration.disconnected_at.is_(None),
            )
            .with_for_update(key_share=True)
        )
        # None: it has been disconnected between the two statements, so that the next insert succeeds.
        if known is not None:
            return known, False


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
    changes: dict[str, Any] = {"sync_status": SyncStatus.OK.value, "synced_at": now}
    if store.name is not None:
        changes["store_name"] = store.name
    await session.execute(update(Integration).where(Integration.id == integration_id).values(**changes))
    await _changed(session, account_id, integration_id, now)


async def refresh_participations(
    sessions: Sessions, keyring: Keyring, amazon: Amazon, integration_id: UUID, now: datetime
) -> None:
    """Ask Amazon again in which countries the store sells. Does nothing for a store that is disconnected.

    Raises AmazonUnavailable, RenewalBusy (try again later), and what else Amazon refuses; the sync status tells of it.
    """
    async with sessions.begin() as session:
        row = (
            await session.execute(
                select(Integration.account_id, Integration.region).where(
                    Integration.id == integration_id, Integration.disconnected_at.is_(None)
                )
            )
        ).one_or_none()
    if row is None:
        return
    try:
        store = await _ask_amazon(
            sessions,
            keyring,
            amazon,
            account_id=row.account_id,
            integration_id=integration_id,
            region=Region(row.region),
        )
    except Expected as failure:
        is_passing = isinstance(failure, AmazonUnavailable | tokens.RenewalBusy)
        await _note_failure(sessions, row.account_id, integration_id, is_passing=is_passing, now=now)
        raise
    async with sessions.begin() as session:
        still_connected = await session.scalar(
            select(Integration.id)
            .where(Integration.id == integration_id, Integration.disconnected_at.is_(None))
            .with_for_update(key_share=True)
        )
        if still_connected is not None:
            await save_store(session, row.account_id, integration_id, store, now)


async def refresh_all(sessions: Sessions) -> int:
    """Enqueue the daily refresh of every connected integration, a batch per transaction. How many."""
    count, after = 0, None
    while True:
        async with sessions.begin() as session:
            batch = await queries.active_ids(session, limit=_BATCH, after=after)
            for _, integration_id in batch:
                await enqueue(session, Job.REFRESH_PARTICIPATIONS, integration_id)
        count += len(batch)
        if len(batch) < _BATCH:
            return count
        after = batch[-1][1]


async def _ask_amazon(
    sessions: Sessions,
    keyring: Keyring,
    amazon: Amazon,
    *,
    account_id: UUID,
    integration_id: UUID,
    region: Region,
) -> Store:
    token = await tokens.access_token(sessions, keyring, amazon, account_id, integration_id)
    try:
        return await get_marketplace_participations(amazon.sp_api, region, token.value)
    except TokenRefused:
        # Ended early or made invalid by Amazon: one new token, one more try.
        token = await tokens.access_token(
            sessions, keyring, amazon, account_id, integration_id, refused_version=token.version
        )
        return await get_marketplace_participations(amazon.sp_api, region, token.value)


async def _note_failure(
    sessions: Sessions, account_id: UUID, integration_id: UUID, *, is_passing: bool, now: datetime
) -> None:
    """Late or failed; since when, `synced_at` tells. The lock follows facts, not failures."""
    status = SyncStatus.LATE if is_passing else SyncStatus.FAILED
    async with sessions.begin() as session:
        changed = await session.scalar(
            update(Integration)
            .where(
                Integration.id == integration_id,
                Integration.disconnected_at.is_(None),
                Integration.sync_status != status.value,
            )
            .values(sync_status=status.value)
            .returning(Integration.id)
        )
        if changed is not None:
            await _changed(session, account_id, integration_id, now)


async def _changed(
    session: AsyncSession,
    account_id: UUID,
    integration_id: UUID,
    now: datetime,
    *,
    step_was_opened: bool = False,
) -> None:
    """Recompute the lock from what the transaction has written so far, and tell whoever listens."""
    detail = await _detail(session, account_id, integration_id)
    current = Lock(detail.listed.lock)
    lock = next_lock(current, detail.facts, now, step_was_opened=step_was_opened)
    if lock is not current:
        await session.execute(
            update(Integration)
            .where(Integration.id == integration_id)
            .values(lock=lock.value, lock_since=now)
        )
    await announce(session, account_id, EventKind.INTEGRATION_CHANGED, integration_id=integration_id)


async def _detail(session: AsyncSession, account_id: UUID, integration_id: UUID) -> queries.Detail:
    detail = await queries.detail_of(session, account_id, integration_id)
    if detail is None:
        raise NotFound
    return detail


async def _lock_row(session: AsyncSession, account_id: UUID, integration_id: UUID) -> Integration:
    """The row, held until the transaction ends. Raises NotFound."""
    integration = await session.scalar(
        select(Integration)
        .where(
            Integration.id == integration_id,
            Integration.account_id == account_id,
            Integration.disconnected_at.is_(None),
        )
        .with_for_update(key_share=True)
    )
    if integration is None:
        raise NotFound
    return integration


async def _give_address(session: AsyncSession, integration: Integration) -> None:
    """A local part that was never given out; the unique index decides, also between two at once."""
    for _ in range(_ADDRESS_ATTEMPTS):
        local_part = await session.scalar(
            insert(RelayAddress)
            .values(
                id=new_id(),
                account_id=integration.account_id,
                integration_id=integration.id,
                local_part=new_local_part(secrets.choice),
            )
            .on_conflict_do_nothing(index_elements=["local_part"])
            .returning(RelayAddress.local_part)
        )
        if local_part is not None:
            await _tell_relays(session, local_part)
            return
    raise AssertionError("no free relay address found")


async def _tell_relays(session: AsyncSession, local_part: str) -> None:
    """Relays keep addresses in memory; this reaches them when the transaction commits."""
    await session.execute(
        text("SELECT pg_notify(:channel, :payload)"), {"channel": ADDRESS_CHANNEL, "payload": local_part}
    )
