"""From "Authorize" to a connected store: attempt, callback, tokens, proof of the region, integration.

What must never happen here: a state, code or token in a log, a URL of ours or an exception; a transaction open while Amazon
is called; a second use of an attempt; half a connection. The attempt is consumed first, by one statement, and keeps its
outcome, so that back, reload and a double callback show the first one's.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog
from pydantic import SecretStr

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.amazon.access import Amazon
from services.connector.amazon.errors import (
    AmazonUnavailable,
    ClientMisconfigured,
    CodeRejected,
    RoleMissing,
    TokenRefused,
)
from services.connector.amazon.lwa import Tokens
from services.connector.amazon.sellers import Store, get_marketplace_participations
from services.connector.authorization import queries
from services.connector.authorization.attempts import (
    ATTEMPT_LIFETIME,
    ATTEMPTS_WINDOW,
    MAX_UNFINISHED_ATTEMPTS,
    AttemptProblem,
    AttemptStatus,
    AttemptView,
    Callback,
    CallbackProblem,
    TooManyAttempts,
    UnknownCountry,
    hash_of,
    is_code,
    is_for_seller,
    is_seller_id,
    is_token,
    state_of,
    status_of,
)
from services.connector.authorization.consent import Application, consent_url
from services.connector.integrations import service as integrations
from services.connector.problems import NotFound
from services.connector.tokens import service as tokens
from shared.database import Sessions, new_id
from shared.events import EventKind, announce
from shared.jobs import Job, enqueue
from shared.keyring import Keyring
from shared.marketplaces import BY_COUNTRY, Region
from shared.permissions import Level, Permission
from shared.tables import AuthorizationAttempt, Outcome

log = structlog.get_logger()


class _Failed(Exception):
    """This attempt has failed, for this reason."""

    def __init__(self, problem: AttemptProblem, right_region: Region | None = None) -> None:
        super().__init__(problem.value)
        self.problem = problem
        self.right_region = right_region


_PROBLEM_OF: Final[dict[type[Exception], AttemptProblem]] = {
    CodeRejected: AttemptProblem.CODE_REJECTED,
    ClientMisconfigured: AttemptProblem.CLIENT_MISCONFIGURED,
    RoleMissing: AttemptProblem.ROLE_MISSING,
    # A token that is minutes old and refused in every region: Amazon has had such hours.
    TokenRefused: AttemptProblem.AMAZON_UNAVAILABLE,
}


# --- begin and watch -------------------------------------------------------------------------------------------------


async def begin(
    sessions: Sessions,
    keyring: Keyring,
    application: Application,
    caller: Caller,
    *,
    country: str,
    browser_token: str,
    now: datetime,
) -> AttemptView:
    """Store an attempt, bound to account, user and browser. Raises UnknownCountry, TooManyAttempts, BrowserRequired."""
    caller.require_browser()
    marketplace = BY_COUNTRY.get(country)
    if marketplace is None:
        raise UnknownCountry
    attempt_id = new_id()
    async with sessions.begin() as session:
        count, oldest = await queries.unfinished_attempts(
            session, caller.account_id, caller.user_id, now - ATTEMPTS_WINDOW
        )
        if oldest is not None and count >= MAX_UNFINISHED_ATTEMPTS:
            wait = oldest + ATTEMPTS_WINDOW - now
            raise TooManyAttempts(
                limit=MAX_UNFINISHED_ATTEMPTS, retry_after_seconds=max(1, int(wait.total_seconds()))
            )
        state = state_of(await keyring.of(session, caller.account_id), attempt_id, browser_token)
        session.add(
            AuthorizationAttempt(
                id=attempt_id,
                account_id=caller.account_id,
                user_id=caller.user_id,
                state_hash=hash_of(state),
                browser_hash=hash_of(browser_token),
                country=country,
                region=marketplace.region,
                created_at=now,
                expires_at=now + ATTEMPT_LIFETIME,
            )
        )
        session.add(audit_entry(caller, "authorization_begun", attempt_id, country=country))
    return AttemptView(
        id=attempt_id,
        country=country,
        region=marketplace.region,
        status=AttemptStatus.WAITING,
        expires_at=now + ATTEMPT_LIFETIME,
        consent_url=consent_url(application, country, state),
        integration_id=None,
        problem=None,
        right_region=None,
    )


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
    """Raises NotFound."""
    async with sessions.begin() as session:
        row = await queries.attempt_by_id(session, caller.account_id, attempt_id)
        if row is None:
            raise NotFound
        status = status_of(row.outcome, row.consumed_at, row.expires_at, now)
        url = None
        if (
            status is AttemptStatus.WAITING
            and browser_token is not None
            and _is_own(row, caller, browser_token)
        ):
            state = state_of(await keyring.of(session, caller.account_id), row.id, browser_token)
            url = consent_url(application, row.country, state)
    problem = AttemptProblem(row.problem_code) if row.problem_code is not None else None
    if status is AttemptStatus.FAILED and problem is None:
        problem = AttemptProblem.INTERRUPTED
    return AttemptView(
        id=row.id,
        country=row.country,
        region=Region(row.region),
        status=status,
        expires_at=row.expires_at,
        consent_url=url,
        integration_id=row.integration_id,
        problem=problem,
        right_region=Region(row.right_region) if row.right_region is not None else None,
    )


# --- Amazon's redirects ----------------------------------------------------------------------------------------------


async def complete(
    sessions: Sessions,
    keyring: Keyring,
    amazon: Amazon,
    application: Application,
    caller: Caller | None,
    *,
    browser_token: str | None,
    callback: Callback,
    now: datetime,
) -> UUID | CallbackProblem:
    """What a callback does: the attempt whose page shows the outcome, or why there is none to show here."""
    if not callback.state and not callback.code.get_secret_value():
        return CallbackProblem.CODE_MISSING
    if not is_token(callback.state.partition(".")[0]):
        return CallbackProblem.ATTEMPT_UNKNOWN
    attempt = await _consume(sessions, keyring, caller, callback, browser_token=browser_token, now=now)
    if not isinstance(attempt, queries.AttemptRow):
        # A problem, or a second callback: then the first one's outcome is shown, or that it is being worked on.
        return attempt
    assert caller is not None
    if not is_code(callback.code.get_secret_value()) or not is_seller_id(callback.seller_id):
        await _fail(sessions, caller, attempt.id, _Failed(AttemptProblem.CODE_MISSING))
        return attempt.id
    try:
        given, store = await _prove(amazon, application, callback.code, Region(attempt.region))
    except _Failed as failure:
        await _fail(sessions, caller, attempt.id, failure)
        return attempt.id
    await _connect(sessions, keyring, caller, attempt, seller_id=callback.seller_id, given=given, store=store)
    return attempt.id


def _is_own(row: queries.AttemptRow, caller: Caller, browser_token: str) -> bool:
    return row.user_id == caller.user_id and row.browser_hash == hash_of(browser_token)


async def _consume(
    sessions: Sessions,
    keyring: Keyring,
    caller: Caller | None,
    callback: Callback,
    *,
    browser_token: str | None,
    now: datetime,
) -> queries.AttemptRow | UUID | CallbackProblem:
    """The attempt, if this call is the one that consumes it; its id, if it was consumed before; else what is wrong."""
    state_hash = hash_of(callback.state.partition(".")[0])
    browser_hash = hash_of(browser_token) if browser_token is not None else b""
    async with sessions.begin() as session:
        if caller is not None and caller.may(Permission.GENERAL_ADMIN, Level.EDIT):
            account_keys = await keyring.of(session, caller.account_id)
            if not is_for_seller(account_keys, callback.state, callback.seller_id):
                return CallbackProblem.ATTEMPT_UNKNOWN
            consumed = await queries.consume(
                session,
                state_hash=state_hash,
                browser_hash=browser_hash,
                account_id=caller.account_id,
                user_id=caller.user_id,
                now=now,
            )
            if consumed is not None:
                await announce(
                    session, caller.account_id, EventKind.AUTHORIZATION_CHANGED, authorization_id=consumed
                )
        else:
            consumed = None
        row = await queries.attempt_by_state(session, state_hash)
    if row is None:
        return CallbackProblem.ATTEMPT_UNKNOWN
    return row if consumed is not None else _shown_instead(row, caller, browser_hash, now)


def _shown_instead(
    row: queries.AttemptRow, caller: Caller | None, browser_hash: bytes, now: datetime
) -> UUID | CallbackProblem:
    if row.browser_hash != browser_hash:
        return CallbackProblem.OTHER_BROWSER
    if caller is None or row.user_id != caller.user_id:
        return CallbackProblem.SIGN_IN_AGAIN
    if row.consumed_at is not None:
        return row.id
    is_over = now >= row.expires_at
    return CallbackProblem.ATTEMPT_EXPIRED if is_over else CallbackProblem.SIGN_IN_AGAIN


# --- what the code is worth ------------------------------------------------------------------------------------------


async def _prove(
    amazon: Amazon, application: Application, code: SecretStr, region: Region
) -> tuple[Tokens, Store]:
    """Tokens, and the proof that they are good for this region. Raises _Failed."""
    try:
        given = await amazon.lwa.exchange_code(code, application.redirect_uri)
    except (CodeRejected, ClientMisconfigured, AmazonUnavailable) as error:
        raise _Failed(_problem_of(error)) from error
    try:
        store = await get_marketplace_participations(amazon.sp_api, region, given.access_token)
    except (TokenRefused, RoleMissing) as error:
        # What Amazon answers in a wrong region; asking the others tells that from a missing role.
        right = await _region_that_answers(amazon, given, [r for r in Region if r is not region])
        problem = AttemptProblem.REGION_MISMATCH if right is not None else _problem_of(error)
        raise _Failed(problem, right) from error
    except (ClientMisconfigured, AmazonUnavailable) as error:
        raise _Failed(_problem_of(error)) from error
    if not store.sells_somewhere:
        # A wrong region was also seen to answer with an empty list.
        right = await _region_that_answers(amazon, given, [r for r in Region if r is not region])
        raise _Failed(
            AttemptProblem.NO_PARTICIPATION if right is None else AttemptProblem.REGION_MISMATCH, right
        )
    return given, store


async def _region_that_answers(amazon: Amazon, given: Tokens, regions: Sequence[Region]) -> Region | None:
    for region in regions:
        try:
            store = await get_marketplace_participations(amazon.sp_api, region, given.access_token)
        except (TokenRefused, RoleMissing, ClientMisconfigured, AmazonUnavailable):
            continue
        if store.sells_somewhere:
            return region
    return None


def _problem_of(error: Exception) -> AttemptProblem:
    return _PROBLEM_OF.get(type(error), AttemptProblem.AMAZON_UNAVAILABLE)


# --- outcomes --------------------------------------------------------------------------------------------------------


async def _fail(sessions: Sessions, caller: Caller, attempt_id: UUID, failure: _Failed) -> None:
    async with sessions.begin() as session:
        await queries.write_outcome(
            session,
            attempt_id,
            Outcome.FAILED,
            problem_code=failure.problem.value,
            right_region=failure.right_region,
        )
        session.add(audit_entry(caller, "authorization_failed", attempt_id, problem=failure.problem.value))
        await announce(
            session, caller.account_id, EventKind.AUTHORIZATION_CHANGED, authorization_id=attempt_id
        )
    log.warning("authorization_failed", authorization_id=str(attempt_id), problem=failure.problem.value)


async def _connect(
    sessions: Sessions,
    keyring: Keyring,
    caller: Caller,
    attempt: queries.AttemptRow,
    *,
    seller_id: str,
    given: Tokens,
    store: Store,
) -> None:
    """Integration, grant, countries, outcome, audit and events: one transaction, all or nothing."""
    now, region = datetime.now(UTC), Region(attempt.region)
    async with sessions.begin() as session:
        integration_id, is_new = await integrations.connect_store(
            session,
            caller.account_id,
            region=region,
            seller_id=seller_id,
            home_country=attempt.country,
            now=now,
        )
        await tokens.store_grant(
            session,
            await keyring.of(session, caller.account_id),
            integration_id=integration_id,
            region=region,
            seller_id=seller_id,
            tokens=given,
            consented_at=now,
        )
        await integrations.save_store(session, caller.account_id, integration_id, store, now)
        outcome = Outcome.CONNECTED if is_new else Outcome.REAUTHORIZED
        await queries.write_outcome(session, attempt.id, outcome, integration_id=integration_id)
        # The path of every later reading, from the stored grant on, is walked once at once.
        await enqueue(session, Job.REFRESH_PARTICIPATIONS, integration_id)
        action = "integration_connected" if is_new else "integration_reauthorized"
        session.add(audit_entry(caller, action, integration_id, region=region, authorization=str(attempt.id)))
        await announce(
            session, caller.account_id, EventKind.AUTHORIZATION_CHANGED, authorization_id=attempt.id
        )
    log.info(action, integration_id=str(integration_id), authorization_id=str(attempt.id))
