"""The statements of the authorization room. Those that change a row decide in the database who is first."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, delete, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from services.connector.accounts.callers import Caller
from shared.marketplaces import Region
from shared.tables import (
    Account,
    ApiKey,
    Grant,
    Integration,
    LoginRequest,
    MarketplaceParticipation,
    Outcome,
    User,
)
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
    right_store: str | None
    integration_id: UUID | None
    reconnects: UUID | None
    seller_id_expected: str | None
    link_hash: bytes | None


@dataclass(frozen=True, slots=True)
class CallerNames:
    """How a person and their account are called on a page."""

    account: str
    user: str
    email: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoreToReconnect:
    """An integration that is there, or was disconnected and may come back."""

    home_country: str
    seller_id: str | None


@dataclass(frozen=True, slots=True)
class AuthorizedStore:
    """A connected store, and when its seller last consented."""

    integration_id: UUID
    name: str | None
    consented_at: datetime


@dataclass(frozen=True, slots=True)
class BegunByLink:
    """Somebody who has begun with a link and may be at Amazon; None for who is gone."""

    name: str | None
    begun_at: datetime


@dataclass(frozen=True, slots=True)
class AskedFor:
    """The names of a colleague or a program that asks for an authorization, and of the integration that is meant; None for what is gone or unnamed.

    `authorized_since`: the stores that were authorized after they had asked, and that they may have meant.
    """

    asked_by: str | None
    integration: str | None
    authorized_since: Sequence[AuthorizedStore]


@dataclass(frozen=True, slots=True)
class KnownStore:
    """Amazon's last answer about a connected store."""

    name: str | None
    countries: frozenset[str]


@dataclass(frozen=True, slots=True)
class UnfinishedAttempts:
    """How many attempts of a user, and of all users of the account, led nowhere, and when the oldest of them began."""

    of_user: int
    oldest_of_user: datetime | None
    of_account: int
    oldest_of_account: datetime | None


# The same store in more accounts than this is for our operators to look at.
_COLUMNS: Final[tuple[InstrumentedAttribute[Any], ...]] = tuple(
    getattr(Attempt, column.name) for column in fields(AttemptRow)
)


async def attempt_by_id(session: AsyncSession, account_id: UUID, attempt_id: UUID) -> AttemptRow | None:
    row = (
        await session.execute(
            select(*_COLUMNS).where(Attempt.id == attempt_id, Attempt.account_id == account_id)
        )
    ).one_or_none()
    return None if row is None else AttemptRow(**row._asdict())


async def attempt_by_state(session: AsyncSession, state_hash: bytes) -> AttemptRow | None:
    row = (await session.execute(select(*_COLUMNS).where(Attempt.state_hash == state_hash))).one_or_none()
    return None if row is None else AttemptRow(**row._asdict())


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


async def caller_names(session: AsyncSession, caller: Caller) -> CallerNames:
    """The names of the caller and their account, for the page that asks them."""
    row = (
        await session.execute(
            select(Account.name.label("account"), User.name.label("user"), User.email)
            .join(User, User.account_id == Account.id)
            .where(Account.id == caller.account_id, User.id == caller.user_id)
        )
    ).one()
    return CallerNames(**row._asdict())


# --- what Amazon sent to the login URI -------------------------------------------------------------------------------


async def keep_login_request(session: AsyncSession, request: LoginRequest, *, most: int) -> None:
    """Store a request for a login; of one browser's requests only the newest are kept."""
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


async def unfinished_of(
    session: AsyncSession, account_id: UUID, user_id: UUID, now: datetime
) -> list[AttemptRow]:
    """The attempts of this user that can still be taken up again, the newest first."""
    rows = await session.execute(
        select(*_COLUMNS)
        .where(
            Attempt.account_id == account_id,
            Attempt.user_id == user_id,
            Attempt.outcome.is_(None),
            Attempt.consumed_at.is_(None),
            Attempt.expires_at > now,
        )
        .order_by(Attempt.id.desc())
        .limit(20)
    )
    return [AttemptRow(**row._asdict()) for row in rows]


# --- stores ----------------------------------------------------------------------------------------------------------


async def store_to_reconnect(
    session: AsyncSession, account_id: UUID, integration_id: UUID
) -> StoreToReconnect | None:
    """The store that an attempt is to reconnect, if the account has it."""
    row = (
        await session.execute(
            select(Integration.home_country, Integration.seller_id).where(
                Integration.id == integration_id,
                Integration.account_id == account_id,
                Integration.removed_at.is_(None),
            )
        )
    ).one_or_none()
    return None if row is None else StoreToReconnect(**row._asdict())


async def asked_for(
    session: AsyncSession,
    account_id: UUID,
    *,
    asked_by: UUID,
    by_program: bool,
    now: datetime,
    meant: UUID | Region,
    since: datetime,
    most: int = 10,
) -> AskedFor:
    """Who has asked for an authorization, for which integration or any of a region, and what was authorized since."""
    if by_program:
        asker = await live_key_name(session, account_id, asked_by, now)
    else:
        of_account = select(User.name).where(User.id == asked_by, User.account_id == account_id)
        asker = await session.scalar(of_account)
    name = None
    if not isinstance(meant, Region):
        name = await session.scalar(
            select(Integration.name).where(Integration.account_id == account_id, Integration.id == meant)
        )
    return AskedFor(
        asked_by=asker,
        integration=name,
        authorized_since=await authorized_since(session, account_id, meant=meant, since=since, most=most),
    )


