"""What an account's people may do, and who is still one of them.

What must never happen here: an account without anybody who may edit general.admin; somebody who gives more than they have; a session
or a key that goes on after its user was disabled or removed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import structlog
from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller, NotSignedIn, PermissionMissing
from services.connector.accounts.levels import PERMISSIONS_OF_PEOPLE, column_of, levels_of_user
from services.connector.accounts.service import LevelTooHigh
from services.connector.http.etags import require_match
from services.connector.problems.catalogue import NotFound
from services.connector.users import queries
from services.connector.users.queries import ListedUser
from shared.database import Sessions
from shared.errors import Expected
from shared.jobs import Job, enqueue
from shared.permissions import Level, Permission
from shared.tables import (
    Account,
    ApiKey,
    Integration,
    Invitation,
    KnownBrowser,
    Passkey,
    PasswordReset,
    RecoveryCode,
    ReplyDraft,
    SavedView,
    SignInChallenge,
    User,
    UserSession,
    Webhook,
)

log = structlog.get_logger()


class LastAdmin(Expected):
    """Nobody would be left who may edit general.admin."""

    code = "last_admin"


class SuccessorUnfit(Expected):
    """Who takes over is another user of the account, is not disabled, and may edit general.admin, and general.programs for programs."""

    code = "successor_unfit"


class Programs(StrEnum):
    """What becomes of the webhooks and API keys of whoever leaves."""

    END = "end"
    PASS_ON = "pass_on"  # noqa: S105 - the name of a choice


@dataclass(frozen=True, slots=True)
class Leaving:
    """What a leaver has made, by number: what a person chooses about before they are removed."""

    integrations: int
    webhooks: int
    api_keys: int


def version_of(user: User) -> int:
    """What clients can change of a user, as a number."""
    state = [user.general_admin, user.general_programs, user.inbox_messages, user.inbox_orders]
    words = ":".join([*state, str(user.disabled_at)])
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:6])


def require_no_more(caller: Caller, levels: Mapping[Permission, Level]) -> None:
    """Nobody gives more than they have. Raises LevelTooHigh."""
    for permission, level in levels.items():
        if not caller.may(permission, level):
            raise LevelTooHigh(permission=permission.value, level=level.value)


async def list_users(
    sessions: Sessions, caller: Caller, *, with_disabled: bool, limit: int, after: UUID | None
) -> list[ListedUser]:
    """The account's people, oldest first; removed ones are none of them."""
    async with sessions.begin() as session:
        return await queries.users_of(
            session, caller.account_id, with_disabled=with_disabled, limit=limit, after=after
        )


async def read_user(sessions: Sessions, caller: Caller, user_id: UUID) -> tuple[ListedUser, Leaving]:
    """One of the account's people, and what they have made. Raises NotFound."""
    async with sessions.begin() as session:
        return await _listed(session, caller, user_id), await _leaving(session, caller, user_id)


async def change_levels(
    sessions: Sessions,
    caller: Caller,
    user_id: UUID,
    levels: Mapping[Permission, Level],
    *,
    if_match: str | None,
    now: datetime,
) -> ListedUser:
    """Change what is given of their permissions; it holds from their next request on, and their streams end.

    Raises ReauthenticationNeeded, LevelTooHigh, NotFound, PreconditionFailed, LastAdmin.
    """
    caller.require_recent(now)
    async with sessions.begin() as session:
        user = await _held(session, caller, user_id)
        require_match(if_match, version_of(user))
        before = levels_of_user(user)
        changed = {
            permission: level
            for permission, level in levels.items()
            if permission in PERMISSIONS_OF_PEOPLE and before[permission] is not level
        }
        require_no_more(
            caller, {each: level for each, level in changed.items() if not before[each].includes(level)}
        )
        for permission, level in changed.items():
            setattr(user, column_of(permission), level.value)
        await session.flush()
        await require_admin_left(session, caller.account_id)
        if changed:
            if user.inbox_messages == Level.NONE:
                await enqueue(session, Job.UNASSIGN_CONVERSATIONS, user.id)
            fields = {permission.value: level.value for permission, level in changed.items()}
            session.add(audit_entry(caller, "user_permissions_changed", user.id, **fields))
        return await _listed(session, caller, user_id)


