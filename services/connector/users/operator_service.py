"""What an operator does for an account without a browser: its people, their passwords, and its API keys.

What is done here is nobody's of the account, so the audit log says that the system did it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import system_audit_entry
from services.connector.accounts.callers import AccountClosed
from services.connector.accounts.credentials import hash_secret, new_session_token
from services.connector.accounts.levels import levels_of_user
from services.connector.accounts.notices import notify_admins
from services.connector.accounts.service import (
    LevelTooHigh,
    add_api_key,
    normalise_email,
    require_open,
)
from services.connector.problems.catalogue import NotFound
from services.connector.users import invitations_service, queries
from services.connector.users.queries import ListedUser
from services.connector.users.service import end_sign_ins, require_admin_left
from shared.database import Sessions
from shared.driver import new_id
from shared.jobs import Job, enqueue
from shared.permissions import Level, Permission
from shared.tables import Account, ApiKey, NoticeKind, PasswordReset, User

RESET_LIFETIME: Final = timedelta(minutes=60)
_ALL: Final = 1_000


@dataclass(frozen=True, slots=True)
class ListedAccount:
    """An account, and how many people may sign in."""

    id: UUID
    name: str
    created_at: datetime
    erase_after: datetime | None
    erased_at: datetime | None
    users: int


async def list_accounts(sessions: Sessions) -> list[ListedAccount]:
    """Oldest first."""
    users = (
        select(func.count())
        .select_from(User)
        .where(User.account_id == Account.id, User.disabled_at.is_(None))
        .scalar_subquery()
    )
    async with sessions.begin() as session:
        rows = await session.execute(
            select(
                Account.id,
                Account.name,
                Account.created_at,
                Account.erase_after,
                Account.erased_at,
                users.label("users"),
            ).order_by(Account.id)
        )
        return [ListedAccount(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name


async def list_users(sessions: Sessions, account_id: UUID) -> list[ListedUser]:
    """Oldest first, with those who are disabled. Raises NotFound."""
    async with sessions.begin() as session:
        await _require_account(session, account_id)
        return await queries.users_of(session, account_id, with_disabled=True, limit=_ALL, after=None)


async def invite(
    sessions: Sessions,
    account_id: UUID,
    *,
    email: str,
    name: str | None,
    language: str,
    levels: Mapping[Permission, Level],
    now: datetime,
) -> str:
    """The token of a link that is shown once. Raises NotFound, AccountClosed, EmailTaken, AlreadyInvited, TooManyInvitations."""
    token = new_session_token()
    async with sessions.begin() as session:
        account = await queries.find_account_held(session, account_id)
        if account.closed_at is not None:
            raise AccountClosed
        invitation = await invitations_service.add(
            session,
            account_id,
            email=normalise_email(email),
            name=name,
            language=language,
            levels=levels,
            invited_by=None,
            now=now,
        )
        invitation.token_hash = hash_secret(token)
        session.add(system_audit_entry(account_id, "user_invited", invitation.id))
    return token


async def disable(sessions: Sessions, email: str, now: datetime) -> None:
    """End their sessions, and let neither them nor their API keys in. Raises NotFound, LastAdmin."""
    async with sessions.begin() as session:
        user = await _held(session, email)
        if user.disabled_at is None:
            user.disabled_at = now
            await session.flush()
            await require_admin_left(session, user.account_id)
            await end_sign_ins(session, user.id)
            await enqueue(session, Job.UNASSIGN_CONVERSATIONS, user.id)
            session.add(system_audit_entry(user.account_id, "user_disabled", user.id))


async def enable(sessions: Sessions, email: str) -> None:
    """Let somebody in again. Raises NotFound, AccountClosed."""
    async with sessions.begin() as session:
        user = await _held(session, email)
        await require_open(session, user.account_id)
        if user.disabled_at is not None:
            user.disabled_at = None
            session.add(system_audit_entry(user.account_id, "user_enabled", user.id))


async def ask_reset(sessions: Sessions, email: str, now: datetime) -> str:
    """The token of a link that sets a new password, shown once. Raises NotFound if nobody signs in with this address."""
    token = new_session_token()
    async with sessions.begin() as session:
        user = await _held(session, email)
        if user.disabled_at is not None:
            raise NotFound
        session.add(
            PasswordReset(
                id=new_id(),
                account_id=user.account_id,
                user_id=user.id,
                token_hash=hash_secret(token),
                created_at=now,
                expires_at=now + RESET_LIFETIME,
            )
        )
        session.add(system_audit_entry(user.account_id, "password_link_made", user.id))
    return token


async def create_api_key(
    sessions: Sessions, email: str, *, name: str, levels: Mapping[Permission, Level], now: datetime
) -> tuple[UUID, str]:
    """The id and the secret of a key in the name of this user. Raises NotFound, LevelTooHigh, TooManyApiKeys."""
    async with sessions.begin() as session:
        user = await _held(session, email)
        if user.disabled_at is not None:
            raise NotFound
        most = levels_of_user(user)
        for permission, level in levels.items():
            if not most[permission].includes(level):
                raise LevelTooHigh(permission=permission.value, level=level.value)
        key, row = await add_api_key(
            session, user.account_id, user.id, name=name, levels=levels, expires_at=None, now=now
        )
        session.add(system_audit_entry(user.account_id, "api_key_created", row.id))
        await notify_admins(session, user.account_id, NoticeKind.API_KEY_CREATED, row.id)
        return row.id, key


async def list_api_keys(sessions: Sessions, account_id: UUID) -> list[ApiKey]:
    """Those that are not revoked, oldest first. Raises NotFound."""
    async with sessions.begin() as session:
        await _require_account(session, account_id)
        statement = select(ApiKey).where(ApiKey.account_id == account_id, ApiKey.revoked_at.is_(None))
        return list((await session.scalars(statement.order_by(ApiKey.id))).all())


async def revoke_api_key(sessions: Sessions, api_key_id: UUID, now: datetime) -> None:
    """At once. Raises NotFound."""
    async with sessions.begin() as session:
        row = await session.scalar(select(ApiKey).where(ApiKey.id == api_key_id).with_for_update())
        if row is None:
            raise NotFound
        if row.revoked_at is None:
            row.revoked_at = now
            session.add(system_audit_entry(row.account_id, "api_key_revoked", row.id))


async def _require_account(session: AsyncSession, account_id: UUID) -> None:
    if await session.scalar(select(Account.id).where(Account.id == account_id)) is None:
        raise NotFound


async def _held(session: AsyncSession, email: str) -> User:
    """The user with this address, and their account's row, held: nobody changes its people meanwhile."""
    user = await session.scalar(
        select(User).where(User.email == normalise_email(email), User.removed_at.is_(None))
    )
    if user is None:
        raise NotFound
    await queries.hold_account(session, user.account_id)
    await session.refresh(user)
    return user
