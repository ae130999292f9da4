"""The stores that Amazon tells of, and what is written down of their subscriptions and accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import CursorResult, Select, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.amazon.notifications import NoticeKind
from shared.marketplaces import Region
from shared.tables import Grant, Integration, MarketplaceParticipation, NoticeSubscription, OrderReport

_MOST_STORES: Final = 100


@dataclass(frozen=True, slots=True)
class Store:
    """A store that is connected and not paused."""

    account_id: UUID
    integration_id: UUID
    region: Region


async def stores_told_of(
    session: AsyncSession, kind: str, subscription_id: str, seller_id: str
) -> Sequence[Store]:
    """The stores whose subscription this is and whose seller it names: both, because a seller's id alone may be anybody's."""
    rows = await session.execute(
        _stores()
        .join(NoticeSubscription, NoticeSubscription.integration_id == Integration.id)
        .where(
            NoticeSubscription.subscription_id == subscription_id,
            NoticeSubscription.kind == kind,
            Grant.seller_id == seller_id,
        )
        .order_by(Integration.id)
        .limit(_MOST_STORES)
    )
    return [Store(row.account_id, row.id, Region(row.region)) for row in rows]


async def store_of(session: AsyncSession, integration_id: UUID) -> Store | None:
    """This store, if Amazon may be asked anything for it."""
    row = (await session.execute(_stores().where(Integration.id == integration_id))).one_or_none()
    return None if row is None else Store(row.account_id, row.id, Region(row.region))


def _stores() -> Select[UUID, UUID, str]:
    return (
        select(Integration.account_id, Integration.id, Integration.region)
        .join(Grant, Grant.integration_id == Integration.id)
        .where(
            Integration.disconnected_at.is_(None),
            Integration.paused_at.is_(None),
            func.length(Grant.refresh_token) > 0,
        )
    )


async def write_subscription(
    session: AsyncSession,
    store: Store,
    kind: NoticeKind,
    *,
    subscription_id: str | None,
    refusal: str | None,
    now: datetime,
) -> None:
    """Keep what Amazon said when it was asked to tell of this store."""
    values = {"subscription_id": subscription_id, "refusal": refusal, "checked_at": now}
    await session.execute(
        insert(NoticeSubscription)
        .values(integration_id=store.integration_id, account_id=store.account_id, kind=kind.value, **values)
        .on_conflict_do_update(index_elements=["integration_id", "kind"], set_=values)
    )


async def is_awaited(session: AsyncSession, store: Store, report_id: str) -> bool:
    """Whether this store waits for a report of this id."""
    found = await session.scalar(
        select(OrderReport.id).where(
            OrderReport.integration_id == store.integration_id, OrderReport.report_id == report_id
        )
    )
    return found is not None


async def write_account_status(
    session: AsyncSession, store: Store, marketplace_id: str | None, status: str, at: datetime
) -> bool:
    """Keep how the seller's account is in these countries, unless Amazon has said something later. Whether anything was new."""
    country = MarketplaceParticipation
    changed = await session.execute(
        update(country)
        .where(
            country.integration_id == store.integration_id,
            or_(country.account_status_at.is_(None), country.account_status_at < at),
            *([country.marketplace_id == marketplace_id] if marketplace_id is not None else []),
        )
        .values(account_status=status, account_status_at=at)
    )
    assert isinstance(changed, CursorResult)
    return changed.rowcount > 0
