"""Signing in and out.

What must never happen here: an answer, a time or a log line that tells whether an e-mail address exists; a secret in the database; a
stranger who keeps a user from signing in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts import queries
from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.accounts.credentials import hash_secret, new_browser_token, new_session_token
from services.connector.accounts.passwords import Passwords
from services.connector.accounts.queries import SignInCount
from services.connector.accounts.service import levels_of, normalise_email, session_end
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
from shared.database import Sessions, new_id
from shared.errors import Expected
from shared.tables import AuditEntry, User, UserSession

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

    caller: Caller
    session_token: str = field(repr=False)
    browser_token: str = field(repr=False)


async def sign_in(
    sessions: Sessions,
    turns: FairTurns,
    passwords: Passwords,
    email: str,
    password: str,
    *,
    client_address: str,
    session_token: str,
    browser_token: str,
    now: datetime,
) -> SignedIn:
    """Begin a session; it ends the one with `session_token`, whose cookie it replaces. Raises InvalidCredentials, TooManySignIns.

    The attempt is counted and committed first; no transaction is open while the password is hashed.
    """
    email = normalise_email(email)
    known_hash = hash_secret(browser_token)
    user, origin, exceeded = await _counted(
        sessions, turns, email, client_address=client_address, browser_hash=known_hash, now=now
    )
    if exceeded is not None:
        seconds = int((exceeded.window_ends_at - now).total_seconds())
        raise TooManySignIns(retry_after_seconds=max(1, seconds))

    check = await passwords.verify(None if user is None else user.password_hash, password, origin)
    if user is None or user.disabled_at is not None or not check.is_right:
        await _keep_failure(sessions, user, origin)
        raise InvalidCredentials

    new_token, new_browser = new_session_token(), new_browser_token()
    async with sessions.begin() as session:
        await queries.uncount_sign_in(session, origin)
        await _end_replaced(session, session_token)
        session_id = await _begin_session(session, user, new_token, client_address, now)
        await queries.remember_browser(
            session,
            user,
            before=known_hash,
            token_hash=hash_secret(new_browser),
            expires_at=now + BROWSER_LIFETIME,
            keep=MAX_BROWSERS,
        )
        if check.new_hash is not None:
            await session.execute(
                update(User)
                .where(User.id == user.id, User.password_hash == user.password_hash)
                .values(password_hash=check.new_hash)
            )
    log.info("signed_in", user_id=str(user.id), session_id=str(session_id))
    levels = levels_of(user.general_admin, user.inbox_messages)
    return SignedIn(Caller(user.account_id, user.id, levels, session_id=session_id), new_token, new_browser)


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


async def _begin_session(
    session: AsyncSession, user: User, token: str, client_address: str, now: datetime
) -> UUID:
    session_id = new_id()
    session.add(
        UserSession(
            id=session_id,
            account_id=user.account_id,
            user_id=user.id,
            token_hash=hash_secret(token),
            created_at=now,
            last_seen_at=now,
            expires_at=session_end(now, now),
        )
    )
    await session.flush()
    await queries.end_oldest_sessions(session, user.id, keep=MAX_SESSIONS)
    session.add(
        AuditEntry(
            account_id=user.account_id,
            actor_kind="user",
            actor_id=user.id,
            action="signed_in",
            subject_id=session_id,
            fields={"network": network_of(client_address)},
        )
    )
    return session_id
