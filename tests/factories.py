"""One function per table: rows with sensible defaults, so that a test names only what it is about."""

from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared.crypto.envelope import Place
from shared.database import new_id
from shared.keyring import Keyring
from shared.marketplaces import BY_COUNTRY
from shared.tables import Account, Grant, Integration, MarketplaceParticipation, RelayAddress, User

_numbers = count(1)


async def make_account(session: AsyncSession, keyring: Keyring, *, name: str = "Lampenladen GmbH") -> Account:
    account = Account(id=new_id(), name=name)
    session.add(account)
    await session.flush()
    await keyring.create(session, account.id)
    return account


async def make_user(
    session: AsyncSession,
    account_id: UUID,
    *,
    email: str | None = None,
    password_hash: str = "!",
    general_admin: str = "edit",
    inbox_messages: str = "edit",
    language: str = "de",
) -> User:
    user = User(
        id=new_id(),
        account_id=account_id,
        email=email or f"user{next(_numbers)}@seller.example",
        password_hash=password_hash,
        name="Test User",
        language=language,
        time_zone="Europe/Berlin",
        general_admin=general_admin,
        inbox_messages=inbox_messages,
    )
    session.add(user)
    await session.flush()
    return user


async def make_integration(
    session: AsyncSession,
    account_id: UUID,
    *,
    name: str | None = "Amazon Europa",
    region: str = "eu",
    home_country: str = "DE",
    seller_id: str | None = None,
    lock: str = "pending",
    countries: tuple[str, ...] = ("DE", "FR", "IT"),
) -> Integration:
    integration = Integration(
        id=new_id(),
        account_id=account_id,
        name=name,
        name_key=name.casefold() if name else None,
        region=region,
        home_country=home_country,
        seller_id=seller_id or f"A{next(_numbers):013d}",
        store_name="Lampenladen",
        lock=lock,
    )
    session.add(integration)
    await session.flush()
    session.add_all(
        MarketplaceParticipation(
            integration_id=integration.id,
            marketplace_id=BY_COUNTRY[country].marketplace_id,
            account_id=account_id,
            country=country,
            is_participating=True,
            has_suspended_listings=False,
        )
        for country in countries
    )
    await session.flush()
    return integration


async def make_grant(
    session: AsyncSession, keyring: Keyring, integration: Integration, *, refresh_token: str = "Atzr|refresh"
) -> Grant:
    account_keys = await keyring.of(session, integration.account_id)
    grant_id = new_id()
    grant = Grant(
        id=grant_id,
        account_id=integration.account_id,
        integration_id=integration.id,
        region=integration.region,
        seller_id=integration.seller_id,
        refresh_token=account_keys.seal_text(Place("grants", "refresh_token", grant_id), refresh_token),
        consented_at=datetime.now(UTC) - timedelta(days=1),
    )
    session.add(grant)
    await session.flush()
    return grant


async def make_relay_address(
    session: AsyncSession, integration: Integration, *, local_part: str | None = None
) -> RelayAddress:
    address = RelayAddress(
        id=new_id(),
        account_id=integration.account_id,
        integration_id=integration.id,
        local_part=local_part or f"mabtek{next(_numbers):03d}",
    )
    session.add(address)
    await session.flush()
    return address
