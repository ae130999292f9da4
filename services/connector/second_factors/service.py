"""A user's second factors: shown, set up, taken away."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller, NotSignedIn
from services.connector.accounts.notices import notify_person
from services.connector.problems.catalogue import NotFound
from services.connector.second_factors import queries, recovery_codes
from services.connector.second_factors.authenticator_apps import AppKey, app_key
from services.connector.second_factors.passkeys import (
    KnownPasskey,
    RelyingParty,
    creation_options,
    new_challenge,
    verify_new,
)
from services.connector.second_factors.proof_service import CodeRefused, totp_place
from services.connector.second_factors.queries import Factors
from services.connector.second_factors.requirement import is_required
from shared.crypto.envelope import Place
from shared.crypto.totp import matching_step, new_secret
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.keyring import Keyring
from shared.tables import ChallengePurpose, NoticeKind, Passkey, RecoveryCode, SignInChallenge, User

# Time enough to fetch a telephone, or to find a security key.
SET_UP_TIME: Final = timedelta(minutes=10)
MAX_PASSKEYS: Final = 20


class SetUpExpired(Expected):
    """What was begun to be set up was left alone too long, or begun anew elsewhere."""

    code = "set_up_expired"


class LastSecondFactor(Expected):
    """The account demands a second factor, and this is the only one."""

    code = "last_second_factor"


class TooManyPasskeys(Expected):
    """As many as anybody can tell apart."""

    code = "too_many_passkeys"


class PasskeyTaken(Expected):
    """This device is registered already."""

    code = "passkey_taken"


@dataclass(frozen=True, slots=True)
class Overview:
    """What a user has, and what their account demands."""

    factors: Factors
    is_required: bool
    has_password: bool
    has_company_account: bool
    is_company_account_only: bool


async def overview(sessions: Sessions, caller: Caller) -> Overview:
    """The caller's own."""
    async with sessions.begin() as session:
        user = await _self(session, caller)
        return Overview(
            await queries.factors_of(session, user),
            await _is_required(session, user),
            has_password=bool(user.password_hash),
            has_company_account=user.oidc_subject is not None,
            is_company_account_only=await queries.has_one_way_in(session, user.account_id),
        )


async def begin_app(sessions: Sessions, keyring: Keyring, caller: Caller, now: datetime) -> AppKey:
    """A key for an authenticator app, which counts only when it has shown a code. Raises ReauthenticationNeeded."""
    session_id = caller.require_browser()
    caller.require_recent(now)
    keys = await keyring.of(sessions, caller.account_id)
    secret, challenge_id = new_secret(), new_id()
    async with sessions.begin() as session:
        user = await _self(session, caller)
        await queries.ask_session(
            session,
            user,
            session_id,
            ChallengePurpose.NEW_TOTP,
            challenge_id=challenge_id,
            secret=keys.seal(_place(challenge_id), secret),
            expires_at=now + SET_UP_TIME,
        )
    return app_key(secret, user.email)


async def confirm_app(
    sessions: Sessions, keyring: Keyring, caller: Caller, code: str, now: datetime
) -> list[str] | None:
    """Set up the app, which has shown its first code; recovery codes if there were none.

    Raises ReauthenticationNeeded, SetUpExpired, CodeRefused.
    """
    session_id = caller.require_browser()
    caller.require_recent(now)
    keys = await keyring.of(sessions, caller.account_id)
    async with sessions.begin() as session:
        user = await _self(session, caller)
        asked = await _asked(session, session_id, ChallengePurpose.NEW_TOTP, now)
        assert asked.secret is not None
        secret = keys.open(_place(asked.id), asked.secret)
        step = matching_step(secret, "".join(code.split()), now)
        if step is None:
            raise CodeRefused
        if not await queries.take_challenge(session, asked.id):
            raise SetUpExpired
        user.totp_secret = keys.seal(totp_place(user.id), secret)
        # The code that confirmed it is used.
        user.totp_last_step = step
        user.totp_confirmed_at = now
        session.add(audit_entry(caller, "authenticator_set_up", user.id))
        await notify_person(session, user, NoticeKind.SECOND_FACTOR_CHANGED, new_id())
        await session.flush()
        return await _first_codes(session, user)


async def remove_app(sessions: Sessions, caller: Caller, now: datetime) -> None:
    """Take the app away. Raises ReauthenticationNeeded, LastSecondFactor."""
    caller.require_recent(now)
    async with sessions.begin() as session:
        user = await _self(session, caller)
        if user.totp_confirmed_at is None:
            return
        user.totp_secret = user.totp_last_step = user.totp_confirmed_at = None
        await session.flush()
        await _require_enough(session, user)
        session.add(audit_entry(caller, "authenticator_removed", user.id))
        await notify_person(session, user, NoticeKind.SECOND_FACTOR_CHANGED, new_id())


async def begin_passkey(
    sessions: Sessions, party: RelyingParty, caller: Caller, now: datetime
) -> dict[str, Any]:
    """What the browser makes a passkey of. Raises ReauthenticationNeeded, TooManyPasskeys."""
    session_id = caller.require_browser()
    caller.require_recent(now)
    challenge = new_challenge()
    async with sessions.begin() as session:
        user = await _self(session, caller)
        existing = await queries.passkeys_of(session, user.id)
        if len(existing) >= MAX_PASSKEYS:
            raise TooManyPasskeys(limit=MAX_PASSKEYS)
        await queries.ask_session(
            session,
            user,
            session_id,
            ChallengePurpose.NEW_PASSKEY,
            challenge=challenge,
            expires_at=now + SET_UP_TIME,
        )
    known = [KnownPasskey(each.credential_id, each.transports) for each in existing]
    return creation_options(
        party, challenge, user_id=user.id, email=user.email, name=user.name, existing=known
    )


