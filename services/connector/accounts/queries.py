"""The statements of this room that deserve a name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import and_, bindparam, case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.sign_in_limits import WINDOW, SignInOrigin
from shared.compiled_select import CompiledSelect
from shared.database import Sessions
from shared.driver import new_id
from shared.permissions import Level
from shared.tables import (
    Account,
    ApiKey,
    KnownBrowser,
    Passkey,
    SecondFactor,
    SignInFailures,
    SignInMethod,
    User,
    UserSession,
)


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that has not ended, of a user who is not disabled, with their permissions."""

    id: UUID
    account_id: UUID
    user_id: UUID
    created_at: datetime
    last_seen_at: datetime
    authenticated_at: datetime
    general_admin: str
    general_programs: str
    inbox_messages: str
    inbox_orders: str
    admin_session_hours: int
    admin_idle_minutes: int
    lacks_second_factor: bool


class KeyLevels(NamedTuple):
    """The columns of a key that hold its levels, and those of its creator."""

    general_admin: str
    general_programs: str
    inbox_messages: str
    inbox_orders: str
    inbox_replies: str
    creators_general_admin: str
    creators_general_programs: str
    creators_inbox_messages: str
    creators_inbox_orders: str


class LiveApiKey(NamedTuple):
    """A key that is neither revoked nor expired, and the permissions of its creator, who is not disabled."""

    id: UUID
    account_id: UUID
    created_by: UUID
    last_used_at: datetime | None
    levels: KeyLevels


class SignInCount(NamedTuple):
    """Failed sign-ins of an address or a network, and when its window ends."""

    failures: int
    window_ends_at: datetime


# Of a session's user whose account demands a second factor. A provider of single sign-on asks for one by itself.
LACKS_SECOND_FACTOR: Final = and_(
    UserSession.method != SignInMethod.SINGLE_SIGN_ON.value,
    or_(
        Account.second_factor == SecondFactor.EVERYBODY.value,
        and_(Account.second_factor == SecondFactor.ADMINS.value, User.general_admin == Level.EDIT.value),
    ),
    User.totp_confirmed_at.is_(None),
    ~select(Passkey.id).where(Passkey.user_id == UserSession.user_id).correlate(UserSession).exists(),
)
# Every request asks one of these two.
_LIVE_SESSION: Final = CompiledSelect(
    select(
        UserSession.id,
        User.account_id,
        UserSession.user_id,
        UserSession.created_at,
        UserSession.last_seen_at,
        UserSession.authenticated_at,
        User.general_admin,
        User.general_programs,
        User.inbox_messages,
        User.inbox_orders,
        Account.admin_session_hours,
        Account.admin_idle_minutes,
        LACKS_SECOND_FACTOR.label("lacks_second_factor"),
    )
    .join(User, User.id == UserSession.user_id)
    .join(Account, Account.id == UserSession.account_id)
    .where(
        UserSession.token_hash == bindparam("token_hash"),
        UserSession.expires_at > bindparam("now"),
        User.disabled_at.is_(None),
        Account.closed_at.is_(None),
    )
)
_LIVE_API_KEY: Final = CompiledSelect(
    select(
        # In the order of LiveApiKey and KeyLevels, which take them by their places.
        ApiKey.id,
        ApiKey.account_id,
        ApiKey.created_by,
        ApiKey.last_used_at,
        ApiKey.general_admin,
        ApiKey.general_programs,
        ApiKey.inbox_messages,
        ApiKey.inbox_orders,
        ApiKey.inbox_replies,
        User.general_admin.label("creators_general_admin"),
        User.general_programs.label("creators_general_programs"),
        User.inbox_messages.label("creators_inbox_messages"),
        User.inbox_orders.label("creators_inbox_orders"),
    )
    .join(User, User.id == ApiKey.created_by)
    .join(Account, Account.id == ApiKey.account_id)
    .where(
        ApiKey.secret_hash == bindparam("secret_hash"),
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > bindparam("now")),
        User.disabled_at.is_(None),
        Account.closed_at.is_(None),
    )
)


async def live_session(sessions: Sessions, token_hash: bytes, now: datetime) -> LiveSession | None:
    """The live session with this token, and its user; None if there is none."""
    row = await _LIVE_SESSION.one_or_none(sessions, token_hash=token_hash, now=now)
    return None if row is None else LiveSession(**row)


async def end_oldest_sessions(session: AsyncSession, user_id: UUID, *, keep: int) -> None:
    """End all but the newest of a user's sessions."""
    newest_first = (
        select(UserSession.id).where(UserSession.user_id == user_id).order_by(UserSession.id.desc())
    )
    await session.execute(delete(UserSession).where(UserSession.id.in_(newest_first.offset(keep))))


async def live_api_key(sessions: Sessions, secret_hash: bytes, now: datetime) -> LiveApiKey | None:
    """The live key with this secret, its account and its creator; None if there is none."""
    row = await _LIVE_API_KEY.one_or_none(sessions, secret_hash=secret_hash, now=now)
    return None if row is None else LiveApiKey._make((*row[:4], KeyLevels._make(row[4:])))


