"""From Amazon's redirect to a connected store: attempt, tokens, proof of the region, integration.

What must never happen here: a transaction open while Amazon is called; a second use of an attempt; half a connection. The
attempt is consumed first, by one statement, and keeps its outcome, so that back, reload and a double callback show the first
one's.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter
from pydantic import SecretStr

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.amazon.access import Amazon
from services.connector.amazon.client import SellerApi, quota_of_seller
from services.connector.amazon.errors import (
    AmazonPaused,
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
    AttemptProblem,
    Callback,
    CallbackProblem,
    Elsewhere,
    hash_of,
    is_another_store,
    is_code,
    is_seller_id,
    is_token,
)
from services.connector.authorization.consent import Application
from services.connector.authorization.views import shown_instead
from services.connector.integrations import service as integrations
from services.connector.orders import syncs
from services.connector.throttling.limits import CALLBACKS
from services.connector.tokens import service as tokens
from shared.crypto.key_provider import KeyServiceUnavailable
from shared.database import Sessions, is_unavailable
from shared.events import EventKind, announce
from shared.jobs import Job, enqueue
from shared.keyring import Keyring
from shared.marketplaces import Region
from shared.permissions import Level, Permission
from shared.tables import Outcome
from shared.tracing import step, trace

log = structlog.get_logger()

# Together with exchange and probes less than COMPLETION_LIMIT, after which the attempt counts as interrupted.
_WRITE_SECONDS: Final = 60.0
_WRITE_PAUSE_SECONDS: Final = 0.5


class _Failed(Exception):
    """This attempt has failed, for this reason."""

    def __init__(self, problem: AttemptProblem, right: tuple[Region, str | None] | None = None) -> None:
        super().__init__(problem.value)
        self.problem = problem
        self.right_region = right[0] if right is not None else None
        self.right_store = right[1] if right is not None else None


_PROBLEM_OF: Final[dict[type[Exception], AttemptProblem]] = {
    CodeRejected: AttemptProblem.CODE_REJECTED,
    ClientMisconfigured: AttemptProblem.CLIENT_MISCONFIGURED,
    RoleMissing: AttemptProblem.ROLE_MISSING,
    AmazonPaused: AttemptProblem.AMAZON_PAUSED,
    # A token that is minutes old and refused in every region: Amazon has had such hours.
    TokenRefused: AttemptProblem.AMAZON_UNAVAILABLE,
}


# --- Amazon's redirect -----------------------------------------------------------------------------------------------


async def complete(
    sessions: Sessions,
    keyring: Keyring,
    amazon: Amazon,
    application: Application,
    caller: Caller | None,
    *,
    known_elsewhere: Counter,
    client_address: str,
    browser_token: str | None,
    callback: Callback,
    now: datetime,
) -> UUID | CallbackProblem | Elsewhere:
    """What a callback does: the attempt whose page shows the outcome, or why there is none to show here.

    Raises TooOften for a user, or a network in which nobody is signed in, that sends too many; AmazonPaused before anything is used up,
    so that the same address can be opened again while Amazon's code is good.
    """
    began = time.monotonic()
    if caller is None:
        await CALLBACKS.require_from(sessions, client_address)
    else:
        await CALLBACKS.require(sessions, caller.user_id)
    if not callback.state and not callback.code.get_secret_value():
        return CallbackProblem.CODE_MISSING
    if not is_token(callback.state):
        return CallbackProblem.ATTEMPT_UNKNOWN
    await amazon.switch.refuse_if_paused()
    attempt = await _consume(sessions, caller, callback, browser_token=browser_token, now=now)
    if not isinstance(attempt, queries.AttemptRow):
        # A problem, or a second callback: then the first one's outcome is shown, or that it is being worked on.
        return attempt
    assert caller is not None
    with trace(
        "connect store",
        attempt.id,
        began=began,
        attempt_id=attempt.id,
        account_id=caller.account_id,
        region=attempt.region,
    ):
        await _complete_attempt(
            sessions,
            keyring,
            amazon,
            application,
            caller=caller,
            attempt=attempt,
            callback=callback,
            known_elsewhere=known_elsewhere,
        )
    return attempt.id


async def _complete_attempt(
    sessions: Sessions,
    keyring: Keyring,
    amazon: Amazon,
    application: Application,
    *,
    caller: Caller,
    attempt: queries.AttemptRow,
    callback: Callback,
    known_elsewhere: Counter,
) -> None:
    """What an attempt that this call has consumed comes to; its outcome is written."""
    if not is_code(callback.code.get_secret_value()) or not is_seller_id(callback.seller_id):
        failure = _Failed(AttemptProblem.CODE_MISSING)
        await _until_written(lambda: _fail(sessions, caller, attempt.id, failure))
        return
    try:
        _check_seller(attempt, callback.seller_id)
        given, store = await _prove(
            amazon,
            application,
            callback.code,
            Region(attempt.region),
            quota_of_seller(caller.account_id, callback.seller_id),
        )
        seller_id = callback.seller_id
        with step("store grant"):
            await _until_written(
                lambda: _connect(
                    sessions,
                    keyring,
                    caller,
                    attempt,
                    known_elsewhere=known_elsewhere,
                    seller_id=seller_id,
                    given=given,
                    store=store,
                )
            )
    except _Failed as failed:
        failure = failed
        with step("store failure", outcome=failure.problem.value):
            await _until_written(lambda: _fail(sessions, caller, attempt.id, failure))


async def _consume(
    sessions: Sessions,
    caller: Caller | None,
    callback: Callback,
    *,
    browser_token: str | None,
    now: datetime,
) -> queries.AttemptRow | UUID | CallbackProblem | Elsewhere:
    """The attempt, if this call is the one that consumes it; its id, if it was consumed before; else what is wrong."""
    state_hash = hash_of(callback.state)
    browser_hash = hash_of(browser_token) if browser_token is not None else b""
    async with sessions.begin() as session:
        if caller is not None and caller.may(Permission.GENERAL_ADMIN, Level.EDIT):
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
        # A caller that is not signed in cannot find out whether a state exists.
        return CallbackProblem.ATTEMPT_UNKNOWN if caller is not None else CallbackProblem.OTHER_BROWSER
    if consumed is not None:
        return row
    shown = shown_instead(row, caller, browser_hash, now)
    # To nobody else is told what somebody wants to connect.
    may_know = (
        caller is not None
        and caller.account_id == row.account_id
        and caller.may(Permission.GENERAL_ADMIN, Level.VIEW)
    )
    if shown is CallbackProblem.OTHER_BROWSER and may_know:
        return Elsewhere(row.reconnects, row.country, by_link=row.link_hash is not None)
    return shown


def _check_seller(attempt: queries.AttemptRow, seller_id: str) -> None:
    """Another seller's code is not even exchanged. Raises _Failed."""
    if attempt.seller_id_expected not in {None, seller_id}:
        is_reconnect = attempt.reconnects is not None
        raise _Failed(AttemptProblem.WRONG_ACCOUNT if is_reconnect else AttemptProblem.OTHER_SELLER)


