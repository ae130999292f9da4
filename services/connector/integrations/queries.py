"""Reads of the integrations room: plain columns, a fixed number of statements, nothing sealed opened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Row, Select, bindparam, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.integrations.health import APPLICATION, AT_RISK, DEACTIVATED, Facts, Trouble
from services.connector.integrations.setup_steps import STEPS_OF_COUNTRIES, Step, steps_of
from shared.compiled_select import CompiledSelect
from shared.database import Reader, Sessions
from shared.marketplaces import MARKETPLACES, Region
from shared.tables import (
    AfterGracePeriod,
    AmazonPause,
    Grant,
    Integration,
    Lock,
    MarketplaceParticipation,
    OrderSync,
    OutboundMessage,
    RelayAddress,
    ReplyFailure,
    ServiceTrouble,
    SetupStep,
    SetupStepName,
    SmtpConfiguration,
    Summary,
    SyncStatus,
)

_COUNTRY_ORDER = {marketplace.country: number for number, marketplace in enumerate(MARKETPLACES)}


class Listed(NamedTuple):
    """An integration as the list shows it, in the order of `_listed`'s columns. Of enumerations it has the texts, which are equal to their members."""

    id: UUID
    source: str
    name: str | None
    region: Region
    home_country: str
    seller_id: str | None
    uses_api: bool
    store_name: str | None
    lock: Lock
    lock_since: datetime
    summary: Summary
    summary_countries: list[str]
    worst_check: str | None
    sync_status: SyncStatus
    synced_at: datetime | None
    last_message_at: datetime | None
    first_authentic_mail_at: datetime | None
    verification_mail_at: datetime | None
    last_order_at: datetime | None
    misdirected_mail_at: datetime | None
    forwarded_mail_at: datetime | None
    sender_refused_at: datetime | None
    reply_confirmed_at: datetime | None
    created_at: datetime
    local_part: str | None
    paused_at: datetime | None
    idle_since: datetime | None
    idle_checks: int
    version: int
    owner_id: UUID | None
    rests_until: datetime | None
    data_after_rest: AfterGracePeriod | None
    orders_known_until: datetime | None
    orders_completed_at: datetime | None
    order_count: int | None
    history_until: datetime | None
    history_done_at: datetime | None
    orders_next_at: datetime | None


@dataclass(frozen=True, slots=True)
class Country:
    """What Amazon said last of the store in one country."""

    country: str
    is_participating: bool
    has_suspended_listings: bool
    last_order_at: datetime | None
    account_status: str | None
    account_status_at: datetime | None


@dataclass(frozen=True, slots=True)
class Done:
    """When a step was ticked; by itself, when the first mail from that country proved it."""

    at: datetime
    by_itself: bool


@dataclass(frozen=True, slots=True)
class Detail:
    """Everything that is known of one integration; `done` are the ticked steps."""

    listed: Listed
    countries: tuple[Country, ...]
    steps: tuple[Step, ...]
    done: dict[Step, Done]
    facts: Facts
    own_sender: str | None

    @property
    def selling_country(self) -> str:
        """Its home, or where it does sell if it does not sell there: its Seller Central is open to the seller."""
        sells_in = [each.country for each in self.countries if each.is_participating]
        home = self.listed.home_country
        return home if home in sells_in or not sells_in else sells_in[0]

    def reply_address(self, mail_domain: str) -> str:
        """The address that the store's replies come from: that of the seller's own SMTP server, or the relay address."""
        return self.own_sender or f"{self.listed.local_part}@{mail_domain}"


def _listed(*, in_grace_period: bool = False) -> Select[*tuple[Any, ...]]:
    return (
        select(
            Integration.id,
            Integration.source,
            Integration.name,
            Integration.region,
            Integration.home_country,
            Integration.seller_id,
            Integration.uses_api,
            Integration.store_name,
            Integration.lock,
            Integration.lock_since,
            Integration.summary,
            Integration.summary_countries,
            Integration.worst_check,
            Integration.sync_status,
            Integration.synced_at,
            Integration.last_message_at,
            Integration.first_authentic_mail_at,
            Integration.verification_mail_at,
            Integration.last_order_at,
            Integration.misdirected_mail_at,
            Integration.forwarded_mail_at,
            Integration.sender_refused_at,
            Integration.reply_confirmed_at,
            Integration.created_at,
            RelayAddress.local_part,
            Integration.paused_at,
            Integration.idle_participation_since.label("idle_since"),
            Integration.idle_participation_checks.label("idle_checks"),
            Integration.version,
            Integration.owner_id,
            Integration.rests_until,
            Integration.data_after_rest,
            OrderSync.cursor_at.label("orders_known_until"),
            OrderSync.completed_at.label("orders_completed_at"),
            OrderSync.order_count,
            OrderSync.history_until,
            OrderSync.history_done_at,
            OrderSync.next_at.label("orders_next_at"),
        )
        .outerjoin(OrderSync, OrderSync.integration_id == Integration.id)
        .outerjoin(
            RelayAddress,
            (RelayAddress.integration_id == Integration.id) & RelayAddress.retired_at.is_(None),
        )
        .where(
            Integration.account_id == bindparam("account_id"),
            Integration.removed_at.is_(None),
            Integration.disconnected_at.is_not(None)
            if in_grace_period
            else Integration.disconnected_at.is_(None),
        )
    )


