"""The statements of this room that deserve a name."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.problems.catalogue import NotFound
from shared.tables import Account, ApiKey, Integration, Passkey, User, UserSession, Webhook


@dataclass(frozen=True, slots=True)
class ListedUser:
    """A user as their colleagues see them. `last_seen_at`: of a session that has not ended."""

    user: User
    last_seen_at: datetime | None
    has_second_factor: bool


async def hold_account(session: AsyncSession, account_id: UUID) -> Account:
    """The account's row, held until the transaction ends: who holds it changes its people, one after the other."""
    statement = select(Account).where(Account.id == account_id).with_for_update(key_share=True)
    return (await session.scalars(statement.execution_options(populate_existing=True))).one()


async def find_account_held(session: AsyncSession, account_id: UUID) -> Account:
    """The same for whoever names an account. Raises NotFound, also for one that is erased."""
    if await session.scalar(select(Account.id).where(Account.id == account_id)) is None:
        raise NotFound
    account = await hold_account(session, account_id)
    if account.erased_at is not None:
        raise NotFound
    return account


async def users_of(
    session: AsyncSession, account_id: UUID, *, with_disabled: bool, limit: int, after: UUID | None
) -> list[ListedUser]:
    """Oldest first."""
    statement = _listed(account_id)
    if not with_disabled:
        statement = statement.where(User.disabled_at.is_(None))
    if after is not None:
        statement = statement.where(User.id > after)
    rows = await session.execute(statement.order_by(User.id).limit(limit))
    return [ListedUser(row[0], row[1], row[2]) for row in rows]


async def user_of(session: AsyncSession, account_id: UUID, user_id: UUID) -> ListedUser | None:
    """One who is not removed."""
    row = (await session.execute(_listed(account_id).where(User.id == user_id))).one_or_none()
    return None if row is None else ListedUser(row[0], row[1], row[2])


def _listed(account_id: UUID) -> Select[User, datetime, bool]:
    seen = select(func.max(UserSession.last_seen_at)).where(UserSession.user_id == User.id).scalar_subquery()
    has_passkey = select(Passkey.id).where(Passkey.user_id == User.id).exists()
    return select(User, seen, or_(User.totp_confirmed_at.is_not(None), has_passkey)).where(
        User.account_id == account_id, User.removed_at.is_(None)
    )


async def made_by(session: AsyncSession, account_id: UUID, user_id: UUID) -> tuple[int, int, int]:
    """How many stores, webhooks and live API keys are this user's."""
    stores = (
        select(func.count())
        .select_from(Integration)
        .where(
            Integration.account_id == account_id,
            Integration.owner_id == user_id,
            Integration.removed_at.is_(None),
        )
    )
    webhooks = (
        select(func.count())
        .select_from(Webhook)
        .where(Webhook.account_id == account_id, Webhook.created_by == user_id)
    )
    keys = (
        select(func.count())
        .select_from(ApiKey)
        .where(ApiKey.account_id == account_id, ApiKey.created_by == user_id, ApiKey.revoked_at.is_(None))
    )
    return (
        await session.scalar(stores) or 0,
        await session.scalar(webhooks) or 0,
        await session.scalar(keys) or 0,
    )
