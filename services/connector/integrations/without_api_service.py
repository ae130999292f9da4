"""Stores without Amazon's API: their mail comes to an address like any other's, and their seller says in which countries they sell."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.accounts.service import require_open
from services.connector.integrations import queries
from services.connector.integrations.names import NameTaken, clean_name, name_key
from services.connector.integrations.row_locks import assign_relay_address, lock_row
from services.connector.integrations.service import recompute_lock
from services.connector.problems.catalogue import NotFound
from shared.database import Sessions
from shared.errors import Expected
from shared.marketplaces import BY_COUNTRY, Marketplace
from shared.tables import Integration, MarketplaceParticipation


class CountryOutsideRegion(Expected):
    """Amazon has no marketplace in this country, or one of another region than the store's home."""

    code = "country_outside_region"


class CountriesByAmazon(Expected):
    """The store is authorized: in which countries it sells, Amazon says."""

    code = "countries_by_amazon"


async def add(
    sessions: Sessions, caller: Caller, *, name: str, country: str, countries: Sequence[str], now: datetime
) -> queries.Detail:
    """Add a store with its name, and thereby its address. Raises NameEmpty, NameTooLong, NameTaken, CountryOutsideRegion, AccountClosed."""
    name = clean_name(name)
    home = BY_COUNTRY.get(country)
    if home is None:
        raise CountryOutsideRegion
    sells_in = _marketplaces_of(home, countries or [country])
    try:
        async with sessions.begin() as session:
            await require_open(session, caller.account_id)
            integration = Integration(
                account_id=caller.account_id,
                region=home.region,
                home_country=country,
                uses_api=False,
                name=name,
                name_key=name_key(name),
                owner_id=caller.user_id,
                lock_since=now,
                created_at=now,
            )
            session.add(integration)
            await session.flush()
            await assign_relay_address(session, integration)
            await _replace_countries(session, integration, sells_in, now)
            session.add(audit_entry(caller, "integration_added_without_api", integration.id, country=country))
            await recompute_lock(session, caller.account_id, integration.id, now)
            return await _detail(session, integration)
    except IntegrityError as error:
        if "uq_integrations_name" in str(error.orig):
            raise NameTaken from error
        raise


async def change_countries(
    sessions: Sessions, caller: Caller, integration_id: UUID, countries: Sequence[str], now: datetime
) -> queries.Detail:
    """Say in which countries the store sells; the guide has steps for each of them.

    Raises NotFound, CountriesByAmazon, CountryOutsideRegion.
    """
    async with sessions.begin() as session:
        integration = await lock_row(session, caller.account_id, integration_id)
        if integration.uses_api:
            raise CountriesByAmazon
        sells_in = _marketplaces_of(BY_COUNTRY[integration.home_country], countries)
        await _replace_countries(session, integration, sells_in, now)
        listed = " ".join(marketplace.country for marketplace in sells_in)
        session.add(audit_entry(caller, "integration_countries_changed", integration_id, countries=listed))
        await recompute_lock(session, caller.account_id, integration_id, now)
        return await _detail(session, integration)


def _marketplaces_of(home: Marketplace, countries: Sequence[str]) -> list[Marketplace]:
    found = [BY_COUNTRY.get(country) for country in dict.fromkeys(countries)]
    sells_in = [each for each in found if each is not None and each.region == home.region]
    if len(sells_in) < len(found):
        raise CountryOutsideRegion
    return sells_in


async def _replace_countries(
    session: AsyncSession, integration: Integration, sells_in: Sequence[Marketplace], now: datetime
) -> None:
    await session.execute(
        delete(MarketplaceParticipation).where(MarketplaceParticipation.integration_id == integration.id)
    )
    session.add_all(
        MarketplaceParticipation(
            integration_id=integration.id,
            marketplace_id=marketplace.marketplace_id,
            account_id=integration.account_id,
            country=marketplace.country,
            is_participating=True,
            has_suspended_listings=False,
            updated_at=now,
        )
        for marketplace in sells_in
    )
    await session.flush()


async def _detail(session: AsyncSession, integration: Integration) -> queries.Detail:
    detail = await queries.detail_of(session, integration.account_id, integration.id)
    if detail is None:
        raise NotFound
    return detail
