"""Who is asking, and API keys.

What must never happen here: a secret in the database; a key or a session that still works after it was revoked, or after its user
was disabled.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts import queries
from services.connector.accounts.audit import audit_entry, system_audit_entry
from services.connector.accounts.callers import AccountClosed, Caller, NotSignedIn
from services.connector.accounts.credentials import API_KEY_PREFIX, hash_secret, new_api_key
from services.connector.accounts.levels import at_most, column_of, levels_of_key, levels_of_user
from services.connector.accounts.me import Me
from services.connector.accounts.notices import notify_admins
from services.connector.accounts.password_policy import check_password
from services.connector.accounts.passwords import Passwords
from services.connector.accounts.session_lifetime import lifetime_of
from services.connector.problems.catalogue import NotFound
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.keyring import Keyring
from shared.permissions import Level, Permission
from shared.tables import Account, ApiKey, NoticeKind, SecondFactor, User, UserSession

log = structlog.get_logger()

# The API keys of one account at most, not counting revoked ones.
MAX_API_KEYS: Final = 100
# Being seen is written down at most this often: reading must not cost a write each time.
_TOUCH: Final = timedelta(minutes=1)


class LevelTooHigh(Expected):
    """Nobody gives others more than they have."""

    code = "level_too_high"


class ExpiryPast(Expected):
    """An API key that would be expired already."""

    code = "expiry_past"


class TooManyApiKeys(Expected):
    """The account has as many as anybody can oversee."""

    code = "too_many_api_keys"


class EmailTaken(Expected):
    """Somebody signs in with this e-mail address already."""

    code = "email_taken"


async def require_open(session: AsyncSession, account_id: UUID) -> None:
    """Whoever adds something to an account asks, so that it is not closed before they have committed. Raises AccountClosed."""
    closed_at = await session.scalar(
        select(Account.closed_at).where(Account.id == account_id).with_for_update(read=True)
    )
    if closed_at is not None:
        raise AccountClosed


async def caller_of_session(
    sessions: Sessions, token: str, now: datetime, *, is_background: bool = False
) -> Caller:
    """Raises NotSignedIn. Prolongs the session, unless a page asks by itself, without anybody there."""
    found = await queries.live_session(sessions, hash_secret(token), now)
    if found is None:
        raise NotSignedIn
    lifetime = lifetime_of(
        found.general_admin,
        admin_session_hours=found.admin_session_hours,
        admin_idle_minutes=found.admin_idle_minutes,
    )
    # The row says when it ended by what was true when it was used last; the account or the user may have changed meanwhile.
    if lifetime.end(found.created_at, found.last_seen_at) <= now:
        raise NotSignedIn
    if now - found.last_seen_at >= _TOUCH and not is_background:
        async with sessions.begin() as session:
            await session.execute(
                update(UserSession)
                .where(UserSession.id == found.id)
                .values(last_seen_at=now, expires_at=lifetime.end(found.created_at, now))
            )
    return Caller(
        found.account_id,
        found.user_id,
        levels_of_user(found),
        session_id=found.id,
        authenticated_at=found.authenticated_at,
        lacks_second_factor=found.lacks_second_factor,
    )


async def caller_of_api_key(sessions: Sessions, key: str, now: datetime) -> Caller:
    """Raises NotSignedIn. A key never gives more than its creator has today."""
    if not key.startswith(API_KEY_PREFIX):
        raise NotSignedIn
    found = await queries.live_api_key(sessions, hash_secret(key), now)
    if found is None:
        raise NotSignedIn
    if found.last_used_at is None or now - found.last_used_at >= _TOUCH:
        async with sessions.begin() as session:
            await session.execute(update(ApiKey).where(ApiKey.id == found.id).values(last_used_at=now))
    return Caller(found.account_id, found.created_by, _levels_of(found.levels), api_key_id=found.id)


@lru_cache(maxsize=1_000)
def _levels_of(levels: queries.KeyLevels) -> Mapping[Permission, Level]:
    """The same for all keys of these levels, so nobody may change it."""
    return MappingProxyType(at_most(levels_of_key(levels), levels_of_user(levels, "creators_")))


async def me(sessions: Sessions, caller: Caller) -> Me:
    """The caller's account. Raises NotSignedIn if it is gone."""
    async with sessions.begin() as session:
        account = await session.scalar(select(Account).where(Account.id == caller.account_id))
        if account is None:
            raise NotSignedIn
        if not caller.is_browser:
            return Me(account, None)
        return Me(account, await _user(session, caller))


async def update_me(
    sessions: Sessions,
    caller: Caller,
    *,
    name: str | None,
    language: str | None,
    time_zone: str | None,
    form_of_address: str | None = None,
    keeps_form_of_address: bool = True,
) -> Me:
    """Change what is given; None is a form of address, too: the account's."""
    async with sessions.begin() as session:
        user = await _user(session, caller)
        user.name = name or user.name
        user.language = language or user.language
        user.time_zone = time_zone or user.time_zone
        if not keeps_form_of_address:
            user.form_of_address = form_of_address
        session.add(audit_entry(caller, "user_changed", user.id))
    return await me(sessions, caller)


async def read_account(sessions: Sessions, caller: Caller) -> Account:
    """The caller's account."""
    async with sessions.begin() as session:
        return await session.get_one(Account, caller.account_id)


