"""Signing in and out, and proving again who one is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts import queries
from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.accounts.credentials import hash_secret, new_browser_token, new_session_token
from services.connector.accounts.passwords import PasswordCheck, Passwords
from services.connector.accounts.queries import SignInCount
from services.connector.accounts.service import normalise_email
from services.connector.accounts.session_lifetime import lifetime_of
from services.connector.accounts.sign_in_limits import (
    MAX_PER_BROWSER,
    MAX_PER_EMAIL_AND_NETWORK,
    MAX_PER_EMAIL_AND_NETWORK_UNDER_ATTACK,
    MAX_PER_NETWORK,
    MAX_PER_WIDE_NETWORK,
    RETRY_SECONDS,
    UNDER_ATTACK,
    SignInOrigin,
    TooManySignIns,
)
from services.connector.accounts.turns import FairTurns, LineFull
from services.connector.http.client_networks import network_of, wide_network_of
from services.connector.sign_in.browsers import Browser, browser_name
from shared.database import Sessions, new_id
from shared.errors import Expected
from shared.tables import Account, AuditEntry, SignInMethod, User, UserSession

log = structlog.get_logger()

# The sessions of one user at most; the next sign-in ends the oldest.
MAX_SESSIONS: Final = 50
# The browsers that are remembered of one user; the one that has been away longest is forgotten.
MAX_BROWSERS: Final = 20
BROWSER_LIFETIME: Final = timedelta(days=180)


class InvalidCredentials(Expected):
    """Wrong e-mail address or wrong password, or a disabled user; the answer never says which."""

    code = "invalid_credentials"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What the browser gets: its session, and what it is known by at the next sign-in."""

    session_token: str = field(repr=False)
    known_token: str = field(repr=False)


async def sign_in(
    sessions: Sessions,
    turns: FairTurns,
    passwords: Passwords,
    email: str,
    password: str,
    *,
    browser: Browser,
    now: datetime,
) -> SignedIn:
    """Begin a session. Raises InvalidCredentials, TooManySignIns.

    The attempt is counted and committed first; no transaction is open while the password is hashed.
    """
    user, check, origin = await _checked(
        sessions, turns, passwords, normalise_email(email), password, browser=browser, now=now
    )
    async with sessions.begin() as session:
        await queries.uncount_sign_in(session, origin)
        if check.new_hash is not None:
            await session.execute(
                update(User)
                .where(User.id == user.id, User.password_hash == user.password_hash)
                .values(password_hash=check.new_hash)
            )
        return await begin_session(session, user, SignInMethod.PASSWORD, browser, now)


async def begin_session(
    session: AsyncSession, user: User, method: SignInMethod, browser: Browser, now: datetime
) -> SignedIn:
    """Begin a session for a user who has proved who they are; it ends the one whose cookie it replaces."""
    session_token, known_token = new_session_token(), new_browser_token()
    await _end_replaced(session, browser.session_token)
    session_id = await _add_session(
        session, user, token=session_token, method=method, browser=browser, now=now
    )
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


async def confirm(
    sessions: Sessions,
    turns: FairTurns,
    passwords: Passwords,
    caller: Caller,
    password: str,
    *,
    browser: Browser,
    now: datetime,
) -> None:
    """Write down that the person of this session has proved again who they are. Raises InvalidCredentials, TooManySignIns, BrowserRequired.

    Counted as signing in is: whoever has found an unlocked screen may not guess more often than others.
    """
    session_id = caller.require_browser()
    email = await _email_of(sessions, caller)
    user, _, origin = await _checked(sessions, turns, passwords, email, password, browser=browser, now=now)
    if user.id != caller.user_id:
        raise InvalidCredentials
    async with sessions.begin() as session:
        await queries.uncount_sign_in(session, origin)
        await _mark_authenticated(session, caller, session_id, now)


async def _mark_authenticated(session: AsyncSession, caller: Caller, session_id: UUID, now: datetime) -> None:
    await session.execute(
        update(UserSession).where(UserSession.id == session_id).values(authenticated_at=now)
    )
    session.add(audit_entry(caller, "session_confirmed", session_id))


async def _email_of(sessions: Sessions, caller: Caller) -> str:
    async with sessions.begin() as session:
        email = await session.scalar(select(User.email).where(User.id == caller.user_id))
    if email is None:
        raise InvalidCredentials
    return email


