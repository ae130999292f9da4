"""The statements of this room that deserve a name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.connector.accounts.sign_in_limits import WINDOW
from shared.compiled_select import CompiledSelect
from shared.tables import Account, ApiKey, SignInFailures, User, UserSession


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that has not ended, of a user who is not disabled, with their permissions."""

    id: UUID
    account_id: UUID
    user_id: UUID
    created_at: datetime
    last_seen_at: datetime
    general_admin: str
    inbox_messages: str


@dataclass(frozen=True, slots=True)
class LiveApiKey:
    """A key that is neither revoked nor expired, and the permissions of its creator, who is not disabled."""

    id: UUID
    account_id: UUID
    created_by: UUID
    last_used_at: datetime | None
    general_admin: str
    inbox_messages: str
    creators_general_admin: str
    creators_inbox_messages: str


class SignInCount(NamedTuple):
    """Failed sign-ins of an address or a network, and when its window ends."""

    failures: int
    window_ends_at: datetime


# Every request asks one of these two.
_LIVE_SESSION: Final = CompiledSelect(
    select(
        UserSession.id,
        User.account_id,
        UserSession.user_id,
        UserSession.created_at,
        UserSession.last_seen_at,
        User.general_admin,
        User.inbox_messages,
    )
    .join(User, User.id == UserSession.user_id)
    .where(
        UserSession.token_hash == bindparam("token_hash"),
        UserSession.expires_at > bindparam("now"),
        User.disabled_at.is_(None),
    )
)
_LIVE_API_KEY: Final = CompiledSelect(
    select(
        ApiKey.id,
        ApiKey.account_id,
        ApiKey.created_by,
        ApiKey.last_used_at,
        ApiKey.general_admin,
        ApiKey.inbox_messages,
        User.general_admin.label("creators_general_admin"),
        User.inbox_messages.label("creators_inbox_messages"),
    )
    .join(User, User.id == ApiKey.created_by)
    .where(
        ApiKey.secret_hash == bindparam("secret_hash"),
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > bindparam("now")),
        User.disabled_at.is_(None),
    )
)


async def live_session(reader: AsyncConnection, token_hash: bytes, now: datetime) -> LiveSession | None:
    """The live session with this token, and its user; None if there is none."""
    row = await _LIVE_SESSION.one_or_none(reader, token_hash=token_hash, now=now)
    return None if row is None else LiveSession(**row)


async def end_oldest_sessions(session: AsyncSession, user_id: UUID, *, keep: int) -> None:
    """End all but the newest of a user's sessions."""
    newest_first = (
        select(UserSession.id).where(UserSession.user_id == user_id).order_by(UserSession.id.desc())
    )
    await session.execute(delete(UserSession).where(UserSession.id.in_(newest_first.offset(keep))))


async def live_api_key(reader: AsyncConnection, secret_hash: bytes, now: datetime) -> LiveApiKey | None:
    """The live key with this secret, its account and its creator; None if there is none."""
    row = await _LIVE_API_KEY.one_or_none(reader, secret_hash=secret_hash, now=now)
    return None if row is None else LiveApiKey(**row)


async def count_sign_in(
    session: AsyncSession, keys: Sequence[bytes], now: datetime
) -> dict[bytes, SignInCount]:
    """Add one to each key's count in its window, atomically; what the counts are afterwards."""
    statement = insert(SignInFailures).values(
        [{"key": key, "failures": 1, "window_ends_at": now + WINDOW} for key in keys]
    )
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
    rows = (await session.execute(counted)).all()
    return {row.key: SignInCount(row.failures, row.window_ends_at) for row in rows}


async def touch_sign_in(session: AsyncSession, key: bytes) -> None:
    """Write a count without changing it, so that a failure costs as much as any other."""
    await session.execute(
        update(SignInFailures).where(SignInFailures.key == key).values(failures=SignInFailures.failures)
    )


async def uncount_sign_in(session: AsyncSession, *, email_key: bytes, network_key: bytes) -> None:
    """After a success: the address starts anew, and the network is not charged."""
    for key, failures in ((email_key, 0), (network_key, func.greatest(SignInFailures.failures - 1, 0))):
        await session.execute(
            update(SignInFailures).where(SignInFailures.key == key).values(failures=failures)
        )


async def users_of(session: AsyncSession, account_id: UUID, *, limit: int, after: UUID | None) -> list[User]:
    """The account's users who may sign in, oldest first."""
    statement = select(User).where(User.account_id == account_id, User.disabled_at.is_(None))
    if after is not None:
        statement = statement.where(User.id > after)
    return list((await session.scalars(statement.order_by(User.id).limit(limit))).all())


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