# Built once: that costs as much as the asking.
_ONE: Final = _listed().where(Integration.id == bindparam("integration_id"))
_PAGE: Final = {
    in_grace_period: CompiledSelect(
        _listed(in_grace_period=in_grace_period)
        .where(Integration.id > bindparam("after"))
        .order_by(Integration.id)
        .limit(bindparam("limit"))
    )
    for in_grace_period in (False, True)
}
_BEFORE_ALL: Final = UUID(int=0)


async def list_page(
    sessions: Sessions, account_id: UUID, *, in_grace_period: bool, limit: int, after: UUID | None
) -> list[Listed]:
    """The account's integrations, oldest first, in one statement."""
    rows = await _PAGE[in_grace_period].all(
        sessions, account_id=account_id, after=after or _BEFORE_ALL, limit=limit
    )
    # By place, not by name: that takes a tenth of the time.
    return [Listed._make(row) for row in rows]


async def detail_of(reader: Reader, account_id: UUID, integration_id: UUID) -> Detail | None:
    """One integration with all that its page shows, or None. A fixed number of statements, however much there is."""
    parameters = {"account_id": account_id, "integration_id": integration_id}
    row = (await reader.execute(_ONE, parameters)).mappings().one_or_none()
    if row is None:
        return None
    listed = Listed(**row)
    # A grant without tokens is the trace of one that was destroyed. With it, what is stored of the seller's own SMTP server.
    grant = (
        await reader.execute(
            select(
                Grant.consented_at,
                (func.length(Grant.refresh_token) > 0).label("is_there"),
                Grant.refused_at,
                Grant.revoked_at,
                Grant.delayed_since,
                Grant.role_missing_since,
                Grant.role_missing_operation,
                SmtpConfiguration.sender_address,
                SmtpConfiguration.refused_since.label("smtp_refused_since"),
                SmtpConfiguration.refused_at.label("smtp_refused_at"),
                OrderSync.report_columns_missing,
                OrderSync.report_columns_checked_at,
            )
            .select_from(Integration)
            .outerjoin(Grant, Grant.integration_id == Integration.id)
            .outerjoin(OrderSync, OrderSync.integration_id == Integration.id)
            .outerjoin(SmtpConfiguration, SmtpConfiguration.integration_id == Integration.id)
            .where(Integration.id == integration_id)
        )
    ).one()
    rows = await reader.execute(
        select(
            MarketplaceParticipation.country,
            MarketplaceParticipation.is_participating,
            MarketplaceParticipation.has_suspended_listings,
            MarketplaceParticipation.last_order_at,
            MarketplaceParticipation.account_status,
            MarketplaceParticipation.account_status_at,
        ).where(MarketplaceParticipation.integration_id == integration_id)
    )
    countries = tuple(
        sorted((Country(*r) for r in rows.all()), key=lambda c: _COUNTRY_ORDER.get(c.country, 99))
    )
    ticked = (
        await reader.execute(
            select(SetupStep.step, SetupStep.country, SetupStep.done_at, SetupStep.done_by).where(
                SetupStep.integration_id == integration_id
            )
        )
    ).all()
    done = {
        Step(SetupStepName(row.step), row.country): Done(row.done_at, by_itself=row.done_by is None)
        for row in ticked
    }
    sells_in = [c.country for c in countries if c.is_participating]
    steps = steps_of(listed.home_country, sells_in, uses_api=listed.uses_api)
    troubles = await reader.execute(
        select(ServiceTrouble.scope, ServiceTrouble.since).where(
            ServiceTrouble.scope.in_([APPLICATION, "lwa", f"sp-api:{listed.region}"])
        )
    )
    paused_since = (await reader.execute(select(func.min(AmazonPause.paused_at)))).scalar_one()
    refused_in: tuple[str, ...] = ()
    if listed.sender_refused_at is not None:
        refused_in = await _refused_in(reader, integration_id, listed.sender_refused_at)
    facts = replace(
        _facts(listed, countries, steps, done, grant),
        sender_refused_at=listed.sender_refused_at,
        sender_refused_in=refused_in,
        reply_confirmed_at=listed.reply_confirmed_at,
        smtp_refused_since=grant.smtp_refused_since,
        smtp_refused_at=grant.smtp_refused_at,
        report_columns_missing=grant.report_columns_missing,
        report_columns_checked_at=grant.report_columns_checked_at,
    )
    return Detail(
        listed,
        countries,
        steps,
        done,
        replace(
            facts,
            troubles=tuple(Trouble(*trouble) for trouble in troubles.all()),
            amazon_paused_since=paused_since,
        ),
        grant.sender_address,
    )


