"""Whether a password is right: counted first, so that nobody finds one by trying, and as long for an address that nobody has."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts import queries
from services.connector.accounts.audit import person_audit_entry
from services.connector.accounts.callers import AccountClosed
from services.connector.accounts.credentials import hash_secret
from services.connector.accounts.passwords import PasswordCheck, Passwords
from services.connector.accounts.queries import SignInCount
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
from services.connector.sign_in.browsers import Browser
from shared.database import Sessions
from shared.errors import Expected
from shared.tables import Account, User


class InvalidCredentials(Expected):
    """Wrong e-mail address or wrong password, or a disabled user; the answer never says which."""

    code = "invalid_credentials"


async def user_with_password(
    sessions: Sessions,
    turns: FairTurns,
    passwords: Passwords,
    email: str,
    password: str,
    *,
    browser: Browser,
    now: datetime,
) -> tuple[User, PasswordCheck, SignInOrigin]:
    """The user with this address and this password. Raises InvalidCredentials, TooManySignIns, AccountClosed to whom the closing has shut out.

    The attempt is counted and committed first; no transaction is open while the password is hashed. Who has come in then uncounts it.
    """
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
        # Only who knows the password is told: they would look for a mistake of their own.
        if user is not None and check.is_right and await _was_shut_out(sessions, user):
            raise AccountClosed
        raise InvalidCredentials
    return user, check, origin


async def _was_shut_out(sessions: Sessions, user: User) -> bool:
    """Whether it was the closing of their account that disabled them."""
    async with sessions.begin() as session:
        account = await session.get_one(Account, user.account_id)
        return account.closed_at is not None and account.closed_at == user.disabled_at


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
                person_audit_entry(
                    user.account_id,
                    user.id,
                    "sign_in_failed",
                    user.id,
                    network=network_of(origin.client_address),
                )
            )
