"""Whether somebody has their second factor at hand: a code of their app, a recovery code, or a passkey.

`count` commits before a code is looked at, so that parallel tries cannot slip through together. The others run in their caller's
transaction: what is used up there is used up only if what it was used for was done.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import person_audit_entry
from services.connector.accounts.queries import count_sign_in, known_browser
from services.connector.accounts.sign_in_limits import TooManySignIns
from services.connector.http.client_networks import network_of
from services.connector.second_factors import queries, recovery_codes
from services.connector.second_factors.limits import MAX_OF_STRANGERS, STRANGERS_WINDOW, StepOrigin
from services.connector.second_factors.passkeys import (
    PasskeyRefused,
    RelyingParty,
    credential_id_of,
    user_handle_of,
    verify_answer,
)
from shared.crypto.envelope import AccountKeys, Place
from shared.crypto.totp import matching_step
from shared.database import Sessions
from shared.errors import Expected
from shared.tables import Passkey, SignInFailures, User

log = structlog.get_logger()


class CodeRefused(Expected):
    """Neither a code of the user's app that is good now and was not used, nor one of their recovery codes; the answer never says which."""

    code = "code_refused"


async def count(
    sessions: Sessions, user: User, *, client_address: str, browser_hash: bytes, now: datetime
) -> tuple[StepOrigin, bool]:
    """Count a try; where it comes from, and whether codes of an app are still taken from there. Raises TooManySignIns."""
    async with sessions.begin() as session:
        browser_id = await known_browser(session, user.id, browser_hash, now)
        origin = StepOrigin(user.id, client_address, browser_id)
        own = (await count_sign_in(session, [origin.own_key], now))[origin.own_key]
        of_user = None
        if own.failures <= origin.most and browser_id is None:
            counts = await count_sign_in(session, [origin.user_key], now, window=STRANGERS_WINDOW)
            of_user = counts[origin.user_key]
    if own.failures > origin.most:
        seconds = int((own.window_ends_at - now).total_seconds())
        raise TooManySignIns(retry_after_seconds=max(1, seconds))
    return origin, of_user is None or of_user.failures <= MAX_OF_STRANGERS


async def uncount(session: AsyncSession, origin: StepOrigin) -> None:
    """After a success: who has come in starts anew, and strangers' tries of the user stay counted."""
    await session.execute(
        update(SignInFailures).where(SignInFailures.key == origin.own_key).values(failures=0)
    )
    if origin.browser_id is None:
        await session.execute(
            update(SignInFailures)
            .where(SignInFailures.key == origin.user_key)
            .values(failures=func.greatest(SignInFailures.failures - 1, 0))
        )


async def take_code(
    session: AsyncSession, keys: AccountKeys, user: User, code: str, *, takes_app: bool, now: datetime
) -> bool:
    """Use up a code. False if it is not good."""
    code_hash = recovery_codes.hash_of(code)
    if code_hash is not None:
        if not await queries.take_recovery_code(session, user.id, code_hash):
            return False
        session.add(person_audit_entry(user.account_id, user.id, "recovery_code_used", user.id))
        return True
    if not takes_app or user.totp_secret is None:
        return False
    secret = keys.open(totp_place(user.id), user.totp_secret)
    step = matching_step(secret, "".join(code.split()), now)
    return step is not None and await queries.take_step(session, user.id, step)


async def owner_of(session: AsyncSession, credential: Mapping[str, Any]) -> UUID | None:
    """Whose passkey says that it answers; nothing is believed yet. Raises PasskeyRefused."""
    passkey = await queries.passkey_called(session, credential_id_of(credential))
    return None if passkey is None else passkey.user_id


async def take_passkey(
    session: AsyncSession,
    party: RelyingParty,
    challenge: bytes | None,
    credential: Mapping[str, Any],
    *,
    user_id: UUID | None,
    is_verified: bool,
    now: datetime,
) -> Passkey:
    """The passkey that has answered; `user_id`: it has to be this user's. Raises PasskeyRefused."""
    passkey = await queries.passkey_called(session, credential_id_of(credential))
    handle = user_handle_of(credential)
    if (
        passkey is None
        or challenge is None
        or (user_id is not None and passkey.user_id != user_id)
        # WebAuthn §7.2 step 6: a device that says who is there has to mean the same person.
        or (handle is not None and handle != passkey.user_id.bytes)
        or (user_id is None and handle is None)
    ):
        raise PasskeyRefused
    assertion = verify_answer(
        party, challenge, credential, public_key=passkey.public_key, is_verified=is_verified
    )
    if not await queries.take_count(session, passkey, assertion.sign_count, now):
        # §6.1.1: perhaps a copy. It is refused, and its user's account log says why.
        log.warning("passkey_count_fell", passkey_id=str(passkey.id))
        raise PasskeyCountFell(passkey.account_id, passkey.user_id, passkey.id)
    return passkey


class PasskeyCountFell(PasskeyRefused):
    """The device says that it has signed less often than we know: somebody may have copied the passkey."""

    def __init__(self, account_id: UUID, user_id: UUID, passkey_id: UUID) -> None:
        super().__init__()
        self.entry = person_audit_entry(account_id, user_id, "passkey_count_fell", passkey_id)


def tell_failure(session: AsyncSession, user: User, client_address: str) -> None:
    """Into the audit log of the account concerned, with the network that it came from."""
    session.add(
        person_audit_entry(
            user.account_id, user.id, "second_step_failed", user.id, network=network_of(client_address)
        )
    )


async def tell_refused(
    sessions: Sessions, refused: PasskeyRefused, user: User | None, client_address: str
) -> None:
    """A refused passkey into the audit log, in a transaction of its own: that of the try is rolled back. `user`: None if nobody knows whose try it was."""
    async with sessions.begin() as session:
        if isinstance(refused, PasskeyCountFell):
            session.add(refused.entry)
        if user is not None:
            tell_failure(session, user, client_address)


def totp_place(user_id: UUID) -> Place:
    return Place("users", "totp_secret", user_id)
