"""Proving again who one is, before something that a stranger at an unlocked screen must not do."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts import queries
from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller, NotSignedIn
from services.connector.accounts.credentials import hash_secret
from services.connector.accounts.passwords import Passwords
from services.connector.accounts.turns import FairTurns
from services.connector.second_factors import proof_service
from services.connector.second_factors import queries as factors
from services.connector.second_factors.passkeys import (
    KnownPasskey,
    PasskeyRefused,
    RelyingParty,
    new_challenge,
    request_options,
)
from services.connector.second_factors.proof_service import CodeRefused
from services.connector.sign_in.browsers import Browser
from services.connector.sign_in.password_check import InvalidCredentials, user_with_password
from shared.database import Sessions
from shared.keyring import Keyring
from shared.tables import ChallengePurpose, User, UserSession

_ANSWER_TIME: Final = timedelta(minutes=5)


async def confirm_with_password(
    sessions: Sessions,
    turns: FairTurns,
    passwords: Passwords,
    caller: Caller,
    password: str,
    *,
    browser: Browser,
    now: datetime,
) -> None:
    """By the password. Raises InvalidCredentials, TooManySignIns.

    Counted as signing in is: whoever has found an unlocked screen may not guess more often than others.
    """
    session_id = caller.require_browser()
    email = await _email_of(sessions, caller)
    user, _, origin = await user_with_password(
        sessions, turns, passwords, email, password, browser=browser, now=now
    )
    if user.id != caller.user_id:
        raise InvalidCredentials
    async with sessions.begin() as session:
        await queries.uncount_sign_in(session, origin)
        await mark_authenticated(session, caller, session_id, now)


async def confirm_with_code(
    sessions: Sessions, keyring: Keyring, caller: Caller, code: str, *, browser: Browser, now: datetime
) -> None:
    """By a code of the app, or a recovery code. Raises CodeRefused, TooManySignIns."""
    session_id = caller.require_browser()
    user = await _user(sessions, caller)
    origin, takes_app = await proof_service.count(
        sessions,
        user,
        client_address=browser.client_address,
        browser_hash=hash_secret(browser.known_token),
        now=now,
    )
    keys = await keyring.of(sessions, caller.account_id)
    async with sessions.begin() as session:
        if await proof_service.take_code(session, keys, user, code, takes_app=takes_app, now=now):
            await proof_service.uncount(session, origin)
            await mark_authenticated(session, caller, session_id, now)
            return
        proof_service.tell_failure(session, user, browser.client_address)
    raise CodeRefused


async def ask_passkey(
    sessions: Sessions, party: RelyingParty, caller: Caller, now: datetime
) -> dict[str, Any]:
    """What one of the caller's passkeys has to sign."""
    session_id = caller.require_browser()
    user, challenge = await _user(sessions, caller), new_challenge()
    async with sessions.begin() as session:
        passkeys = await factors.passkeys_of(session, user.id)
        await factors.ask_session(
            session,
            user,
            session_id,
            ChallengePurpose.CONFIRMATION,
            challenge=challenge,
            expires_at=now + _ANSWER_TIME,
        )
    known = [KnownPasskey(each.credential_id, each.transports) for each in passkeys]
    return request_options(party, challenge, allowed=known, is_verified=True)


async def confirm_with_passkey(
    sessions: Sessions,
    party: RelyingParty,
    caller: Caller,
    credential: Mapping[str, Any],
    *,
    browser: Browser,
    now: datetime,
) -> None:
    """By a passkey whose device has recognised them. Raises PasskeyRefused."""
    session_id = caller.require_browser()
    user = await _user(sessions, caller)
    try:
        async with sessions.begin() as session:
            asked = await factors.asked_session(session, session_id, ChallengePurpose.CONFIRMATION, now)
            is_asked = asked is not None and await factors.take_challenge(session, asked.id)
            challenge = asked.challenge if asked is not None and is_asked else None
            await proof_service.take_passkey(
                session, party, challenge, credential, user_id=user.id, is_verified=True, now=now
            )
            await mark_authenticated(session, caller, session_id, now)
    except PasskeyRefused as refused:
        await proof_service.tell_refused(sessions, refused, user, browser.client_address)
        raise


async def mark_authenticated(session: AsyncSession, caller: Caller, session_id: UUID, now: datetime) -> None:
    """Write down that the person of this session has proved again who they are, whichever way."""
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


async def _user(sessions: Sessions, caller: Caller) -> User:
    async with sessions.begin() as session:
        user = await factors.user_of(session, caller.account_id, caller.user_id)
    if user is None:
        raise NotSignedIn
    return user
