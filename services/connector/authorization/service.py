"""Attempts to authorize: begun here, within limits, and watched while Amazon is asked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.authorization import queries
from services.connector.authorization.attempts import (
    ATTEMPT_LIFETIME,
    ATTEMPTS_WINDOW,
    MAX_UNFINISHED_ATTEMPTS,
    MAX_UNFINISHED_IN_ACCOUNT,
    AccountAttemptsFull,
    AttemptView,
    Intent,
    TooManyAttempts,
    UnknownCountry,
    hash_of,
    state_of,
)
from services.connector.authorization.consent import Application, consent_url
from services.connector.authorization.links import (
    LINK_LIFETIME,
    PROGRAM_LINK_LIFETIME,
    LinkExpired,
    LinkSpent,
    Wish,
    link_of,
    wish_of,
)
from services.connector.authorization.views import view_of
from services.connector.problems.catalogue import NotFound
from services.connector.throttling.limits import CONNECTS, PROGRAM_LINKS
from shared.crypto.envelope import AccountKeys
from shared.database import Sessions
from shared.driver import new_id
from shared.keyring import Keyring
from shared.marketplaces import BY_COUNTRY
from shared.tables import AuthorizationAttempt


@dataclass(frozen=True, slots=True)
class ReadLink:
    """What somebody asks for by a link, what came of it, and who else has begun with it and may be at Amazon."""

    wish: Wish
    asked_for: queries.AskedFor
    authorized: queries.AuthorizedStore | None
    begun: Sequence[queries.BegunByLink]


async def begin(
    sessions: Sessions,
    keyring: Keyring,
    application: Application,
    caller: Caller,
    *,
    country: str | None = None,
    integration_id: UUID | None = None,
    link: str | None = None,
    browser_token: str,
    now: datetime,
) -> AttemptView:
    """Store an attempt, bound to account, user and browser: for a store of `country`, to reconnect this integration, or for what a link asks.

    Raises UnknownCountry, NotFound (the integration), LinkUnknown, LinkExpired, LinkSpent, TooManyAttempts, AccountAttemptsFull,
    TooOften.
    """
    await CONNECTS.require(sessions, caller.user_id)
    account_keys = await keyring.of(sessions, caller.account_id)
    wish = None if link is None else wish_of(account_keys, link)
    async with sessions.begin() as session:
        if wish is not None:
            intent = await _intent_of_link(session, account_keys, caller, wish, now)
        elif integration_id is None:
            intent = Intent(country or "")
        else:
            intent = await _intent_to_reconnect(session, caller, integration_id)
        attempt_id, state = await add_attempt(
            session, account_keys, caller, intent, browser_token=browser_token, now=now
        )
        await session.flush()
        row = await queries.attempt_by_id(session, caller.account_id, attempt_id)
        assert row is not None
        has_others = await queries.has_other_stores(session, caller.account_id, row.reconnects)
    url = consent_url(application, intent.country, state)
    return view_of(row, now, consent_url=url, has_others=has_others)


async def _intent_to_reconnect(session: AsyncSession, caller: Caller, integration_id: UUID) -> Intent:
    store = await queries.store_to_reconnect(session, caller.account_id, integration_id)
    if store is None:
        raise NotFound
    return Intent(store.home_country, seller_id_expected=store.seller_id, reconnects=integration_id)


async def _intent_of_link(
    session: AsyncSession, account_keys: AccountKeys, caller: Caller, wish: Wish, now: datetime
) -> Intent:
    link_hash = hash_of(link_of(account_keys, wish))
    if await _authorized_by(session, caller, wish, link_hash) is not None:
        raise LinkSpent
    wish.refuse_if_over(now)
    # With its key, what a program has asked for ends.
    if (
        wish.by_program
        and await queries.live_key_name(session, caller.account_id, wish.asked_by, now) is None
    ):
        raise LinkExpired
    intent = (
        Intent(wish.country or "")
        if wish.integration_id is None
        else await _intent_to_reconnect(session, caller, wish.integration_id)
    )
    return replace(intent, link_hash=link_hash)


async def _authorized_by(
    session: AsyncSession, caller: Caller, wish: Wish, link_hash: bytes
) -> queries.AuthorizedStore | None:
    """What came of a link, by which it is spent: the attempt that it has begun, or any consent for the integration that it names."""
    found = await queries.authorized_by_link(session, caller.account_id, link_hash)
    if found is not None or wish.integration_id is None:
        return found
    since = await queries.authorized_since(
        session, caller.account_id, meant=wish.integration_id, since=wish.made_at, most=1
    )
    return since[0] if since else None


async def get_attempt(
    sessions: Sessions,
    keyring: Keyring,
    application: Application,
    caller: Caller,
    *,
    attempt_id: UUID,
    browser_token: str | None,
    now: datetime,
) -> AttemptView:
    """An attempt of the caller's account, as its page shows it. Raises NotFound."""
    account_keys = await keyring.of(sessions, caller.account_id)
    async with sessions.begin() as session:
        row = await queries.attempt_by_id(session, caller.account_id, attempt_id)
        if row is None:
            raise NotFound
        url = None
        if browser_token is not None and _is_own(row, caller, browser_token):
            state = state_of(account_keys, row.id, browser_token)
            url = consent_url(application, row.country, state)
        has_others = await queries.has_other_stores(session, caller.account_id, row.reconnects)
    return view_of(row, now, consent_url=url, has_others=has_others)


