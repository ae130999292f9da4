"""The row of an integration and what hangs on it: locked, given an address, connected again. Everything happens inside the caller's transaction."""

import secrets
from collections.abc import Callable
from typing import Final
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.problems.catalogue import NotFound
from shared.addresses import new_local_part
from shared.channels import ADDRESS_CHANNEL, MAIL_CHANNEL
from shared.driver import new_id
from shared.tables import AcceptedMail, Integration, MailState, RelayAddress, SpentAddress, SyncStatus

# A candidate is taken with a chance of one in 100 even with ten million addresses given out.
_ADDRESS_ATTEMPTS: Final = 20


async def lock_row(
    session: AsyncSession, account_id: UUID, integration_id: UUID, *, in_grace_period: bool = False
) -> Integration:
    """The row of a connected store, or of one in its grace period, held until the transaction ends. Raises NotFound."""
    integration = await session.scalar(
        select(Integration)
        .where(
            Integration.id == integration_id,
            Integration.account_id == account_id,
            Integration.removed_at.is_(None),
        )
        .with_for_update(key_share=True)
    )
    if integration is None or (integration.disconnected_at is not None) is not in_grace_period:
        raise NotFound
    return integration


async def assign_relay_address(
    session: AsyncSession,
    integration: Integration,
    *,
    local_parts: Callable[[], str] = lambda: new_local_part(secrets.choice),
) -> None:
    """Give the store a local part that was never given out. The unique index decides, also between two transactions at once."""
    for _ in range(_ADDRESS_ATTEMPTS):
        address_id, local_part = new_id(), local_parts()
        async with session.begin_nested() as attempt:
            made = await session.scalar(
                insert(RelayAddress)
                .values(
                    id=address_id,
                    account_id=integration.account_id,
                    integration_id=integration.id,
                    local_part=local_part,
                )
                .on_conflict_do_nothing(index_elements=["local_part"])
                .returning(RelayAddress.id)
            )
            # Asked afterwards: an erasure that made room for this row has committed by now.
            spent = select(SpentAddress.local_part).where(SpentAddress.local_part == local_part)
            if made is not None and await session.scalar(spent) is None:
                await notify_relays(session, address_id)
                return
            await attempt.rollback()
    raise AssertionError("no free relay address found")


async def notify_relays(session: AsyncSession, address_id: UUID) -> None:
    """Relays keep addresses in memory; this reaches them when the transaction commits."""
    await session.execute(
        text("SELECT pg_notify(:channel, :payload)"), {"channel": ADDRESS_CHANNEL, "payload": str(address_id)}
    )


async def reconnect(session: AsyncSession, integration: Integration) -> None:
    """End a store's grace period: it is connected again, without tokens. The caller holds the row and has made its name unique."""
    integration.disconnected_at = integration.rests_until = integration.data_after_rest = None
    integration.sync_status = (SyncStatus.PAUSED if integration.paused_at else SyncStatus.LATE).value
    integration.version += 1
    await session.flush()
    await release_mail(session, integration.id)


async def release_mail(session: AsyncSession, integration_id: UUID) -> None:
    """Have the mail delivered that came during the grace period. The mail worker sets mail aside only while it holds this row."""
    addresses = select(RelayAddress.id).where(RelayAddress.integration_id == integration_id)
    await session.execute(
        update(AcceptedMail)
        .where(AcceptedMail.relay_address_id.in_(addresses), AcceptedMail.state == MailState.RESTING)
        .values(state=MailState.ACCEPTED)
    )
    await session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": MAIL_CHANNEL})