async def disable(
    sessions: Sessions, caller: Caller, user_id: UUID, *, if_match: str | None, now: datetime
) -> ListedUser:
    """End their sessions at once, and let neither them nor their API keys in; their invitations end.

    Raises ReauthenticationNeeded, NotFound, PreconditionFailed, LastAdmin.
    """
    caller.require_recent(now)
    async with sessions.begin() as session:
        user = await _held(session, caller, user_id)
        require_match(if_match, version_of(user))
        if user.disabled_at is None:
            user.disabled_at = now
            await session.flush()
            await require_admin_left(session, caller.account_id)
            await end_sign_ins(session, user.id)
            await enqueue(session, Job.UNASSIGN_CONVERSATIONS, user.id)
            session.add(audit_entry(caller, "user_disabled", user.id))
            log.info("user_disabled", user_id=str(user.id))
        return await _listed(session, caller, user_id)


async def enable(
    sessions: Sessions, caller: Caller, user_id: UUID, *, if_match: str | None, now: datetime
) -> ListedUser:
    """Let somebody in again who was disabled, with their API keys. Raises ReauthenticationNeeded, NotFound,
    PreconditionFailed, LevelTooHigh.
    """
    caller.require_recent(now)
    async with sessions.begin() as session:
        user = await _held(session, caller, user_id)
        require_match(if_match, version_of(user))
        if user.disabled_at is not None:
            levels = levels_of_user(user)
            require_no_more(caller, {each: levels[each] for each in PERMISSIONS_OF_PEOPLE})
            user.disabled_at = None
            session.add(audit_entry(caller, "user_enabled", user.id))
        return await _listed(session, caller, user_id)


async def remove(
    sessions: Sessions,
    caller: Caller,
    user_id: UUID,
    *,
    programs: Programs,
    successor_id: UUID | None,
    now: datetime,
) -> None:
    """Take somebody out of the account for good. Their name stays on what they have written; their address may be invited again.

    Their stores pass to the successor, the caller if nobody is named; their webhooks and API keys pass, too, or end.
    Raises ReauthenticationNeeded, NotFound, LastAdmin, SuccessorUnfit.
    """
    caller.require_recent(now)
    async with sessions.begin() as session:
        user = await _held(session, caller, user_id)
        successor = await _successor(session, caller, user, successor_id, programs)
        user.disabled_at = user.disabled_at or now
        user.removed_at = now
        # No address, so that nobody signs in with it; theirs is free again.
        user.email, user.password_hash = f"removed:{user.id}", None
        # Who they are at the account's provider stays: it does not bring them back.
        user.totp_secret = user.totp_last_step = user.totp_confirmed_at = None
        await session.flush()
        await require_admin_left(session, caller.account_id)
        await end_sign_ins(session, user.id)
        await enqueue(session, Job.UNASSIGN_CONVERSATIONS, user.id)
        for table in (Passkey, RecoveryCode, KnownBrowser, ReplyDraft, SavedView):
            await session.execute(delete(table).where(table.user_id == user.id))
        await session.execute(
            update(Integration)
            .where(Integration.account_id == user.account_id, Integration.owner_id == user.id)
            .values(owner_id=None if successor is None else successor.id, version=Integration.version + 1)
        )
        await _settle_programs(session, user, successor, programs, now)
        session.add(audit_entry(caller, "user_removed", user.id, programs=programs.value))
    log.info("user_removed", user_id=str(user_id))


async def _held(session: AsyncSession, caller: Caller, user_id: UUID) -> User:
    """The user, held. Two changes of one account's people never run at once, and who has lost their right meanwhile changes nothing."""
    await hold_account_as_admin(session, caller)
    user = await session.scalar(
        select(User)
        .where(User.account_id == caller.account_id, User.id == user_id, User.removed_at.is_(None))
        .execution_options(populate_existing=True)
    )
    if user is None:
        raise NotFound
    return user