# --- what the code is worth ------------------------------------------------------------------------------------------


async def _prove(
    amazon: Amazon, application: Application, code: SecretStr, region: Region, quota_of: str
) -> tuple[Tokens, Store]:
    """Tokens, and the proof that they are good for this region. Raises _Failed."""
    try:
        with step("exchange code"):
            given = await amazon.lwa.exchange_code(code, application.redirect_uri)
    except (CodeRejected, ClientMisconfigured, AmazonUnavailable, AmazonPaused) as error:
        raise _Failed(_problem_of(error)) from error
    try:
        with step("ask for countries", region=region.value):
            store = await get_marketplace_participations(
                SellerApi(amazon.sp_api, region, quota_of, given.access_token)
            )
    except (TokenRefused, RoleMissing) as error:
        # What Amazon answers in a wrong region; asking the others tells that from a missing role.
        right = await _region_that_answers(amazon, given, quota_of, [r for r in Region if r is not region])
        problem = AttemptProblem.REGION_MISMATCH if right is not None else _problem_of(error)
        raise _Failed(problem, right) from error
    except (ClientMisconfigured, AmazonUnavailable, AmazonPaused) as error:
        raise _Failed(_problem_of(error)) from error
    if not store.sells_somewhere:
        # A wrong region was also seen to answer with an empty list.
        right = await _region_that_answers(amazon, given, quota_of, [r for r in Region if r is not region])
        raise _Failed(
            AttemptProblem.NO_PARTICIPATION if right is None else AttemptProblem.REGION_MISMATCH, right
        )
    return given, store


async def _region_that_answers(
    amazon: Amazon, given: Tokens, quota_of: str, regions: Sequence[Region]
) -> tuple[Region, str | None] | None:
    """The region in which the store sells, and how it is called there."""
    for region in regions:
        try:
            with step("ask for countries", region=region.value):
                store = await get_marketplace_participations(
                    SellerApi(amazon.sp_api, region, quota_of, given.access_token)
                )
        except (TokenRefused, RoleMissing, ClientMisconfigured, AmazonUnavailable, AmazonPaused):
            continue
        if store.sells_somewhere:
            return region, store.name
    return None