async def _refused_in(reader: Reader, integration_id: UUID, since: datetime) -> tuple[str, ...]:
    """The countries whose replies were refused because of their sender since then, of the newest hundred that failed."""
    newest = (
        select(OutboundMessage.country)
        .where(
            OutboundMessage.integration_id == integration_id,
            # Written out as in the partial index, of which PostgreSQL sees no parameter's value.
            OutboundMessage.failure == literal_column(f"'{ReplyFailure.SENDER_NOT_APPROVED.value}'"),
            OutboundMessage.state_since >= since,
            OutboundMessage.country.is_not(None),
        )
        .order_by(OutboundMessage.id.desc())
        .limit(100)
        .subquery()
    )
    rows = await reader.execute(select(newest.c.country).distinct())
    return tuple(sorted((row.country for row in rows), key=lambda country: _COUNTRY_ORDER.get(country, 99)))


def _facts(
    listed: Listed,
    countries: Sequence[Country],
    steps: tuple[Step, ...],
    done: Mapping[Step, Done],
    grant: Row[*tuple[Any, ...]],
) -> Facts:
    seen = frozenset(
        step.country
        for step, tick in done.items()
        if step.name is SetupStepName.NOTIFICATION_PREFERENCES and tick.by_itself
    )
    left = {step.country for step in steps if step not in done and step.name in STEPS_OF_COUNTRIES} - seen
    return Facts(
        created_at=listed.created_at,
        is_named=listed.name is not None,
        uses_api=listed.uses_api,
        open_steps=sum(step not in done for step in steps),
        open_countries=tuple(
            step.country
            for step in steps
            if step.name is SetupStepName.SELLER_PROFILE and step.country in left
        ),
        has_grant=bool(grant.is_there),
        consented_at=grant.consented_at,
        synced_at=listed.synced_at,
        participating=tuple(c.country for c in countries if c.is_participating),
        suspended=tuple(c.country for c in countries if c.has_suspended_listings),
        deactivated=tuple(c.country for c in countries if c.account_status == DEACTIVATED),
        at_risk=tuple(c.country for c in countries if c.account_status == AT_RISK),
        account_told_at=max((c.account_status_at for c in countries if c.account_status_at), default=None),
        last_message_at=listed.last_message_at,
        first_authentic_mail_at=listed.first_authentic_mail_at,
        verification_mail_at=listed.verification_mail_at,
        last_order_at=listed.last_order_at,
        misdirected_mail_at=listed.misdirected_mail_at,
        forwarded_mail_at=listed.forwarded_mail_at,
        paused_at=listed.paused_at,
        refused_at=grant.refused_at,
        revoked_at=grant.revoked_at,
        delayed_since=grant.delayed_since,
        role_missing_since=grant.role_missing_since,
        role_missing_operation=grant.role_missing_operation,
        idle_since=listed.idle_since,
        idle_checks=listed.idle_checks,
        newest_orders={c.country: c.last_order_at for c in countries if c.last_order_at is not None},
        orders_known_until=listed.orders_known_until,
        orders_completed_at=listed.orders_completed_at,
        orders_next_at=listed.orders_next_at,
        seen_countries=tuple(sorted(seen)),
    )


async def due_ids(session: AsyncSession, now: datetime, *, limit: int) -> Sequence[Row[*tuple[UUID, UUID]]]:
    """Connected stores whose state time may have changed, with their accounts, the longest due first."""
    statement = (
        select(Integration.id, Integration.account_id)
        .where(Integration.health_due_at <= now, Integration.disconnected_at.is_(None))
        .order_by(Integration.health_due_at)
        .limit(limit)
    )
    return (await session.execute(statement)).all()


async def active_ids(session: AsyncSession, *, limit: int, after: UUID | None) -> Sequence[UUID]:
    """Integrations that are connected by Amazon's API and not paused, of all accounts, in the order of their ids."""
    statement = (
        select(Integration.id)
        .where(Integration.disconnected_at.is_(None), Integration.paused_at.is_(None), Integration.uses_api)
        .order_by(Integration.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(Integration.id > after)
    return (await session.scalars(statement)).all()