async def hold_account_as_admin(session: AsyncSession, caller: Caller) -> Account:
    """The caller's account, held until the transaction ends. They may have lost their right while they waited, so it is asked for once more.

    Raises NotSignedIn, PermissionMissing.
    """
    account = await queries.hold_account(session, caller.account_id)
    asking = await session.scalar(
        select(User)
        .where(User.account_id == caller.account_id, User.id == caller.user_id)
        .execution_options(populate_existing=True)
    )
    if asking is None or asking.disabled_at is not None:
        raise NotSignedIn
    if Level(asking.general_admin) is not Level.EDIT:
        raise PermissionMissing(permission=Permission.GENERAL_ADMIN.value, level=Level.EDIT.value)
    return account


async def require_admin_left(session: AsyncSession, account_id: UUID) -> None:
    """Somebody has to stay who may edit general.admin; the account is held. Raises LastAdmin."""
    left = select(User.id).where(
        User.account_id == account_id,
        User.disabled_at.is_(None),
        User.general_admin == Level.EDIT.value,
    )
    if (await session.scalars(left.limit(1))).one_or_none() is None:
        raise LastAdmin


async def _successor(
    session: AsyncSession, caller: Caller, leaver: User, successor_id: UUID | None, programs: Programs
) -> User | None:
    """Who takes over; None if the last admin tries to leave, which is refused afterwards."""
    if successor_id is None and leaver.id == caller.user_id:
        if programs is Programs.PASS_ON:
            raise SuccessorUnfit
        return None
    wanted = successor_id or caller.user_id
    successor = await session.scalar(
        select(User).where(
            User.id == wanted,
            User.account_id == caller.account_id,
            User.disabled_at.is_(None),
            User.general_admin == Level.EDIT.value,
        )
    )
    if successor is None or successor.id == leaver.id:
        raise SuccessorUnfit
    if programs is Programs.PASS_ON and Level(successor.general_programs) is not Level.EDIT:
        raise SuccessorUnfit
    return successor


async def end_sign_ins(session: AsyncSession, user_id: UUID) -> None:
    """Sessions, and whatever would become one. Whom they have invited has to be invited by somebody else."""
    await session.execute(delete(UserSession).where(UserSession.user_id == user_id))
    await session.execute(delete(SignInChallenge).where(SignInChallenge.user_id == user_id))
    await session.execute(delete(PasswordReset).where(PasswordReset.user_id == user_id))
    await session.execute(delete(Invitation).where(Invitation.invited_by == user_id))


async def _settle_programs(
    session: AsyncSession, leaver: User, successor: User | None, programs: Programs, now: datetime
) -> None:
    keys = and_(ApiKey.account_id == leaver.account_id, ApiKey.created_by == leaver.id)
    webhooks = and_(Webhook.account_id == leaver.account_id, Webhook.created_by == leaver.id)
    if programs is Programs.PASS_ON and successor is not None:
        # A key gives at most what its creator may, so that it may do less from here on.
        await session.execute(update(ApiKey).where(keys).values(created_by=successor.id))
        await session.execute(update(Webhook).where(webhooks).values(created_by=successor.id))
        return
    await session.execute(
        delete(Webhook).where(or_(webhooks, Webhook.created_by_key.in_(select(ApiKey.id).where(keys))))
    )
    await session.execute(update(ApiKey).where(keys, ApiKey.revoked_at.is_(None)).values(revoked_at=now))


async def _listed(session: AsyncSession, caller: Caller, user_id: UUID) -> ListedUser:
    listed = await queries.user_of(session, caller.account_id, user_id)
    if listed is None:
        raise NotFound
    return listed


async def _leaving(session: AsyncSession, caller: Caller, user_id: UUID) -> Leaving:
    counts = await queries.made_by(session, caller.account_id, user_id)
    return Leaving(*counts)