def _problem_of(error: Exception) -> AttemptProblem:
    return _PROBLEM_OF.get(type(error), AttemptProblem.AMAZON_UNAVAILABLE)


# --- outcomes --------------------------------------------------------------------------------------------------------


async def _until_written(write: Callable[[], Awaitable[None]]) -> None:
    """Write an outcome, again and again while the database or the key management service is away: the attempt and Amazon's code are used up
    by now."""
    give_up_at = time.monotonic() + _WRITE_SECONDS
    while True:
        try:
            await write()
        except Exception as error:
            is_away = is_unavailable(error) or isinstance(error, KeyServiceUnavailable)
            if not is_away or time.monotonic() > give_up_at:
                raise
            log.warning("outcome_waits_for_database", error=type(error).__name__)
            await asyncio.sleep(_WRITE_PAUSE_SECONDS)
        else:
            return


async def _fail(sessions: Sessions, caller: Caller, attempt_id: UUID, failure: _Failed) -> None:
    async with sessions.begin() as session:
        if await queries.has_outcome(session, attempt_id):
            return
        await queries.write_outcome(
            session,
            attempt_id,
            Outcome.FAILED,
            problem_code=failure.problem.value,
            right_region=failure.right_region,
            right_store=failure.right_store,
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
    known_elsewhere: Counter,
    seller_id: str,
    given: Tokens,
    store: Store,
) -> None:
    """Integration, grant, countries, outcome, audit and events: one transaction, all or nothing. Raises _Failed."""
    now, region = await sessions.now(), Region(attempt.region)
    account_keys = await keyring.of(sessions, caller.account_id)
    async with sessions.begin() as session:
        if await queries.has_outcome(session, attempt.id):
            # Written before, and the database was lost before it could say so.
            return
        if attempt.link_hash is not None:
            await queries.hold_link(session, attempt.link_hash)
        known = await queries.known_store(session, caller.account_id, region, seller_id)
        told = {p.marketplace.country for p in store.participations if p.is_participating}
        if known is not None and is_another_store(
            known.name, known.countries, told_name=store.name, told=told
        ):
            raise _Failed(AttemptProblem.STORE_DIFFERS)
        if attempt.reconnects is not None:
            await integrations.adopt_seller(
                session, caller.account_id, attempt.reconnects, region=region, seller_id=seller_id
            )
        integration_id, is_new = await integrations.connect_store(
            session,
            caller.account_id,
            region=region,
            seller_id=seller_id,
            home_country=attempt.country,
            owner_id=caller.user_id,
            now=now,
        )
        if attempt.link_hash is not None:
            # Somebody else may have been faster. The same store again does no harm.
            spent = await queries.authorized_by_link(session, caller.account_id, attempt.link_hash)
            if spent is not None and spent.integration_id != integration_id:
                raise _Failed(AttemptProblem.LINK_SPENT)
        await tokens.store_grant(
            session,
            account_keys,
            integration_id=integration_id,
            region=region,
            seller_id=seller_id,
            tokens=given,
            consented_at=now,
        )
        await integrations.save_store(session, caller.account_id, integration_id, store, now)
        await syncs.wake(session, integration_id, now)
        outcome = Outcome.CONNECTED if is_new else Outcome.REAUTHORIZED
        await queries.write_outcome(session, attempt.id, outcome, integration_id=integration_id)
        # The path of every later reading, from the stored grant on, is walked once at once.
        await enqueue(session, Job.REFRESH_PARTICIPATIONS, integration_id)
        await enqueue(session, Job.SUBSCRIBE_TO_NOTICES, integration_id)
        await enqueue(session, Job.FOLLOW_ORDER_REPORTS, integration_id)
        # For operators only. The seller's id came through the browser, so that it may be anybody's: it writes nothing, not so much as an
        # entry of their audit log, where it might belong to.
        is_elsewhere = is_new and await queries.is_known_elsewhere(
            session, caller.account_id, region, seller_id
        )
        action = "integration_connected" if is_new else "integration_reauthorized"
        session.add(audit_entry(caller, action, integration_id, region=region, authorization=str(attempt.id)))
        await announce(
            session, caller.account_id, EventKind.AUTHORIZATION_CHANGED, authorization_id=attempt.id
        )
    if is_elsewhere:
        known_elsewhere.inc()
        log.warning("seller_known_elsewhere", integration_id=str(integration_id))
    log.info(action, integration_id=str(integration_id), authorization_id=str(attempt.id))