async def _checked(
    sessions: Sessions,
    turns: FairTurns,
    passwords: Passwords,
    email: str,
    password: str,
    *,
    browser: Browser,
    now: datetime,
) -> tuple[User, PasswordCheck, SignInOrigin]:
    """The user with this address and this password. Raises InvalidCredentials, TooManySignIns."""
    user, origin, exceeded = await _counted(
        sessions,
        turns,
        email,
        client_address=browser.client_address,
        browser_hash=hash_secret(browser.known_token),
        now=now,
    )
    if exceeded is not None:
        seconds = int((exceeded.window_ends_at - now).total_seconds())
        raise TooManySignIns(retry_after_seconds=max(1, seconds))
    check = await passwords.verify(None if user is None else user.password_hash, password, origin)
    if user is None or user.disabled_at is not None or not check.is_right:
        await _keep_failure(sessions, user, origin)
        raise InvalidCredentials
    return user, check, origin


async def sign_out(sessions: Sessions, caller: Caller) -> None:
    """End this session at once."""
    session_id = caller.require_browser()
    async with sessions.begin() as session:
        await session.execute(delete(UserSession).where(UserSession.id == session_id))
        session.add(audit_entry(caller, "signed_out", session_id))


async def _counted(
    sessions: Sessions,
    turns: FairTurns,
    email: str,
    *,
    client_address: str,
    browser_hash: bytes,
    now: datetime,
) -> tuple[User | None, SignInOrigin, SignInCount | None]:
    """The user, where the attempt comes from, and the count that it exceeds. Raises TooManySignIns.

    By turns: those of one network wait for one another in the database, and would hold all of our connections meanwhile.
    """
    try:
        async with (
            turns.turn(wide_network_of(client_address), is_known=False),
            sessions.begin() as session,
        ):
            user, browser_id = await queries.user_signing_in(session, email, browser_hash, now)
            origin = SignInOrigin(email, client_address, browser_id)
            return user, origin, await _count(session, origin, now)
    except LineFull:
        raise TooManySignIns(retry_after_seconds=RETRY_SECONDS) from None


async def _count(session: AsyncSession, origin: SignInOrigin, now: datetime) -> SignInCount | None:
    """Count an attempt; the count that it exceeds, if it does.

    The narrowest count comes first: what is refused there is not held against those who share a wider one.
    """

    async def counted(*keys: bytes) -> Sequence[SignInCount]:
        counts = await queries.count_sign_in(session, keys, now)
        return [counts[key] for key in keys]

    if origin.browser_id is not None:
        (own,) = await counted(origin.browser_key)
        return own if own.failures > MAX_PER_BROWSER else None
    (pair,) = await counted(origin.pair_key)
    if pair.failures > MAX_PER_EMAIL_AND_NETWORK:
        return pair
    network, wide_network, email = await counted(
        origin.network_key, origin.wide_network_key, origin.email_key
    )
    if network.failures > MAX_PER_NETWORK:
        return network
    if wide_network.failures > MAX_PER_WIDE_NETWORK:
        return wide_network
    is_attacked = email.failures > UNDER_ATTACK
    return pair if is_attacked and pair.failures > MAX_PER_EMAIL_AND_NETWORK_UNDER_ATTACK else None


async def _keep_failure(sessions: Sessions, user: User | None, origin: SignInOrigin) -> None:
    """In the audit log of the account concerned, with the network that it came from."""
    async with sessions.begin() as session:
        # A row is written in any case: the time of a commit must not tell whether the address exists.
        await queries.touch_sign_in(
            session, origin.pair_key if origin.browser_id is None else origin.browser_key
        )
        if user is not None:
            session.add(
                AuditEntry(
                    account_id=user.account_id,
                    actor_kind="user",
                    actor_id=user.id,
                    action="sign_in_failed",
                    subject_id=user.id,
                    fields={"network": network_of(origin.client_address)},
                )
            )


async def _end_replaced(session: AsyncSession, session_token: str) -> None:
    """The browser forgets this session, so that nobody could sign it out any more."""
    replaced = await queries.end_session(session, hash_secret(session_token))
    if replaced is not None:
        session.add(
            AuditEntry(
                account_id=replaced.account_id,
                actor_kind="user",
                actor_id=replaced.user_id,
                action="signed_out",
                subject_id=replaced.id,
            )
        )


async def _add_session(
    session: AsyncSession, user: User, *, token: str, method: SignInMethod, browser: Browser, now: datetime
) -> UUID:
    account = await session.get_one(Account, user.account_id)
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
        authenticated_at=now,
        browser=browser_name(browser.user_agent),
        network=network_of(browser.client_address),
    )
    session.add(row)
    await session.flush()
    await queries.end_oldest_sessions(session, user.id, keep=MAX_SESSIONS)
    session.add(
        AuditEntry(
            account_id=user.account_id,
            actor_kind="user",
            actor_id=user.id,
            action="signed_in",
            subject_id=row.id,
            fields={"network": network_of(browser.client_address)},
        )
    )
    return row.id
