"""Beginning a session, for a user who has proved who they are, whichever way."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts import queries
from services.connector.accounts.audit import person_audit_entry
from services.connector.accounts.credentials import hash_secret, new_browser_token, new_session_token
from services.connector.accounts.notices import notify_person
from services.connector.accounts.session_lifetime import lifetime_of
from services.connector.http.client_networks import network_of
from services.connector.second_factors.queries import has_one_way_in
from services.connector.sign_in.browsers import Browser, browser_name
from shared.driver import new_id
from shared.errors import Expected
from shared.tables import (
    Account,
    KnownBrowser,
    NoticeKind,
    SignInMethod,
    User,
    UserSession,
)

log = structlog.get_logger()

# The sessions of one user at most; the next sign-in ends the oldest.
MAX_SESSIONS: Final = 50
# The browsers that are remembered of one user; the one that has been away longest is forgotten.
MAX_BROWSERS: Final = 20
BROWSER_LIFETIME: Final = timedelta(days=180)


class SingleSignOnOnly(Expected):
    """The account's people sign in at their company's provider, and in no other way."""

    code = "sso_only"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What the browser gets: its session, and what it is known by at the next sign-in."""

    session_token: str = field(repr=False)
    known_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Entrant:
    """Whoever is about to sign in, as they are now. Their account is held until the transaction ends."""

    user: User
    account: Account


async def hold_entrant(session: AsyncSession, user_id: UUID) -> Entrant | None:
    """Hold somebody and their account until the transaction ends; None if nobody lets them in any more.

    Whatever shuts somebody out (disabling them, another password, one way in alone, the closing of the account) comes wholly before the
    sign-in, and refuses it, or wholly after it, and ends the session. The account first, as everybody who holds both does.
    """
    account = await session.scalar(
        select(Account)
        .join(User, User.account_id == Account.id)
        .where(User.id == user_id)
        .with_for_update(read=True, of=Account)
        .execution_options(populate_existing=True)
    )
    user = await session.scalar(
        select(User)
        .where(User.id == user_id, User.disabled_at.is_(None))
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if account is None or account.closed_at is not None or user is None:
        return None
    return Entrant(user, account)


async def begin_session(
    session: AsyncSession,
    entrant: Entrant,
    method: SignInMethod,
    browser: Browser,
    now: datetime,
    *,
    authenticated_at: datetime | None = None,
    **fields: str,
) -> SignedIn:
    """Begin a session for a user who has proved who they are; it ends the one whose cookie it replaces.

    `authenticated_at`: when they have done so, if it is not now. `fields` go into the audit log. Raises SingleSignOnOnly.
    """
    user = entrant.user
    if method is not SignInMethod.SINGLE_SIGN_ON and await has_one_way_in(session, user.account_id):
        raise SingleSignOnOnly
    session_token, known_token = new_session_token(), new_browser_token()
    await _end_replaced(session, browser.session_token)
    session_id = await _add_session(
        session,
        entrant,
        token=session_token,
        method=method,
        browser=browser,
        now=now,
        authenticated_at=authenticated_at or now,
    )
    network = network_of(browser.client_address)
    session.add(
        person_audit_entry(
            user.account_id, user.id, "signed_in", session_id, network=network, method=method.value, **fields
        )
    )
    await _tell_of_new_browser(session, user, browser, session_id, now)
    await queries.remember_browser(
        session,
        user,
        before=hash_secret(browser.known_token),
        token_hash=hash_secret(known_token),
        expires_at=now + BROWSER_LIFETIME,
        keep=MAX_BROWSERS,
    )
    log.info("signed_in", user_id=str(user.id), session_id=str(session_id))
    return SignedIn(session_token, known_token)


async def _end_replaced(session: AsyncSession, session_token: str) -> None:
    """The browser forgets this session, so that nobody could sign it out any more."""
    replaced = await queries.end_session(session, hash_secret(session_token))
    if replaced is not None:
        session.add(person_audit_entry(replaced.account_id, replaced.user_id, "signed_out", replaced.id))


async def _add_session(
    session: AsyncSession,
    entrant: Entrant,
    *,
    token: str,
    method: SignInMethod,
    browser: Browser,
    now: datetime,
    authenticated_at: datetime,
) -> UUID:
    user, account = entrant.user, entrant.account
    lifetime = lifetime_of(
        user.general_admin,
        admin_session_hours=account.admin_session_hours,
        admin_idle_minutes=account.admin_idle_minutes,
    )
    row = UserSession(
        id=new_id(),
        account_id=user.account_id,
        user_id=user.id,
        token_hash=hash_secret(token),
        created_at=now,
        last_seen_at=now,
        expires_at=lifetime.end(now, now),
        method=method.value,
        authenticated_at=authenticated_at,
        browser=browser_name(browser.user_agent),
        network=network_of(browser.client_address),
    )
    session.add(row)
    await session.flush()
    await queries.end_oldest_sessions(session, user.id, keep=MAX_SESSIONS)
    return row.id


async def _tell_of_new_browser(
    session: AsyncSession, user: User, browser: Browser, session_id: UUID, now: datetime
) -> None:
    """A mail to the user, unless they have signed in with this browser before, or never with any."""
    if await queries.known_browser(session, user.id, hash_secret(browser.known_token), now) is not None:
        return
    if not await session.scalar(select(exists().where(KnownBrowser.user_id == user.id))):
        return
    await notify_person(
        session,
        user,
        NoticeKind.NEW_BROWSER,
        session_id,
        browser=browser_name(browser.user_agent),
        network=network_of(browser.client_address),
    )
