"""Invitations: somebody gets a mail with a link, and becomes a user of the account with a name and a password of their own.

What must never happen here: a token in the database (it is made when its mail is sent, and only its hash stays); an answer that tells a
stranger why a link is not good; a right that the inviter does not have any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import and_, delete, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry, person_audit_entry
from services.connector.accounts.callers import Caller
from services.connector.accounts.credentials import hash_secret
from services.connector.accounts.levels import PERMISSIONS_OF_PEOPLE, at_most, column_of, levels_of_user
from services.connector.accounts.password_policy import check_password
from services.connector.accounts.passwords import Passwords
from services.connector.accounts.service import EmailTaken, normalise_email
from services.connector.problems.catalogue import NotFound
from services.connector.throttling.limits import INVITATION_ANSWERS, INVITATIONS
from services.connector.users.queries import hold_account
from services.connector.users.service import hold_account_as_admin, require_no_more
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.permissions import Level, Permission
from shared.tables import Account, Invitation, Notice, NoticeKind, User

log = structlog.get_logger()

LIFETIME: Final = timedelta(hours=72)
# Of one account that are open at a time.
MAX_INVITATIONS: Final = 100


class InvitationInvalid(Expected):
    """The link is too old, was used or withdrawn, or never was one; the answer does not say which."""

    code = "invitation_invalid"


class AlreadyInvited(Expected):
    """An invitation to this address is open."""

    code = "already_invited"


class TooManyInvitations(Expected):
    """More than anybody can oversee."""

    code = "too_many_invitations"


@dataclass(frozen=True, slots=True)
class ListedInvitation:
    """An invitation, and the name of whoever has made it; None if it was made by a command."""

    invitation: Invitation
    invited_by: str | None


async def list_invitations(sessions: Sessions, caller: Caller) -> list[ListedInvitation]:
    """Newest first: those that are open, and those that have expired of late and may be sent again."""
    async with sessions.begin() as session:
        rows = await session.execute(
            select(Invitation, User.name)
            .outerjoin(User, User.id == Invitation.invited_by)
            .where(Invitation.account_id == caller.account_id)
            .order_by(Invitation.id.desc())
            .limit(2 * MAX_INVITATIONS)
        )
        return [ListedInvitation(*row) for row in rows]


async def invite(
    sessions: Sessions,
    caller: Caller,
    *,
    email: str,
    name: str | None,
    language: str,
    levels: Mapping[Permission, Level],
    now: datetime,
) -> ListedInvitation:
    """Ask somebody to join, by a mail.

    Raises ReauthenticationNeeded, LevelTooHigh, EmailTaken, AlreadyInvited, TooManyInvitations, TooOften.
    """
    caller.require_recent(now)
    require_no_more(caller, levels)
    await INVITATIONS.require(sessions, caller.account_id)
    email = normalise_email(email)
    async with sessions.begin() as session:
        await hold_account_as_admin(session, caller)
        invitation = await add(
            session,
            caller.account_id,
            email=email,
            name=name,
            language=language,
            levels=levels,
            invited_by=caller.user_id,
            now=now,
        )
        await _send(session, invitation, caller.user_id)
        session.add(audit_entry(caller, "user_invited", invitation.id))
        inviter = await session.get_one(User, caller.user_id)
        return ListedInvitation(invitation, inviter.name)


async def add(
    session: AsyncSession,
    account_id: UUID,
    *,
    email: str,
    name: str | None,
    language: str,
    levels: Mapping[Permission, Level],
    invited_by: UUID | None,
    now: datetime,
) -> Invitation:
    """A row for an invitation; the account is held. Raises EmailTaken, AlreadyInvited, TooManyInvitations."""
    # Only of one's own account: whether other accounts know the address is nobody's business.
    known = select(User.id).where(User.account_id == account_id, User.email == email)
    if await session.scalar(known) is not None:
        raise EmailTaken
    own = Invitation.account_id == account_id
    await session.execute(
        delete(Invitation).where(own, Invitation.email == email, Invitation.expires_at <= now)
    )
    open_ones = (
        await session.scalars(select(Invitation.email).where(own, Invitation.expires_at > now))
    ).all()
    if email in open_ones:
        raise AlreadyInvited
    if len(open_ones) >= MAX_INVITATIONS:
        raise TooManyInvitations(limit=MAX_INVITATIONS)
    invitation = Invitation(
        id=new_id(),
        account_id=account_id,
        email=email,
        name=name,
        language=language,
        invited_by=invited_by,
        created_at=now,
        expires_at=now + LIFETIME,
        **{column_of(each): levels.get(each, Level.NONE).value for each in PERMISSIONS_OF_PEOPLE},
    )
    session.add(invitation)
    await session.flush()
    return invitation


async def send_again(
    sessions: Sessions, caller: Caller, invitation_id: UUID, now: datetime
) -> ListedInvitation:
    """With a new link and another 72 hours; the old link is good no more, and the caller is the inviter now.

    Raises ReauthenticationNeeded, NotFound, LevelTooHigh, TooOften.
    """
    caller.require_recent(now)
    await INVITATIONS.require(sessions, caller.account_id)
    async with sessions.begin() as session:
        invitation = await _held(session, caller, invitation_id)
        levels = levels_of_user(invitation)
        require_no_more(caller, {each: levels[each] for each in PERMISSIONS_OF_PEOPLE})
        invitation.token_hash, invitation.expires_at = None, now + LIFETIME
        invitation.invited_by = caller.user_id
        await _send(session, invitation, caller.user_id)
        session.add(audit_entry(caller, "invitation_sent_again", invitation.id))
        inviter = await session.get_one(User, caller.user_id)
        return ListedInvitation(invitation, inviter.name)


async def withdraw(sessions: Sessions, caller: Caller, invitation_id: UUID) -> None:
    """Its link is good no more. Raises NotFound."""
    async with sessions.begin() as session:
        invitation = await _held(session, caller, invitation_id)
        await session.delete(invitation)
        session.add(audit_entry(caller, "invitation_withdrawn", invitation_id))


@dataclass(frozen=True, slots=True)
class Offer:
    """What whoever has the link sees before they join."""

    account_id: UUID
    account_name: str
    email: str
    name: str | None
    language: str
    invited_by: str | None


async def look(sessions: Sessions, token: str, *, client_address: str, now: datetime) -> Offer:
    """Who invites. Raises InvitationInvalid, TooOften."""
    await INVITATION_ANSWERS.require_from(sessions, client_address)
    async with sessions.begin() as session:
        found = await _good(session, token, now)
        if found is None:
            raise InvitationInvalid
        invitation, account, inviter = found
        return Offer(
            account.id,
            account.name,
            invitation.email,
            invitation.name,
            invitation.language,
            None if inviter is None else inviter.name,
        )


async def accept(
    sessions: Sessions,
    passwords: Passwords,
    token: str,
    *,
    name: str,
    password: str,
    time_zone: str,
    client_address: str,
    now: datetime,
) -> None:
    """Become a user, with what the invitation says, and no more than its inviter may today.

    Raises InvitationInvalid, TooOften, EmailTaken, and what `check_password` raises: then the link stays good.
    """
    offer = await look(sessions, token, client_address=client_address, now=now)
    check_password(password, name=name, email=offer.email)
    password_hash = await passwords.hash(password)
    try:
        async with sessions.begin() as session:
            # Nobody closes the account meanwhile, nor takes the inviter's right.
            await hold_account(session, offer.account_id)
            found = await _good(session, token, now, is_held=True)
            if found is None:
                raise InvitationInvalid
            invitation, account, inviter = found
            levels = levels_of_user(invitation)
            if inviter is not None:
                levels = at_most(levels, levels_of_user(inviter))
            user_id = new_id()
            session.add(
                User(
                    id=user_id,
                    account_id=account.id,
                    email=invitation.email,
                    password_hash=password_hash,
                    name=name,
                    language=invitation.language,
                    time_zone=time_zone,
                    created_at=now,
                    **{column_of(each): levels[each].value for each in PERMISSIONS_OF_PEOPLE},
                )
            )
            await session.delete(invitation)
            session.add(person_audit_entry(account.id, user_id, "user_joined", user_id))
    except IntegrityError as error:
        if "uq_users_email" in str(error.orig):
            raise EmailTaken from error
        raise
    log.info("user_joined", user_id=str(user_id))


async def _good(
    session: AsyncSession, token: str, now: datetime, *, is_held: bool = False
) -> tuple[Invitation, Account, User | None] | None:
    """The invitation with this token, its account and its inviter, who may still invite."""
    may_invite = and_(User.disabled_at.is_(None), User.general_admin == Level.EDIT.value)
    statement = (
        select(Invitation, Account, User)
        .join(Account, Account.id == Invitation.account_id)
        .outerjoin(User, User.id == Invitation.invited_by)
        .where(
            Invitation.token_hash == hash_secret(token),
            Invitation.expires_at > now,
            or_(Invitation.invited_by.is_(None), may_invite),
        )
    )
    if is_held:
        statement = statement.with_for_update(of=Invitation)
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else (row[0], row[1], row[2])


async def _held(session: AsyncSession, caller: Caller, invitation_id: UUID) -> Invitation:
    invitation = await session.scalar(
        select(Invitation)
        .where(Invitation.id == invitation_id, Invitation.account_id == caller.account_id)
        .with_for_update()
    )
    if invitation is None:
        raise NotFound
    return invitation


async def _send(session: AsyncSession, invitation: Invitation, inviter_id: UUID) -> None:
    """Ask the worker for the mail; its link is made when it is sent."""
    row = insert(Notice).values(
        id=new_id(),
        account_id=invitation.account_id,
        user_id=inviter_id,
        kind=NoticeKind.INVITATION.value,
        dedupe_key=f"{NoticeKind.INVITATION}:{invitation.id}:{invitation.expires_at.isoformat()}",
        fields={"occasion": str(invitation.id)},
    )
    await session.execute(row.on_conflict_do_nothing(index_elements=["dedupe_key"]))
