"""The statements of the authorization room; each decides what it decides alone, in the database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.authorization.attempts import (
    ATTEMPT_LIFETIME,
    ATTEMPTS_WINDOW,
    MAX_UNFINISHED_ATTEMPTS,
    MAX_UNFINISHED_IN_ACCOUNT,
    AccountAttemptsFull,
    Intent,
    TooManyAttempts,
    UnknownCountry,
    hash_of,
    state_of,
)
from shared.crypto.envelope import AccountKeys
from shared.database import new_id
from shared.marketplaces import BY_COUNTRY, Region
from shared.tables import Account, Grant, Integration, LoginRequest, MarketplaceParticipation, Outcome, User
from shared.tables import AuthorizationAttempt as Attempt


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """An attempt as it is stored."""

    id: UUID
    account_id: UUID
    user_id: UUID
    browser_hash: bytes
    country: str
    region: str
    expires_at: datetime
    consumed_at: datetime | None
    outcome: str | None
    problem_code: str | None
    right_region: str | None
    integration_id: UUID | None
    reconnects: UUID | None
    seller_id_expected: str | None


# The same store in more accounts than this is for our operators to look at.
_MOST_TOLD: Final = 20
_COLUMNS: Final[tuple[InstrumentedAttribute[Any], ...]] = (
    Attempt.id,
    Attempt.account_id,
    Attempt.user_id,
    Attempt.browser_hash,
    Attempt.country,
    Attempt.region,
    Attempt.expires_at,
    Attempt.consumed_at,
    Attempt.outcome,
    Attempt.problem_code,
    Attempt.right_region,
    Attempt.integration_id,
    Attempt.reconnects,
    Attempt.seller_id_expected,
)


async def attempt_by_id(session: AsyncSession, account_id: UUID, attempt_id: UUID) -> AttemptRow | None:
    row = (
        await session.execute(
            select(*_COLUMNS).where(Attempt.id == attempt_id, Attempt.account_id == account_id)
        )
    ).one_or_none()
    return None if row is None else AttemptRow(*row)


async def attempt_by_state(session: AsyncSession, state_hash: bytes) -> AttemptRow | None:
    row = (await session.execute(select(*_COLUMNS).where(Attempt.state_hash == state_hash))).one_or_none()
    return None if row is None else AttemptRow(*row)


async def newest_waiting_country(
    session: AsyncSession, *, account_id: UUID, user_id: UUID, browser_hash: bytes, now: datetime
) -> str | None:
    """The country for which this person has just begun to connect a store in this browser."""
    return await session.scalar(
        select(Attempt.country)
        .where(*_waiting(account_id, user_id, browser_hash, now))
        .order_by(Attempt.id.desc())
        .limit(1)
    )


async def bind_to_seller(
    session: AsyncSession,
    *,
    account_id: UUID,
    user_id: UUID,
    browser_hash: bytes,
    country: str,
    seller_id: str,
    now: datetime,
) -> UUID | None:
    """The newest attempt that waits in this browser and may be this seller's; from now on it is nobody else's."""
    newest = (
        select(Attempt.id)
        .where(
            *_waiting(account_id, user_id, browser_hash, now),
            Attempt.country == country,
            or_(Attempt.seller_id_expected.is_(None), Attempt.seller_id_expected == seller_id),
        )
        .order_by(Attempt.id.desc())
        .limit(1)
        .with_for_update()
    )
    return await session.scalar(
        update(Attempt)
        .where(Attempt.id == newest.scalar_subquery())
        .values(seller_id_expected=seller_id)
        .returning(Attempt.id)
    )


def _waiting(
    account_id: UUID, user_id: UUID, browser_hash: bytes, now: datetime
) -> tuple[ColumnElement[bool], ...]:
    return (
        Attempt.account_id == account_id,
        Attempt.user_id == user_id,
        Attempt.browser_hash == browser_hash,
        Attempt.consumed_at.is_(None),
        Attempt.expires_at > now,
    )


async def known_country(session: AsyncSession, account_id: UUID, seller_id: str) -> str | None:
    """The home country of the account's store with this seller id."""
    return await session.scalar(
        select(Integration.home_country)
        .where(
            Integration.account_id == account_id,
            Integration.seller_id == seller_id,
            Integration.removed_at.is_(None),
        )
        .order_by(Integration.id.desc())
        .limit(1)
    )