async def change_account(sessions: Sessions, caller: Caller, *, form_of_address: str) -> Account:
    """Say how people are addressed who have not chosen for themselves."""
    async with sessions.begin() as session:
        account = await session.get_one(Account, caller.account_id)
        account.form_of_address = form_of_address
        session.add(audit_entry(caller, "account_changed", account.id, form_of_address=form_of_address))
        return account


async def list_api_keys(
    sessions: Sessions, caller: Caller, *, limit: int, after: UUID | None
) -> list[ApiKey]:
    """Newest first; revoked ones are not shown."""
    async with sessions.begin() as session:
        return await queries.api_keys_of(session, caller.account_id, limit=limit, after=after)


async def create_api_key(
    sessions: Sessions,
    caller: Caller,
    *,
    name: str,
    levels: dict[Permission, Level],
    expires_at: datetime | None,
    now: datetime,
) -> tuple[str, ApiKey]:
    """A new key, which is shown only this once, and its row.

    Raises ReauthenticationNeeded, LevelTooHigh, ExpiryPast, TooManyApiKeys. Only a person makes keys: a stolen key
    must not live on in others that it has made.
    """
    caller.require_recent(now)
    for permission, level in levels.items():
        if not caller.may(permission, level):
            raise LevelTooHigh(permission=permission.value, level=level.value)
    if expires_at is not None and expires_at <= now:
        raise ExpiryPast
    async with sessions.begin() as session:
        key, row = await add_api_key(
            session,
            caller.account_id,
            caller.user_id,
            name=name,
            levels=levels,
            expires_at=expires_at,
            now=now,
        )
        session.add(audit_entry(caller, "api_key_created", row.id))
        await notify_admins(session, caller.account_id, NoticeKind.API_KEY_CREATED, row.id)
    log.info("api_key_created", api_key_id=str(row.id), user_id=str(caller.user_id))
    return key, row


async def add_api_key(
    session: AsyncSession,
    account_id: UUID,
    creator_id: UUID,
    *,
    name: str,
    levels: Mapping[Permission, Level],
    expires_at: datetime | None,
    now: datetime,
) -> tuple[str, ApiKey]:
    """A key in its creator's name, and its row; whether they may give so much, the caller has checked. Raises TooManyApiKeys."""
    if await queries.count_api_keys(session, account_id) >= MAX_API_KEYS:
        raise TooManyApiKeys(limit=MAX_API_KEYS)
    key = new_api_key()
    row = ApiKey(
        id=new_id(),
        account_id=account_id,
        name=name,
        hint=key[-4:],
        secret_hash=hash_secret(key),
        **{column_of(each): levels.get(each, Level.NONE).value for each in Permission},
        created_by=creator_id,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    return key, row


async def revoke_api_key(sessions: Sessions, caller: Caller, api_key_id: UUID, now: datetime) -> None:
    """At once; a second time is the same as the first. Raises NotFound."""
    async with sessions.begin() as session:
        api_key = await session.scalar(
            select(ApiKey)
            .where(ApiKey.id == api_key_id, ApiKey.account_id == caller.account_id)
            .with_for_update()
        )
        if api_key is None:
            raise NotFound
        if api_key.revoked_at is None:
            api_key.revoked_at = now
            session.add(audit_entry(caller, "api_key_revoked", api_key.id))
            log.info("api_key_revoked", api_key_id=str(api_key.id))


async def create_account(
    sessions: Sessions,
    keyring: Keyring,
    passwords: Passwords,
    *,
    name: str,
    admin_email: str,
    password: str,
    language: str,
    time_zone: str,
    second_factor: SecondFactor = SecondFactor.ADMINS,
) -> tuple[UUID, UUID]:
    """An account with its keys and its first admin; their ids. Raises EmailTaken, and what `check_password` raises."""
    account_id, user_id = new_id(), new_id()
    email = normalise_email(admin_email)
    check_password(password, name=name, email=email)
    password_hash = await passwords.hash(password)
    keys = await keyring.new_keys(account_id)
    try:
        async with sessions.begin() as session:
            session.add(Account(id=account_id, name=name, second_factor=second_factor.value))
            await session.flush()
            await keyring.add(session, keys)
            session.add(
                User(
                    id=user_id,
                    account_id=account_id,
                    email=email,
                    password_hash=password_hash,
                    name=email.partition("@")[0],
                    language=language,
                    time_zone=time_zone,
                    general_admin=Level.EDIT.value,
                    general_programs=Level.EDIT.value,
                    inbox_messages=Level.EDIT.value,
                    inbox_orders=Level.VIEW.value,
                )
            )
            session.add(system_audit_entry(account_id, "account_created", account_id))
    except IntegrityError as error:
        if "uq_users_email" in str(error.orig):
            raise EmailTaken from error
        raise
    return account_id, user_id


def normalise_email(email: str) -> str:
    """The one form in which an address is stored and looked up."""
    return email.strip().lower()


async def _user(session: AsyncSession, caller: Caller) -> User:
    user = await session.scalar(
        select(User).where(User.id == caller.user_id, User.account_id == caller.account_id)
    )
    if user is None:
        raise NotSignedIn
    return user
