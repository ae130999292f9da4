"""Who of an account has signed in at its provider, and what they may do from here on."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry, person_audit_entry, system_audit_entry
from services.connector.accounts.callers import Caller
from services.connector.accounts.levels import PERMISSIONS_OF_PEOPLE, column_of, levels_of_user
from services.connector.accounts.service import normalise_email
from services.connector.problems.catalogue import NotFound
from services.connector.single_sign_on import queries
from services.connector.single_sign_on.claims import (
    domain_of,
    email_of,
    is_email_verified,
    language_of,
    levels_by_claim,
    name_of,
    rules_of,
)
from services.connector.single_sign_on.id_tokens import IdToken
from services.connector.users.queries import hold_account
from services.connector.users.service import LastAdmin, hold_account_as_admin, require_admin_left
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.jobs import Job, enqueue
from shared.permissions import Level, Permission
from shared.tables import Invitation, OidcAttempt, OidcProvider, SignInMethod, User, UserSession

log = structlog.get_logger()


class EmailUnverified(Expected):
    """Somebody's first sign-in, and the provider does not say that the address is theirs."""

    code = "sso_email_unverified"


class Nobody(Expected):
    """Whoever this is, they are nobody of this account: not invited, disabled, removed, or known as somebody else."""

    code = "sso_nobody"


async def person(
    session: AsyncSession,
    provider: OidcProvider,
    token: IdToken,
    claims: Mapping[str, Any],
    now: datetime,
) -> User:
    """The user who this is. Known by issuer and subject alone, once they have been tied. Raises EmailUnverified, Nobody."""
    user = await queries.user_of_subject(session, provider.account_id, token.issuer, token.subject)
    if user is not None and user.removed_at is None:
        if user.disabled_at is not None:
            raise Nobody
        return user
    given = email_of(claims)
    if given is None or not is_email_verified(claims):
        raise EmailUnverified
    email = normalise_email(given)
    removed, user = user, await queries.user_of_email(session, provider.account_id, email)
    if removed is not None:
        # They come back as whoever invited them anew has wanted, and not by themselves.
        if user is None:
            raise Nobody
        removed.oidc_issuer = removed.oidc_subject = None
        await session.flush()
    if user is None:
        user = await _create(session, provider, email, claims, now)
    elif user.disabled_at is not None or user.oidc_issuer == token.issuer:
        # An address that has passed to somebody else does not take its former owner's place along.
        raise Nobody
    user.oidc_issuer, user.oidc_subject = token.issuer, token.subject
    await session.flush()
    session.add(person_audit_entry(provider.account_id, user.id, "single_sign_on_linked", user.id))
    return user


async def untie(sessions: Sessions, caller: Caller, user_id: UUID, now: datetime) -> None:
    """Forget who a colleague is at the provider, and end the sessions that it has begun, but for the caller's own. Their next sign-in there
    ties them anew, by their address: so whoever was given another account at the company gets in again.

    Raises ReauthenticationNeeded, NotFound.
    """
    session_id = caller.require_browser()
    caller.require_recent(now)
    async with sessions.begin() as session:
        await hold_account_as_admin(session, caller)
        user = await session.scalar(
            select(User).where(
                User.account_id == caller.account_id, User.id == user_id, User.removed_at.is_(None)
            )
        )
        if user is None:
            raise NotFound
        if await _forget(session, user, kept_session=session_id):
            session.add(audit_entry(caller, "single_sign_on_unlinked", user.id))


async def untie_for_operator(sessions: Sessions, email: str) -> None:
    """The same for whoever signs in with this address. Raises NotFound."""
    async with sessions.begin() as session:
        known = select(User).where(User.email == normalise_email(email), User.removed_at.is_(None))
        user = await session.scalar(known)
        if user is None:
            raise NotFound
        await hold_account(session, user.account_id)
        await session.refresh(user)
        if await _forget(session, user, kept_session=None):
            session.add(system_audit_entry(user.account_id, "single_sign_on_unlinked", user.id))


async def _forget(session: AsyncSession, user: User, *, kept_session: UUID | None) -> bool:
    """False if nothing was known of them; the account is held."""
    if user.oidc_issuer is None:
        return False
    user.oidc_issuer = user.oidc_subject = None
    ended = delete(UserSession).where(
        UserSession.user_id == user.id, UserSession.method == SignInMethod.SINGLE_SIGN_ON.value
    )
    if kept_session is not None:
        ended = ended.where(UserSession.id != kept_session)
    await session.execute(ended)
    await session.execute(delete(OidcAttempt).where(OidcAttempt.user_id == user.id))
    return True


async def _create(
    session: AsyncSession, provider: OidcProvider, email: str, claims: Mapping[str, Any], now: datetime
) -> User:
    """Only with an address of the account's own domain: no provider's word makes anybody of another company one of our users."""
    if not provider.creates_users or not await queries.has_proven(
        session, provider.account_id, domain_of(email)
    ):
        raise Nobody
    levels = levels_of_user(provider)
    user = User(
        id=new_id(),
        account_id=provider.account_id,
        email=email,
        password_hash=None,
        name=name_of(claims, email),
        language=language_of(claims),
        created_at=now,
        **{column_of(each): levels[each].value for each in PERMISSIONS_OF_PEOPLE},
    )
    session.add(user)
    # They have come by another way.
    await session.execute(
        delete(Invitation).where(Invitation.account_id == provider.account_id, Invitation.email == email)
    )
    await session.flush()
    session.add(person_audit_entry(provider.account_id, user.id, "user_joined", user.id))
    return user


async def give_levels(
    session: AsyncSession, provider: OidcProvider, user: User, claims: Mapping[str, Any]
) -> None:
    """What the claim says today; but the last one who may edit general.admin stays one."""
    if provider.level_claim is None:
        return
    least, before = levels_of_user(provider), levels_of_user(user)
    wanted = levels_by_claim(claims, provider.level_claim, rules_of(provider.level_rules), least)
    for permission, level in wanted.items():
        setattr(user, column_of(permission), level.value)
    await session.flush()
    try:
        await require_admin_left(session, provider.account_id)
    except LastAdmin:
        user.general_admin = before[Permission.GENERAL_ADMIN].value
        await session.flush()
        log.warning("last_admin_kept", user_id=str(user.id))
    after = levels_of_user(user)
    changed = {
        each.value: after[each].value for each in PERMISSIONS_OF_PEOPLE if after[each] is not before[each]
    }
    if changed:
        if after[Permission.INBOX_MESSAGES] is Level.NONE:
            await enqueue(session, Job.UNASSIGN_CONVERSATIONS, user.id)
        session.add(
            system_audit_entry(provider.account_id, "single_sign_on_permissions_changed", user.id, **changed)
        )