async def names(session: AsyncSession, caller: Caller) -> tuple[str, str, str]:
    """Of the account and of the user, and his e-mail address."""
    row = (
        await session.execute(
            select(Account.name, User.name, User.email)
            .join(User, User.account_id == Account.id)
            .where(Account.id == caller.account_id, User.id == caller.user_id)
        )
    ).one()
    return row[0], row[1], row[2]


# --- what Amazon sent to the login URI -------------------------------------------------------------------------------


async def keep_login_request(session: AsyncSession, request: LoginRequest, *, most: int) -> None:
    """Of one browser's requests the newest stay."""
    session.add(request)
    await session.flush()
    newest = (
        select(LoginRequest.id)
        .where(LoginRequest.browser_hash == request.browser_hash)
        .order_by(LoginRequest.id.desc())
        .limit(most)
    )
    await session.execute(
        delete(LoginRequest).where(
            LoginRequest.browser_hash == request.browser_hash, LoginRequest.id.not_in(newest)
        )
    )


async def login_request(
    session: AsyncSession, request_id: UUID, browser_hash: bytes, now: datetime
) -> LoginRequest | None:
    return await session.scalar(
        select(LoginRequest).where(
            LoginRequest.id == request_id,
            LoginRequest.browser_hash == browser_hash,
            LoginRequest.expires_at > now,
        )
    )


async def take_login_request(
    session: AsyncSession, request_id: UUID, browser_hash: bytes, now: datetime
) -> LoginRequest | None:
    """It is good once: of two at once, one gets it."""
    return await session.scalar(
        delete(LoginRequest)
        .where(
            LoginRequest.id == request_id,
            LoginRequest.browser_hash == browser_hash,
            LoginRequest.expires_at > now,
        )
        .returning(LoginRequest)
    )


# --- stores ----------------------------------------------------------------------------------------------------------


async def store_to_reconnect(
    session: AsyncSession, account_id: UUID, integration_id: UUID
) -> tuple[str, str] | None:
    """Home country and seller of an integration that is there, or rests and may come back."""
    row = (
        await session.execute(
            select(Integration.home_country, Integration.seller_id).where(
                Integration.id == integration_id,
                Integration.account_id == account_id,
                Integration.removed_at.is_(None),
            )
        )
    ).one_or_none()
    return None if row is None else (row.home_country, row.seller_id)


async def has_other_stores(session: AsyncSession, account_id: UUID, meant: UUID | None) -> bool:
    """Whether a store of this account other than the one that is meant has been authorized. Its owner may be signed in at Amazon."""
    statement = (
        select(Integration.id)
        .join(Grant, Grant.integration_id == Integration.id)
        .where(
            Integration.account_id == account_id,
            Integration.disconnected_at.is_(None),
            func.length(Grant.refresh_token) > 0,
        )
    )
    if meant is not None:
        statement = statement.where(Integration.id != meant)
    return bool(await session.scalar(select(statement.exists())))


async def fingerprint(
    session: AsyncSession, account_id: UUID, region: Region, seller_id: str
) -> tuple[str | None, frozenset[str]] | None:
    """Name and countries that Amazon told last of a connected store; None for one that is unknown or rests."""
    row = (
        await session.execute(
            select(Integration.id, Integration.store_name).where(
                Integration.account_id == account_id,
                Integration.region == region,
                Integration.seller_id == seller_id,
                Integration.disconnected_at.is_(None),
            )
        )
    ).one_or_none()
    if row is None:
        return None
    countries = await session.scalars(
        select(MarketplaceParticipation.country).where(
            MarketplaceParticipation.integration_id == row.id,
            MarketplaceParticipation.is_participating,
        )
    )
    return row.store_name, frozenset(countries)


async def known_elsewhere(
    session: AsyncSession, account_id: UUID, region: Region, seller_id: str
) -> list[tuple[UUID, UUID]]:
    """Other accounts in which this store is connected, with their integrations."""
    rows = await session.execute(
        select(Integration.account_id, Integration.id)
        .where(
            Integration.account_id != account_id,
            Integration.region == region,
            Integration.seller_id == seller_id,
            Integration.disconnected_at.is_(None),
        )
        .limit(_MOST_TOLD)
    )
    return [(row.account_id, row.id) for row in rows]