async def count_sign_in(
    session: AsyncSession, keys: Sequence[bytes], now: datetime, *, window: timedelta = WINDOW
) -> dict[bytes, SignInCount]:
    """Add one to each key's count in its window, atomically; what the counts are afterwards."""
    statement = insert(SignInFailures)
    over = SignInFailures.window_ends_at <= now
    counted = statement.on_conflict_do_update(
        index_elements=[SignInFailures.key],
        set_={
            # Far above every limit it stays where it is.
            "failures": case((over, 1), else_=func.least(SignInFailures.failures + 1, 1_000_000)),
            "window_ends_at": case(
                (over, statement.excluded.window_ends_at), else_=SignInFailures.window_ends_at
            ),
        },
    ).returning(SignInFailures.key, SignInFailures.failures, SignInFailures.window_ends_at)
    # Beside the statement: one that holds several rows is compiled anew each time.
    fresh = [{"key": key, "failures": 1, "window_ends_at": now + window} for key in keys]
    rows = (await session.execute(counted, fresh)).all()
    return {row.key: SignInCount(row.failures, row.window_ends_at) for row in rows}


async def touch_sign_in(session: AsyncSession, key: bytes) -> None:
    """Write a count without changing it, so that a failure costs as much as any other."""
    await session.execute(
        update(SignInFailures).where(SignInFailures.key == key).values(failures=SignInFailures.failures)
    )


async def uncount_sign_in(session: AsyncSession, origin: SignInOrigin) -> None:
    """After a success: who has signed in starts anew, and those who share a count with them are not charged."""
    own = origin.pair_key if origin.browser_id is None else origin.browser_key
    shared = (origin.network_key, origin.wide_network_key, origin.email_key)
    for key in (own, *(shared if origin.browser_id is None else ())):
        failures = 0 if key is own else func.greatest(SignInFailures.failures - 1, 0)
        await session.execute(
            update(SignInFailures).where(SignInFailures.key == key).values(failures=failures)
        )


async def user_signing_in(
    session: AsyncSession, email: str, browser_hash: bytes, now: datetime
) -> tuple[User | None, UUID | None]:
    """The user with this address, and the browser's id if it has signed in as them before."""
    statement = (
        select(User, KnownBrowser.id)
        .outerjoin(
            KnownBrowser,
            and_(
                KnownBrowser.user_id == User.id,
                KnownBrowser.token_hash == browser_hash,
                KnownBrowser.expires_at > now,
            ),
        )
        .where(User.email == email)
    )
    row = (await session.execute(statement)).one_or_none()
    return (None, None) if row is None else (row[0], row[1])


async def known_browser(
    session: AsyncSession, user_id: UUID, browser_hash: bytes, now: datetime
) -> UUID | None:
    """The id of a browser that has signed in as this user before."""
    statement = select(KnownBrowser.id).where(
        KnownBrowser.user_id == user_id,
        KnownBrowser.token_hash == browser_hash,
        KnownBrowser.expires_at > now,
    )
    return (await session.scalars(statement)).one_or_none()


async def remember_browser(
    session: AsyncSession, user: User, *, before: bytes, token_hash: bytes, expires_at: datetime, keep: int
) -> None:
    """Write down that this browser has signed in as this user; the token that it had before is good no more."""
    # People who share a browser each have a row with its token.
    await session.execute(
        update(KnownBrowser).where(KnownBrowser.token_hash == before).values(token_hash=token_hash)
    )
    row = insert(KnownBrowser).values(
        id=new_id(),
        account_id=user.account_id,
        user_id=user.id,
        token_hash=token_hash,
        expires_at=expires_at,
    )
    await session.execute(
        row.on_conflict_do_update(
            index_elements=[KnownBrowser.token_hash, KnownBrowser.user_id], set_={"expires_at": expires_at}
        )
    )
    last_used_first = (
        select(KnownBrowser.id)
        .where(KnownBrowser.user_id == user.id)
        .order_by(KnownBrowser.expires_at.desc(), KnownBrowser.id.desc())
    )
    await session.execute(delete(KnownBrowser).where(KnownBrowser.id.in_(last_used_first.offset(keep))))


async def end_session(session: AsyncSession, token_hash: bytes) -> UserSession | None:
    """End the session with this token, whosever it is; the session as it was."""
    statement = delete(UserSession).where(UserSession.token_hash == token_hash).returning(UserSession)
    return (await session.scalars(statement)).one_or_none()


async def api_keys_of(
    session: AsyncSession, account_id: UUID, *, limit: int, after: UUID | None
) -> list[ApiKey]:
    """Keys that are not revoked, newest first."""
    statement = select(ApiKey).where(ApiKey.account_id == account_id, ApiKey.revoked_at.is_(None))
    if after is not None:
        statement = statement.where(ApiKey.id < after)
    return list((await session.scalars(statement.order_by(ApiKey.id.desc()).limit(limit))).all())


async def count_api_keys(session: AsyncSession, account_id: UUID) -> int:
    """Keys that are not revoked. Two counts of one account never run at once: its row is held."""
    await session.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))
    statement = select(func.count()).select_from(ApiKey)
    return (
        await session.execute(statement.where(ApiKey.account_id == account_id, ApiKey.revoked_at.is_(None)))
    ).scalar_one()


async def user_who_is_there(session: AsyncSession, user_id: UUID) -> User | None:
    """The user, unless they are removed."""
    return await session.scalar(select(User).where(User.id == user_id, User.removed_at.is_(None)))