async def add_passkey(
    sessions: Sessions,
    party: RelyingParty,
    caller: Caller,
    *,
    name: str,
    credential: Mapping[str, Any],
    now: datetime,
) -> tuple[Passkey, list[str] | None]:
    """Keep a passkey that a browser has made; recovery codes if there were none.

    Raises ReauthenticationNeeded, SetUpExpired, PasskeyRefused, PasskeyTaken, TooManyPasskeys.
    """
    session_id = caller.require_browser()
    caller.require_recent(now)
    try:
        async with sessions.begin() as session:
            user = await _self(session, caller)
            asked = await _asked(session, session_id, ChallengePurpose.NEW_PASSKEY, now)
            if asked.challenge is None or not await queries.take_challenge(session, asked.id):
                raise SetUpExpired
            made = verify_new(party, asked.challenge, credential)
            if len(await queries.passkeys_of(session, user.id)) >= MAX_PASSKEYS:
                raise TooManyPasskeys(limit=MAX_PASSKEYS)
            row = Passkey(
                id=new_id(),
                account_id=user.account_id,
                user_id=user.id,
                credential_id=made.credential_id,
                public_key=made.public_key,
                sign_count=made.sign_count,
                transports=made.transports,
                name=name,
                created_at=now,
            )
            session.add(row)
            session.add(audit_entry(caller, "passkey_added", row.id))
            await notify_person(session, user, NoticeKind.SECOND_FACTOR_CHANGED, new_id())
            await session.flush()
            return row, await _first_codes(session, user)
    except IntegrityError as error:
        if "uq_passkeys_credential_id" in str(error.orig):
            raise PasskeyTaken from error
        raise


async def rename_passkey(sessions: Sessions, caller: Caller, passkey_id: UUID, name: str) -> Passkey:
    """Raises NotFound."""
    async with sessions.begin() as session:
        passkey = await queries.passkey_of(session, caller.user_id, passkey_id)
        if passkey is None:
            raise NotFound
        passkey.name = name
        session.add(audit_entry(caller, "passkey_renamed", passkey_id))
        return passkey


async def remove_passkey(sessions: Sessions, caller: Caller, passkey_id: UUID, now: datetime) -> None:
    """Raises ReauthenticationNeeded, NotFound, LastSecondFactor."""
    caller.require_recent(now)
    async with sessions.begin() as session:
        user = await _self(session, caller)
        passkey = await queries.passkey_of(session, user.id, passkey_id)
        if passkey is None:
            raise NotFound
        await session.delete(passkey)
        await session.flush()
        await _require_enough(session, user)
        session.add(audit_entry(caller, "passkey_removed", passkey_id))
        await notify_person(session, user, NoticeKind.SECOND_FACTOR_CHANGED, new_id())


async def renew_recovery_codes(sessions: Sessions, caller: Caller, now: datetime) -> list[str]:
    """New recovery codes; the ones before are good no more. Raises ReauthenticationNeeded, NotFound."""
    caller.require_recent(now)
    async with sessions.begin() as session:
        user = await _self(session, caller)
        if not (await queries.factors_of(session, user)).has_any:
            raise NotFound
        session.add(audit_entry(caller, "recovery_codes_renewed", user.id))
        await notify_person(session, user, NoticeKind.SECOND_FACTOR_CHANGED, new_id())
        return await _renew_codes(session, user)


async def _self(session: AsyncSession, caller: Caller) -> User:
    user = await queries.locked_user(session, caller.account_id, caller.user_id)
    if user is None:
        raise NotSignedIn
    return user


async def _is_required(session: AsyncSession, user: User) -> bool:
    account = await queries.account_of(session, user.account_id)
    return is_required(account.second_factor, user.general_admin)


async def _require_enough(session: AsyncSession, user: User) -> None:
    """After something was taken away. Raises LastSecondFactor."""
    if (await queries.factors_of(session, user)).has_any:
        return
    if await _is_required(session, user):
        raise LastSecondFactor
    await queries.forget_recovery_codes(session, user.id)


async def _asked(
    session: AsyncSession, session_id: UUID, purpose: ChallengePurpose, now: datetime
) -> SignInChallenge:
    asked = await queries.asked_session(session, session_id, purpose, now)
    if asked is None:
        raise SetUpExpired
    return asked


async def _first_codes(session: AsyncSession, user: User) -> list[str] | None:
    """Recovery codes for whoever has none yet."""
    statement = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.user_id == user.id)
    if await session.scalar(statement):
        return None
    return await _renew_codes(session, user)


async def _renew_codes(session: AsyncSession, user: User) -> list[str]:
    await queries.forget_recovery_codes(session, user.id)
    codes = recovery_codes.new_codes()
    session.add_all(
        RecoveryCode(account_id=user.account_id, user_id=user.id, code_hash=recovery_codes.hash_of(code))
        for code in codes
    )
    return codes


def _place(challenge_id: UUID) -> Place:
    return Place("sign_in_challenges", "secret", challenge_id)