async def _require_room(session: AsyncSession, account_id: UUID, user_id: UUID, now: datetime) -> None:
    """Counts attempts that led nowhere; failed ones too: each may have cost a call. Raises TooManyAttempts, AccountAttemptsFull.

    Two counts of one account never run at once: its row is held.
    """
    await session.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))
    is_own = Attempt.user_id == user_id
    own, own_oldest, count, oldest = (
        await session.execute(
            select(
                func.count().filter(is_own),
                func.min(Attempt.created_at).filter(is_own),
                func.count(),
                func.min(Attempt.created_at),
            ).where(
                Attempt.account_id == account_id,
                or_(Attempt.outcome.is_(None), Attempt.outcome == Outcome.FAILED.value),
                Attempt.created_at > now - ATTEMPTS_WINDOW,
            )
        )
    ).one()
    if own >= MAX_UNFINISHED_ATTEMPTS:
        raise TooManyAttempts(limit=MAX_UNFINISHED_ATTEMPTS, retry_after_seconds=_wait(own_oldest, now))
    if count >= MAX_UNFINISHED_IN_ACCOUNT:
        raise AccountAttemptsFull(limit=MAX_UNFINISHED_IN_ACCOUNT, retry_after_seconds=_wait(oldest, now))


def _wait(oldest: datetime, now: datetime) -> int:
    """Seconds until the oldest attempt counts no more."""
    return max(1, int((oldest + ATTEMPTS_WINDOW - now).total_seconds()))


async def add_attempt(
    session: AsyncSession,
    account_keys: AccountKeys,
    caller: Caller,
    intent: Intent,
    *,
    browser_token: str,
    now: datetime,
) -> tuple[UUID, str]:
    """The new attempt and its state. Raises UnknownCountry, TooManyAttempts, AccountAttemptsFull."""
    marketplace = BY_COUNTRY.get(intent.country)
    if marketplace is None:
        raise UnknownCountry
    await _require_room(session, caller.account_id, caller.user_id, now)
    attempt_id = new_id()
    state = state_of(account_keys, attempt_id, browser_token)
    session.add(
        Attempt(
            id=attempt_id,
            account_id=caller.account_id,
            user_id=caller.user_id,
            state_hash=hash_of(state),
            browser_hash=hash_of(browser_token),
            country=intent.country,
            region=marketplace.region,
            created_at=now,
            expires_at=now + ATTEMPT_LIFETIME,
            started_by=intent.started_by.value,
            reconnects=intent.reconnects,
            seller_id_expected=intent.seller_id_expected,
        )
    )
    fields = {"country": intent.country, "started_by": intent.started_by.value}
    if intent.reconnects is not None:
        fields["reconnects"] = str(intent.reconnects)
    session.add(audit_entry(caller, "authorization_begun", attempt_id, **fields))
    return attempt_id, state


async def consume(
    session: AsyncSession,
    *,
    state_hash: bytes,
    browser_hash: bytes,
    account_id: UUID,
    user_id: UUID,
    now: datetime,
) -> UUID | None:
    """Take the attempt of this state, browser and user, once and in time. Of two at once, one gets it."""
    return await session.scalar(
        update(Attempt)
        .where(
            Attempt.state_hash == state_hash,
            Attempt.browser_hash == browser_hash,
            Attempt.account_id == account_id,
            Attempt.user_id == user_id,
            Attempt.consumed_at.is_(None),
            Attempt.expires_at > now,
        )
        .values(consumed_at=now)
        .returning(Attempt.id)
    )


async def has_outcome(session: AsyncSession, attempt_id: UUID) -> bool:
    """Whether the attempt has ended. Its row is held, so that nobody else ends it meanwhile."""
    outcome = await session.scalar(
        select(Attempt.outcome).where(Attempt.id == attempt_id).with_for_update(key_share=True)
    )
    return outcome is not None


async def write_outcome(
    session: AsyncSession,
    attempt_id: UUID,
    outcome: Outcome,
    *,
    integration_id: UUID | None = None,
    problem_code: str | None = None,
    right_region: Region | None = None,
) -> None:
    """The first outcome stays."""
    await session.execute(
        update(Attempt)
        .where(Attempt.id == attempt_id, Attempt.outcome.is_(None))
        .values(
            outcome=outcome.value,
            integration_id=integration_id,
            problem_code=problem_code,
            right_region=right_region,
        )
    )
