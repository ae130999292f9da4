"""Reads of the integrations room: plain columns, a fixed number of statements, nothing sealed opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.integrations.guide import Step, steps_of
from services.connector.integrations.health import Facts
from shared.marketplaces import MARKETPLACES
from shared.tables import Grant, Integration, MarketplaceParticipation, RelayAddress, SetupStep, SetupStepName

_COUNTRY_ORDER = {marketplace.country: number for number, marketplace in enumerate(MARKETPLACES)}


@dataclass(frozen=True, slots=True)
class Listed:
    """An integration as the list shows it."""

    id: UUID
    source: str
    name: str | None
    region: str
    home_country: str
    seller_id: str
    store_name: str | None
    lock: str
    lock_since: datetime
    sync_status: str
    synced_at: datetime | None
    last_message_at: datetime | None
    last_order_at: datetime | None
    created_at: datetime
    local_part: str | None


@dataclass(frozen=True, slots=True)
class Country:
    """What Amazon said last of the store in one country."""

    country: str
    is_participating: bool
    has_suspended_listings: bool


@dataclass(frozen=True, slots=True)
class Detail:
    """Everything that is known of one integration; `done` tells when each step was ticked."""

    listed: Listed
    countries: tuple[Country, ...]
    steps: tuple[Step, ...]
    done: dict[Step, datetime]
    facts: Facts


def _listed(account_id: UUID) -> Select[*tuple[Any, ...]]:
    return (
        select(
            Integration.id,
            Integration.source,
            Integration.name,
            Integration.region,
            Integration.home_country,
            Integration.seller_id,
            Integration.store_name,
            Integration.lock,
            Integration.lock_since,
            Integration.sync_status,
            Integration.synced_at,
            Integration.last_message_at,
            Integration.last_order_at,
            Integration.created_at,
            RelayAddress.local_part,
        )
        .outerjoin(
            RelayAddress,
            (RelayAddress.integration_id == Integration.id) & RelayAddress.retired_at.is_(None),
        )
        .where(Integration.account_id == account_id, Integration.disconnected_at.is_(None))
    )


async def list_page(
    session: AsyncSession, account_id: UUID, *, limit: int, after: UUID | None
) -> list[Listed]:
    """The account's integrations, oldest first, in one statement."""
    statement = _listed(account_id).order_by(Integration.id).limit(limit)
    if after is not None:
        statement = statement.where(Integration.id > after)
    return [Listed(*row) for row in (await session.execute(statement)).all()]


async def detail_of(session: AsyncSession, account_id: UUID, integration_id: UUID) -> Detail | None:
    """One integration with all that its page shows, or None. Four statements, however much there is."""
    row = (await session.execute(_listed(account_id).where(Integration.id == integration_id))).one_or_none()
    if row is None:
        return None
    listed = Listed(*row)
    # A grant without tokens is the trace of one that was destroyed.
    grant = (
        await session.execute(
            select(Grant.consented_at, (func.length(Grant.refresh_token) > 0).label("is_there")).where(
                Grant.integration_id == integration_id
            )
        )
    ).one_or_none()
    rows = await session.execute(
        select(
            MarketplaceParticipation.country,
            MarketplaceParticipation.is_participating,
            MarketplaceParticipation.has_suspended_listings,
        ).where(MarketplaceParticipation.integration_id == integration_id)
    )
    countries = tuple(
        sorted((Country(*r) for r in rows.all()), key=lambda c: _COUNTRY_ORDER.get(c.country, 99))
    )
    ticked = await session.execute(
        select(SetupStep.step, SetupStep.country, SetupStep.done_at).where(
            SetupStep.integration_id == integration_id
        )
    )
    done = {Step(SetupStepName(step), country): done_at for step, country, done_at in ticked.all()}
    steps = steps_of(listed.home_country, [c.country for c in countries if c.is_participating])
    return Detail(listed, countries, steps, done, _facts(listed, grant, countries, steps, done))


def _facts(
    listed: Listed,
    grant: Row[datetime, bool] | None,
    countries: Sequence[Country],
    steps: tuple[Step, ...],
    done: dict[Step, datetime],
) -> Facts:
    return Facts(
        created_at=listed.created_at,
        is_named=listed.name is not None,
        open_steps=sum(step not in done for step in steps),
        has_grant=grant is not None and grant.is_there,
        consented_at=grant.consented_at if grant is not None else None,
        synced_at=listed.synced_at,
        participating=tuple(c.country for c in countries if c.is_participating),
        suspended=tuple(c.country for c in countries if c.has_suspended_listings),
        last_message_at=listed.last_message_at,
        last_order_at=listed.last_order_at,
    )


async def active_ids(session: AsyncSession, *, limit: int, after: UUID | None) -> Sequence[tuple[UUID, UUID]]:
    """Account and id of integrations that are connected, of all accounts, by id."""
    statement = (
        select(Integration.account_id, Integration.id)
        .where(Integration.disconnected_at.is_(None))
        .order_by(Integration.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(Integration.id > after)
    return [
        (account_id, integration_id)
        for account_id, integration_id in (await session.execute(statement)).all()
    ]
