"""What comes after a right password, and signing in by a passkey alone.

A right password alone gives a challenge, of which the browser keeps a token for five minutes, and no session.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.credentials import hash_secret, new_session_token
from services.connector.accounts.queries import known_browser, uncount_sign_in
from services.connector.accounts.sign_in_limits import SignInOrigin
from services.connector.second_factors import proof_service
from services.connector.second_factors.passkeys import (
    KnownPasskey,
    PasskeyRefused,
    RelyingParty,
    new_challenge,
    request_options,
)
from services.connector.second_factors.proof_service import CodeRefused
from services.connector.second_factors.queries import Factors, take_challenge
from services.connector.sign_in.beginning import Entrant, SignedIn, begin_session, hold_entrant
from services.connector.sign_in.browsers import Browser
from services.connector.throttling.limits import PASSKEY_SIGN_INS
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.keyring import Keyring
from shared.tables import ChallengePurpose, SignInChallenge, SignInMethod, User

CHALLENGE_LIFETIME: Final = timedelta(minutes=5)
# The open second steps of one user at most: the next one takes the place of the oldest.
_MOST_OPEN: Final = 10


class SignInExpired(Expected):
    """The second step came too late, or belongs to no sign-in of this browser."""

    code = "sign_in_expired"


@dataclass(frozen=True, slots=True)
class SecondStep:
    """What is left to be done. `passkey_options`: for a passkey, if the user has one."""

    token: str = field(repr=False)
    takes_codes: bool
    passkey_options: dict[str, Any] | None
    expires_at: datetime


async def ask_second_step(
    session: AsyncSession, party: RelyingParty, user: User, factors: Factors, now: datetime
) -> SecondStep:
    """Ask for a second factor of somebody whose password was right."""
    token, challenge, expires_at = new_session_token(), new_challenge(), now + CHALLENGE_LIFETIME
    oldest = (
        select(SignInChallenge.id)
        .where(SignInChallenge.user_id == user.id, SignInChallenge.session_id.is_(None))
        .order_by(SignInChallenge.id.desc())
        .offset(_MOST_OPEN - 1)
    )
    await session.execute(delete(SignInChallenge).where(SignInChallenge.id.in_(oldest)))
    session.add(
        SignInChallenge(
            id=new_id(),
            account_id=user.account_id,
            user_id=user.id,
            purpose=ChallengePurpose.SECOND_STEP.value,
            token_hash=hash_secret(token),
            challenge=challenge,
            expires_at=expires_at,
        )
    )
    known = [KnownPasskey(each.credential_id, each.transports) for each in factors.passkeys]
    options = request_options(party, challenge, allowed=known, is_verified=False) if known else None
    takes_codes = factors.totp_confirmed_at is not None or factors.recovery_codes > 0
    return SecondStep(token, takes_codes, options, expires_at)


async def finish_with_code(
    sessions: Sessions, keyring: Keyring, token: str, code: str, *, browser: Browser, now: datetime
) -> SignedIn:
    """Begin the session. Raises SignInExpired, CodeRefused, TooManySignIns."""
    challenge, user = await _waiting(sessions, token, now)
    step_origin, takes_app = await proof_service.count(
        sessions,
        user,
        client_address=browser.client_address,
        browser_hash=hash_secret(browser.known_token),
        now=now,
    )
    keys = await keyring.of(sessions, user.account_id)
    async with sessions.begin() as session:
        entrant = await _held(session, user)
        if await proof_service.take_code(session, keys, entrant.user, code, takes_app=takes_app, now=now):
            await proof_service.uncount(session, step_origin)
            return await _finish(session, challenge, entrant, browser=browser, now=now)
        proof_service.tell_failure(session, user, browser.client_address)
    raise CodeRefused


async def finish_with_passkey(
    sessions: Sessions,
    party: RelyingParty,
    token: str,
    credential: Mapping[str, Any],
    *,
    browser: Browser,
    now: datetime,
) -> SignedIn:
    """Begin the session. Raises SignInExpired, PasskeyRefused."""
    challenge, user = await _waiting(sessions, token, now)
    try:
        async with sessions.begin() as session:
            entrant = await _held(session, user)
            await proof_service.take_passkey(
                session,
                party,
                challenge.challenge,
                credential,
                user_id=user.id,
                is_verified=False,
                now=now,
            )
            return await _finish(session, challenge, entrant, browser=browser, now=now)
    except PasskeyRefused as refused:
        await proof_service.tell_refused(sessions, refused, user, browser.client_address)
        raise


async def ask_passkey(
    sessions: Sessions, party: RelyingParty, *, client_address: str, now: datetime
) -> SecondStep:
    """Ask any passkey of ours who is there. Raises TooOften: anybody can ask."""
    await PASSKEY_SIGN_INS.require_from(sessions, client_address)
    token, challenge, expires_at = new_session_token(), new_challenge(), now + CHALLENGE_LIFETIME
    async with sessions.begin() as session:
        session.add(
            SignInChallenge(
                purpose=ChallengePurpose.PASSKEY_SIGN_IN.value,
                token_hash=hash_secret(token),
                challenge=challenge,
                expires_at=expires_at,
            )
        )
    return SecondStep(
        token, False, request_options(party, challenge, allowed=(), is_verified=True), expires_at
    )


async def sign_in_with_passkey(
    sessions: Sessions,
    party: RelyingParty,
    token: str,
    credential: Mapping[str, Any],
    *,
    browser: Browser,
    now: datetime,
) -> SignedIn:
    """Begin the session of whoever the passkey says is there, whom its device has recognised. Raises SignInExpired, PasskeyRefused."""
    async with sessions.begin() as session:
        challenge = await _open(session, token, ChallengePurpose.PASSKEY_SIGN_IN, now)
        # Once, whatever comes of it: who tries again asks again.
        await take_challenge(session, challenge.id)
    try:
        async with sessions.begin() as session:
            entrant = await _owner(session, credential)
            await proof_service.take_passkey(
                session, party, challenge.challenge, credential, user_id=None, is_verified=True, now=now
            )
            return await begin_session(session, entrant, SignInMethod.PASSKEY, browser, now)
    except PasskeyRefused as refused:
        await proof_service.tell_refused(sessions, refused, None, browser.client_address)
        raise


async def _held(session: AsyncSession, user: User) -> Entrant:
    """Raises SignInExpired if nobody lets them in any more."""
    entrant = await hold_entrant(session, user.id)
    if entrant is None:
        raise SignInExpired
    return entrant


async def _owner(session: AsyncSession, credential: Mapping[str, Any]) -> Entrant:
    """Whose passkey says that it answers: held, but not believed yet. Raises PasskeyRefused."""
    owner_id = await proof_service.owner_of(session, credential)
    entrant = None if owner_id is None else await hold_entrant(session, owner_id)
    if entrant is None:
        raise PasskeyRefused
    return entrant


async def _open(
    session: AsyncSession, token: str, purpose: ChallengePurpose, now: datetime
) -> SignInChallenge:
    found = await session.scalar(
        select(SignInChallenge).where(
            SignInChallenge.token_hash == hash_secret(token),
            SignInChallenge.purpose == purpose,
            SignInChallenge.expires_at > now,
        )
    )
    if found is None:
        raise SignInExpired
    return found


async def _waiting(sessions: Sessions, token: str, now: datetime) -> tuple[SignInChallenge, User]:
    """What a browser was asked after a right password, and of whom. Raises SignInExpired."""
    async with sessions.begin() as session:
        challenge = await _open(session, token, ChallengePurpose.SECOND_STEP, now)
        user = await session.scalar(
            select(User).where(User.id == challenge.user_id, User.disabled_at.is_(None))
        )
    if user is None:
        raise SignInExpired
    return challenge, user


async def _finish(
    session: AsyncSession,
    challenge: SignInChallenge,
    entrant: Entrant,
    *,
    browser: Browser,
    now: datetime,
) -> SignedIn:
    """The whole sign-in has succeeded. Of two answers at once, one counts. Raises SignInExpired."""
    if not await take_challenge(session, challenge.id):
        raise SignInExpired
    user = entrant.user
    browser_id: UUID | None = await known_browser(session, user.id, hash_secret(browser.known_token), now)
    # Until now the right password counted as a failure: else it would make room for more guesses at the second step.
    await uncount_sign_in(session, SignInOrigin(user.email, browser.client_address, browser_id))
    return await begin_session(session, entrant, SignInMethod.PASSWORD, browser, now)
