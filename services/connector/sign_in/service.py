"""Signing in by a password, signing out, and the sessions that one has."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select

from services.connector.accounts import queries
from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.accounts.passwords import Passwords
from services.connector.accounts.service import normalise_email
from services.connector.accounts.turns import FairTurns
from services.connector.problems.catalogue import NotFound
from services.connector.second_factors.passkeys import RelyingParty
from services.connector.second_factors.queries import factors_of
from services.connector.sign_in.beginning import SignedIn, begin_session, hold_entrant
from services.connector.sign_in.browsers import Browser
from services.connector.sign_in.password_check import InvalidCredentials, user_with_password
from services.connector.sign_in.second_step_service import SecondStep, ask_second_step
from shared.database import Sessions
from shared.tables import SignInMethod, UserSession


async def sign_in(
    sessions: Sessions,
    turns: FairTurns,
    passwords: Passwords,
    email: str,
    password: str,
    *,
    party: RelyingParty,
    browser: Browser,
    now: datetime,
) -> SignedIn | SecondStep:
    """Begin a session, or ask whoever has a second factor for it. Raises InvalidCredentials, TooManySignIns."""
    user, check, origin = await user_with_password(
        sessions, turns, passwords, normalise_email(email), password, browser=browser, now=now
    )
    async with sessions.begin() as session:
        entrant = await hold_entrant(session, user.id)
        # The password was theirs a moment ago.
        if entrant is None or entrant.user.password_hash != user.password_hash:
            raise InvalidCredentials
        user = entrant.user
        if check.new_hash is not None:
            user.password_hash = check.new_hash
        factors = await factors_of(session, user)
        if factors.has_any:
            return await ask_second_step(session, party, user, factors, now)
        await queries.uncount_sign_in(session, origin)
        return await begin_session(session, entrant, SignInMethod.PASSWORD, browser, now)


async def sign_out(sessions: Sessions, caller: Caller) -> None:
    """End this session at once."""
    session_id = caller.require_browser()
    async with sessions.begin() as session:
        await session.execute(delete(UserSession).where(UserSession.id == session_id))
        session.add(audit_entry(caller, "signed_out", session_id))


async def own_sessions(sessions: Sessions, caller: Caller, now: datetime) -> Sequence[UserSession]:
    """Where one is signed in, the latest first."""
    statement = select(UserSession).where(UserSession.user_id == caller.user_id, UserSession.expires_at > now)
    async with sessions.begin() as session:
        return (await session.scalars(statement.order_by(UserSession.last_seen_at.desc()))).all()


async def end_session(sessions: Sessions, caller: Caller, session_id: UUID) -> None:
    """End one of one's own sessions. Raises NotFound."""
    ended = delete(UserSession).where(UserSession.id == session_id, UserSession.user_id == caller.user_id)
    async with sessions.begin() as session:
        if (await session.execute(ended.returning(UserSession.id))).one_or_none() is None:
            raise NotFound
        session.add(audit_entry(caller, "session_ended", session_id))


async def end_other_sessions(sessions: Sessions, caller: Caller) -> None:
    """End all of one's sessions but this one."""
    session_id = caller.require_browser()
    others = delete(UserSession).where(UserSession.user_id == caller.user_id, UserSession.id != session_id)
    async with sessions.begin() as session:
        await session.execute(others)
        session.add(audit_entry(caller, "other_sessions_ended", caller.user_id))