async def list_unfinished(
    sessions: Sessions,
    keyring: Keyring,
    application: Application,
    caller: Caller,
    *,
    browser_token: str | None,
    now: datetime,
) -> list[AttemptView]:
    """The attempts of the caller that wait for Amazon, the newest first."""
    account_keys = await keyring.of(sessions, caller.account_id)
    async with sessions.begin() as session:
        rows = await queries.unfinished_of(session, caller.account_id, caller.user_id, now)
    views = []
    for row in rows:
        url = None
        if browser_token is not None and _is_own(row, caller, browser_token):
            url = consent_url(application, row.country, state_of(account_keys, row.id, browser_token))
        views.append(view_of(row, now, consent_url=url, has_others=False))
    return views


async def make_link(
    sessions: Sessions,
    keyring: Keyring,
    caller: Caller,
    *,
    country: str | None,
    integration_id: UUID | None,
    now: datetime,
) -> tuple[str, Wish]:
    """A link by which somebody authorizes a store of this country, or this integration again: a colleague, or who sits before a program.

    Raises UnknownCountry, NotFound, TooOften (a program)."""
    if not caller.is_browser:
        await PROGRAM_LINKS.require(sessions, caller.id)
    account_keys = await keyring.of(sessions, caller.account_id)
    lifetime = LINK_LIFETIME if caller.is_browser else PROGRAM_LINK_LIFETIME
    wish = Wish(caller.id, country, integration_id, now + lifetime, by_program=not caller.is_browser)
    if country is not None and country not in BY_COUNTRY:
        raise UnknownCountry
    async with sessions.begin() as session:
        if integration_id is not None:
            await _intent_to_reconnect(session, caller, integration_id)
        target = (
            {"integration": str(integration_id)} if integration_id is not None else {"country": country or ""}
        )
        session.add(
            audit_entry(caller, "authorization_link_made", integration_id or caller.account_id, **target)
        )
    return link_of(account_keys, wish), wish


async def read_link(
    sessions: Sessions, keyring: Keyring, caller: Caller, link: str, now: datetime
) -> ReadLink:
    """What somebody asks for by this link, and what came of it, which is told also when its time is over.

    Raises LinkUnknown, LinkExpired, NotFound (the integration).
    """
    account_keys = await keyring.of(sessions, caller.account_id)
    wish = wish_of(account_keys, link)
    async with sessions.begin() as session:
        link_hash = hash_of(link_of(account_keys, wish))
        authorized = await _authorized_by(session, caller, wish, link_hash)
        if authorized is None:
            wish.refuse_if_over(now)
        if wish.integration_id is not None:
            await _intent_to_reconnect(session, caller, wish.integration_id)
        asked_for = await queries.asked_for(
            session,
            caller.account_id,
            asked_by=wish.asked_by,
            by_program=wish.by_program,
            now=now,
            meant=wish.integration_id or BY_COUNTRY[wish.country or ""].region,
            since=wish.made_at,
        )
        if wish.by_program and asked_for.asked_by is None and authorized is None:
            raise LinkExpired
        begun = await queries.begun_by_link(
            session, caller.account_id, link_hash, not_by=caller.person_id, now=now
        )
        return ReadLink(wish, asked_for, authorized, begun)


def _is_own(row: queries.AttemptRow, caller: Caller, browser_token: str) -> bool:
    return row.user_id == caller.user_id and row.browser_hash == hash_of(browser_token)


async def add_attempt(
    session: AsyncSession,
    account_keys: AccountKeys,
    caller: Caller,
    intent: Intent,
    *,
    browser_token: str,
    now: datetime,
) -> tuple[UUID, str]:
    """Store a new attempt; its id and its state. Raises UnknownCountry, TooManyAttempts, AccountAttemptsFull."""
    marketplace = BY_COUNTRY.get(intent.country)
    if marketplace is None:
        raise UnknownCountry
    await _require_room(session, caller, now)
    attempt_id = new_id()
    state = state_of(account_keys, attempt_id, browser_token)
    session.add(
        AuthorizationAttempt(
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
            link_hash=intent.link_hash,
        )
    )
    fields = {"country": intent.country, "started_by": intent.started_by.value}
    if intent.reconnects is not None:
        fields["reconnects"] = str(intent.reconnects)
    session.add(audit_entry(caller, "authorization_begun", attempt_id, **fields))
    return attempt_id, state


async def _require_room(session: AsyncSession, caller: Caller, now: datetime) -> None:
    """Refuse one more attempt while too many are open. Raises TooManyAttempts, AccountAttemptsFull."""
    found = await queries.count_unfinished(
        session, caller.account_id, caller.user_id, since=now - ATTEMPTS_WINDOW
    )
    if found.of_user >= MAX_UNFINISHED_ATTEMPTS:
        raise TooManyAttempts(
            limit=MAX_UNFINISHED_ATTEMPTS,
            retry_after_seconds=_seconds_until_forgotten(found.oldest_of_user, now),
        )
    if found.of_account >= MAX_UNFINISHED_IN_ACCOUNT:
        raise AccountAttemptsFull(
            limit=MAX_UNFINISHED_IN_ACCOUNT,
            retry_after_seconds=_seconds_until_forgotten(found.oldest_of_account, now),
        )


def _seconds_until_forgotten(oldest: datetime | None, now: datetime) -> int:
    """How long it takes until the oldest attempt counts no more."""
    return max(1, int(((oldest or now) + ATTEMPTS_WINDOW - now).total_seconds()))