async def live_key_name(session: AsyncSession, account_id: UUID, key_id: UUID, now: datetime) -> str | None:
    """What an API key is called; None if it is good no more, by itself or with its creator."""
    return await session.scalar(
        select(ApiKey.name)
        .join(User, User.id == ApiKey.created_by)
        .where(
            ApiKey.id == key_id,
            ApiKey.account_id == account_id,
            ApiKey.revoked_at.is_(None),
            or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
            User.disabled_at.is_(None),
        )
    )


async def authorized_since(
    session: AsyncSession, account_id: UUID, *, meant: UUID | Region, since: datetime, most: int
) -> list[AuthorizedStore]:
    """The connected stores of a region, or the one that is meant, whose sellers have consented since then."""
    authorized = await session.execute(
        select(Integration.id, Integration.name, Grant.consented_at)
        .join(Grant, Grant.integration_id == Integration.id)
        .where(
            Integration.account_id == account_id,
            Integration.region == meant if isinstance(meant, Region) else Integration.id == meant,
            Integration.disconnected_at.is_(None),
            Grant.consented_at > since,
        )
        .order_by(Grant.consented_at, Integration.id)
        .limit(most)
    )
    return [AuthorizedStore(*row) for row in authorized]


async def authorized_by_link(
    session: AsyncSession, account_id: UUID, link_hash: bytes
) -> AuthorizedStore | None:
    """The store that an attempt of this link has authorized first, whatever has become of the store since."""
    row = (
        await session.execute(
            select(Integration.id, Integration.name, Attempt.consumed_at)
            .join(Integration, Integration.id == Attempt.integration_id)
            .where(
                Attempt.account_id == account_id,
                Attempt.link_hash == link_hash,
                Attempt.outcome.in_((Outcome.CONNECTED.value, Outcome.REAUTHORIZED.value)),
            )
            .order_by(Attempt.consumed_at)
            .limit(1)
        )
    ).one_or_none()
    # Whoever has an outcome was consumed.
    return None if row is None or row[2] is None else AuthorizedStore(row[0], row[1], row[2])


async def hold_link(session: AsyncSession, link_hash: bytes) -> None:
    """Whoever else connects a store by this link waits until this transaction has ended."""
    key = literal(int.from_bytes(link_hash[:8], "big", signed=True), BigInteger)
    await session.execute(select(func.pg_advisory_xact_lock(key)))


async def begun_by_link(
    session: AsyncSession,
    account_id: UUID,
    link_hash: bytes,
    *,
    not_by: UUID | None,
    now: datetime,
    most: int = 10,
) -> list[BegunByLink]:
    """The others who have begun with this link, and have neither come back nor run out of time."""
    begun = await session.execute(
        select(User.name, func.max(Attempt.created_at))
        .join(User, User.id == Attempt.user_id)
        .where(
            Attempt.account_id == account_id,
            Attempt.link_hash == link_hash,
            Attempt.user_id.is_distinct_from(not_by),
            Attempt.outcome.is_(None),
            Attempt.expires_at > now,
        )
        .group_by(User.id, User.name)
        .order_by(func.max(Attempt.created_at))
        .limit(most)
    )
    return [BegunByLink(*row) for row in begun]


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


async def known_store(
    session: AsyncSession, account_id: UUID, region: Region, seller_id: str
) -> KnownStore | None:
    """The connected store of this seller; None for one that is unknown or disconnected."""
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
    return KnownStore(row.store_name, frozenset(countries))


async def is_known_elsewhere(session: AsyncSession, account_id: UUID, region: Region, seller_id: str) -> bool:
    """Whether another account has connected a store under this id: an agency, a seller who moves, or an id that was made up."""
    found = select(Integration.id).where(
        Integration.account_id != account_id,
        Integration.region == region,
        Integration.seller_id == seller_id,
        Integration.disconnected_at.is_(None),
    )
    return bool(await session.scalar(select(found.exists())))


async def count_unfinished(
    session: AsyncSession, account_id: UUID, user_id: UUID, *, since: datetime
) -> UnfinishedAttempts:
    """Attempts that led nowhere; failed ones too: each may have cost a call of Amazon's.

    Two counts of one account never run at once: its row is held.
    """
    await session.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))
    is_own = Attempt.user_id == user_id
    row = (
        await session.execute(
            select(
                func.count().filter(is_own).label("of_user"),
                func.min(Attempt.created_at).filter(is_own).label("oldest_of_user"),
                func.count().label("of_account"),
                func.min(Attempt.created_at).label("oldest_of_account"),
            ).where(
                Attempt.account_id == account_id,
                or_(Attempt.outcome.is_(None), Attempt.outcome == Outcome.FAILED.value),
                Attempt.created_at > since,
            )
        )
    ).one()
    return UnfinishedAttempts(**row._asdict())


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
    right_store: str | None = None,
) -> None:
    """Write how an attempt ended, unless it has ended already: the first outcome stays."""
    await session.execute(
        update(Attempt)
        .where(Attempt.id == attempt_id, Attempt.outcome.is_(None))
        .values(
            outcome=outcome.value,
            integration_id=integration_id,
            problem_code=problem_code,
            right_region=right_region,
            right_store=right_store,
        )
    )
