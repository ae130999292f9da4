"""What becomes of an integration after it was connected: changed, paused, disconnected, restored, removed.

Disconnecting begins a grace period: the tokens are destroyed at once, but the address still accepts mail, which stays sealed.
A store that is restored within it is as before, but for the consent. After it, the address is retired for ever.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry, system_audit_entry
from services.connector.accounts.callers import Caller
from services.connector.http.etags import require_match
from services.connector.integrations import queries
from services.connector.integrations.names import NameTaken, clean_name, name_key
from services.connector.integrations.row_locks import (
    assign_relay_address,
    lock_row,
    notify_relays,
    reconnect,
    release_mail,
)
from services.connector.integrations.service import recompute_lock
from services.connector.orders import syncs
from services.connector.privacy.deletion_watch import GoOn, always
from services.connector.problems.catalogue import NotFound
from services.connector.tokens import service as tokens
from shared.database import Sessions
from shared.errors import Expected
from shared.events import EventKind, announce
from shared.jobs import Job, enqueue
from shared.permissions import Level
from shared.tables import (
    AfterGracePeriod,
    Grant,
    Integration,
    RelayAddress,
    SmtpConfiguration,
    SyncStatus,
    User,
)

log = structlog.get_logger()

GRACE_PERIOD: Final = timedelta(days=30)
_BATCH: Final = 100


class OwnerUnfit(Expected):
    """An owner is a user of the account who may change integrations."""

    code = "owner_unfit"


@dataclass(frozen=True, slots=True)
class IntegrationChanges:
    """The attributes that a caller wants to change; those that are None stay as they are."""

    name: str | None = None
    is_paused: bool | None = None
    owner_id: UUID | None = None


async def change(
    sessions: Sessions,
    caller: Caller,
    integration_id: UUID,
    changes: IntegrationChanges,
    *,
    if_match: str | None,
    now: datetime,
) -> queries.Detail:
    """Change what is given. With its first name, an integration gets its relay address.

    Raises NotFound, PreconditionFailed, NameEmpty, NameTooLong, NameTaken, OwnerUnfit.
    """
    name = clean_name(changes.name) if changes.name is not None else None
    try:
        async with sessions.begin() as session:
            integration = await lock_row(session, caller.account_id, integration_id)
            require_match(if_match, integration.version)
            integration.version += 1
            if name is not None:
                await _set_name(session, caller, integration, name)
            if changes.is_paused is not None:
                await _pause(session, caller, integration, is_paused=changes.is_paused, now=now)
            if changes.owner_id is not None:
                await _change_owner(session, caller, integration, changes.owner_id)
            await session.flush()
            await recompute_lock(session, caller.account_id, integration_id, now)
            return await _detail(session, caller.account_id, integration_id)
    except IntegrityError as error:
        raise _name_taken(error) from error


async def disconnect(
    sessions: Sessions, caller: Caller, integration_id: UUID, data_after: AfterGracePeriod, now: datetime
) -> datetime:
    """Destroy the tokens at once and begin the grace period. The answer is when it ends. Raises ReauthenticationNeeded, NotFound."""
    caller.require_recent(now)
    async with sessions.begin() as session:
        integration = await lock_row(session, caller.account_id, integration_id)
        await _disconnect(session, integration, data_after, now)
        session.add(audit_entry(caller, "integration_disconnected", integration_id, data=data_after.value))
    log.info("integration_disconnected", integration_id=str(integration_id))
    return now + GRACE_PERIOD


async def disconnect_all(session: AsyncSession, account_id: UUID, now: datetime) -> None:
    """Disconnect every store of an account that is closed, in its transaction. Those in their grace period keep to that."""
    connected = await session.scalars(
        select(Integration)
        .where(Integration.account_id == account_id, Integration.disconnected_at.is_(None))
        .order_by(Integration.id)
        .with_for_update(key_share=True)
    )
    for integration in connected.all():
        await _disconnect(session, integration, AfterGracePeriod.DELETE, now)
        session.add(
            system_audit_entry(
                account_id, "integration_disconnected", integration.id, data=AfterGracePeriod.DELETE.value
            )
        )


async def rest_anew(
    session: AsyncSession, account_id: UUID, disconnected_at: datetime, now: datetime
) -> None:
    """Begin the grace period anew of what was disconnected then, with its account. Nobody has decided to delete these data."""
    await session.execute(
        update(Integration)
        .where(
            Integration.account_id == account_id,
            Integration.disconnected_at == disconnected_at,
            Integration.removed_at.is_(None),
        )
        .values(
            rests_until=now + GRACE_PERIOD,
            data_after_rest=AfterGracePeriod.KEEP.value,
            version=Integration.version + 1,
        )
    )


async def remove_all(sessions: Sessions, account_id: UUID, now: datetime) -> None:
    """Remove every store of an account that ends, and have the data deleted of all that ever were removed; a batch per transaction."""
    while True:
        async with sessions.begin() as session:
            await session.execute(
                update(Integration)
                .where(
                    Integration.account_id == account_id,
                    Integration.data_after_rest == AfterGracePeriod.KEEP,
                    Integration.disconnected_at.is_not(None),
                )
                .values(data_after_rest=AfterGracePeriod.DELETE.value)
            )
            left = await session.scalars(
                select(Integration)
                .where(Integration.account_id == account_id, Integration.removed_at.is_(None))
                .order_by(Integration.id)
                .limit(_BATCH)
                .with_for_update(key_share=True)
            )
            batch = left.all()
            for integration in batch:
                if integration.disconnected_at is None:
                    await _disconnect(session, integration, AfterGracePeriod.DELETE, now)
                await _remove(session, integration, now)
        if len(batch) < _BATCH:
            return


async def restore(
    sessions: Sessions, caller: Caller, integration_id: UUID, *, new_name: str | None, now: datetime
) -> queries.Detail:
    """Connect a store again within its grace period. Another consent is needed: the tokens are gone.

    Raises NotFound, NameTaken (then a new name helps), NameEmpty, NameTooLong.
    """
    name = clean_name(new_name) if new_name is not None else None
    try:
        async with sessions.begin() as session:
            integration = await lock_row(session, caller.account_id, integration_id, in_grace_period=True)
            if name is not None and integration.name is not None:
                integration.name, integration.name_key = name, name_key(name)
            await reconnect(session, integration)
            session.add(audit_entry(caller, "integration_restored", integration_id))
            await recompute_lock(session, caller.account_id, integration_id, now)
            return await _detail(session, caller.account_id, integration_id)
    except IntegrityError as error:
        raise _name_taken(error) from error


async def end_grace_periods(sessions: Sessions, now: datetime, go_on: GoOn = always) -> int:
    """Remove the stores whose grace period is over, a batch per transaction. The answer is how many. Raises what `go_on` raises, which is asked before each."""
    count = 0
    while True:
        await go_on()
        async with sessions.begin() as session:
            over = await session.scalars(
                select(Integration)
                .where(
                    Integration.disconnected_at.is_not(None),
                    Integration.removed_at.is_(None),
                    Integration.rests_until <= now,
                )
                .order_by(Integration.rests_until)
                .limit(_BATCH)
                .with_for_update(key_share=True, skip_locked=True)
            )
            batch = over.all()
            for integration in batch:
                await _remove(session, integration, now)
        count += len(batch)
        if len(batch) < _BATCH:
            return count


async def _disconnect(
    session: AsyncSession, integration: Integration, data_after: AfterGracePeriod, now: datetime
) -> None:
    integration.disconnected_at, integration.rests_until = now, now + GRACE_PERIOD
    integration.data_after_rest = data_after.value
    integration.version += 1
    await tokens.destroy_grant(session, integration.id)
    await announce(
        session, integration.account_id, EventKind.INTEGRATION_CHANGED, integration_id=integration.id
    )


async def _remove(session: AsyncSession, integration: Integration, now: datetime) -> None:
    integration.removed_at = now
    await session.flush()
    retired = await session.scalar(
        update(RelayAddress)
        .where(RelayAddress.integration_id == integration.id, RelayAddress.retired_at.is_(None))
        .values(retired_at=now)
        .returning(RelayAddress.id)
    )
    if retired is not None:
        await notify_relays(session, retired)
    await session.execute(delete(SmtpConfiguration).where(SmtpConfiguration.integration_id == integration.id))
    if integration.data_after_rest == AfterGracePeriod.KEEP:
        await release_mail(session, integration.id)
    session.add(system_audit_entry(integration.account_id, "integration_removed", integration.id))
    await announce(
        session, integration.account_id, EventKind.INTEGRATION_CHANGED, integration_id=integration.id
    )


async def _set_name(session: AsyncSession, caller: Caller, integration: Integration, name: str) -> None:
    is_first = integration.name is None
    integration.name, integration.name_key = name, name_key(name)
    await session.flush()
    if is_first:
        await assign_relay_address(session, integration)
    action = "integration_named" if is_first else "integration_renamed"
    session.add(audit_entry(caller, action, integration.id))


async def _pause(
    session: AsyncSession, caller: Caller, integration: Integration, *, is_paused: bool, now: datetime
) -> None:
    """A paused store asks nothing of Amazon, and its grant is not renewed. Its mail is still accepted."""
    if (integration.paused_at is not None) is is_paused:
        return
    integration.paused_at = now if is_paused else None
    integration.sync_status = (SyncStatus.PAUSED if is_paused else SyncStatus.LATE).value
    await session.flush()
    await session.execute(
        update(Grant)
        .where(Grant.integration_id == integration.id, func.length(Grant.refresh_token) > 0)
        .values(next_refresh_at=None if is_paused else func.now())
    )
    if not is_paused:
        await enqueue(session, Job.REFRESH_PARTICIPATIONS, integration.id)
        await syncs.wake(session, integration.id, now)
    session.add(
        audit_entry(caller, "integration_paused" if is_paused else "integration_resumed", integration.id)
    )


async def _change_owner(
    session: AsyncSession, caller: Caller, integration: Integration, owner_id: UUID
) -> None:
    is_fit = await session.scalar(
        select(User.id).where(
            User.id == owner_id,
            User.account_id == caller.account_id,
            User.disabled_at.is_(None),
            User.general_admin == Level.EDIT,
        )
    )
    if is_fit is None:
        raise OwnerUnfit
    if integration.owner_id != owner_id:
        integration.owner_id = owner_id
        session.add(audit_entry(caller, "integration_moved", integration.id, owner=str(owner_id)))


async def _detail(session: AsyncSession, account_id: UUID, integration_id: UUID) -> queries.Detail:
    detail = await queries.detail_of(session, account_id, integration_id)
    if detail is None:
        raise NotFound
    return detail


def _name_taken(error: IntegrityError) -> Exception:
    return NameTaken() if "uq_integrations_name" in str(error.orig) else error
