"""The login URI: Amazon's Appstore and "Manage Your Apps" send a seller to us without a code, and we send them back with a state.

A consent that was begun at our page can come back this way, too. Anybody can prepare such a link, so that what it brought is
kept here, a person is asked who is signed in, and the attempt that they go on with is good for the seller that they were shown,
and for no other.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import structlog

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.authorization import queries, service
from services.connector.authorization.attempts import (
    CallbackProblem,
    Intent,
    LoginParameters,
    Question,
    hash_of,
    is_token,
    state_of,
)
from services.connector.authorization.consent import Application, confirm_url, country_of_host, is_genuine
from services.connector.throttling.limits import CALLBACKS
from shared.database import Sessions
from shared.driver import new_id
from shared.keyring import Keyring
from shared.permissions import Level, Permission
from shared.tables import LoginRequest, StartedBy

log = structlog.get_logger()

# Long enough to sign in; Amazon wants the whole authorization done within ten minutes.
_LIFETIME: Final = timedelta(minutes=10)
_MOST_OF_ONE_BROWSER: Final = 5


async def keep_login_request(
    sessions: Sessions,
    application: Application,
    *,
    client_address: str,
    browser_token: str,
    given: LoginParameters,
    now: datetime,
) -> UUID | None:
    """Keep what Amazon sent through our own sign-in. None if Amazon cannot have sent it.

    Raises TooOften for a network that sends too many.
    """
    await CALLBACKS.require_from(sessions, client_address)
    if not given.are_well_formed or not is_genuine(application, given.amazon_callback_uri):
        log.warning("login_request_refused", host=_host_of(given.amazon_callback_uri))
        return None
    request = LoginRequest(
        id=new_id(),
        browser_hash=hash_of(browser_token),
        amazon_callback_uri=given.amazon_callback_uri,
        amazon_state=given.amazon_state,
        seller_id=given.seller_id,
        is_draft=given.version == "beta",
        created_at=now,
        expires_at=now + _LIFETIME,
    )
    async with sessions.begin() as session:
        await queries.keep_login_request(session, request, most=_MOST_OF_ONE_BROWSER)
    return request.id


async def confirmation_question(
    sessions: Sessions,
    caller: Caller,
    *,
    request_id: UUID,
    browser_token: str | None,
    now: datetime,
) -> Question | CallbackProblem:
    """The question for this person, or the reason why they cannot go on."""
    problem = _problem_of(caller, browser_token)
    if problem is not None:
        return problem
    browser_hash = hash_of(browser_token or "")
    async with sessions.begin() as session:
        request = await queries.login_request(session, request_id, browser_hash, now)
        if request is None:
            return CallbackProblem.ATTEMPT_EXPIRED
        names = await queries.caller_names(session, caller)
        waiting = await queries.newest_waiting_country(
            session,
            account_id=caller.account_id,
            user_id=caller.user_id,
            browser_hash=browser_hash,
            now=now,
        )
        known = await queries.known_country(session, caller.account_id, request.seller_id)
    return Question(
        seller_id=request.seller_id,
        account_name=names.account,
        user_name=names.user,
        user_email=names.email,
        country=known or waiting or country_of_host(request.amazon_callback_uri),
        is_known=known is not None,
    )


async def confirm(
    sessions: Sessions,
    keyring: Keyring,
    application: Application,
    caller: Caller,
    *,
    request_id: UUID,
    country: str,
    browser_token: str | None,
    now: datetime,
) -> str | CallbackProblem:
    """Where to send the browser at Amazon, after the person's yes. Raises UnknownCountry, TooManyAttempts, AccountAttemptsFull."""
    problem = _problem_of(caller, browser_token)
    if problem is not None:
        return problem
    assert browser_token is not None
    account_keys = await keyring.of(sessions, caller.account_id)
    async with sessions.begin() as session:
        request = await queries.take_login_request(session, request_id, hash_of(browser_token), now)
        if request is None:
            return CallbackProblem.ATTEMPT_EXPIRED
        attempt_id = await queries.bind_to_seller(
            session,
            account_id=caller.account_id,
            user_id=caller.user_id,
            browser_hash=hash_of(browser_token),
            country=country,
            seller_id=request.seller_id,
            now=now,
        )
        if attempt_id is not None:
            state = state_of(account_keys, attempt_id, browser_token)
        else:
            intent = Intent(country, seller_id_expected=request.seller_id, started_by=StartedBy.AMAZON)
            attempt_id, state = await service.add_attempt(
                session, account_keys, caller, intent, browser_token=browser_token, now=now
            )
        session.add(audit_entry(caller, "authorization_confirmed", attempt_id, seller_id=request.seller_id))
    url = confirm_url(
        replace(application, is_draft=application.is_draft or request.is_draft),
        request.amazon_callback_uri,
        country=country,
        amazon_state=request.amazon_state,
        state=state,
    )
    return url or CallbackProblem.ATTEMPT_UNKNOWN


def _problem_of(caller: Caller, browser_token: str | None) -> CallbackProblem | None:
    if not caller.may(Permission.GENERAL_ADMIN, Level.EDIT):
        return CallbackProblem.PERMISSION_MISSING
    return None if is_token(browser_token) else CallbackProblem.OTHER_BROWSER


def _host_of(url: str) -> str:
    """For the log: never the rest of an address that somebody has sent."""
    try:
        return (urlsplit(url).hostname or "")[:100]
    except ValueError:
        return ""
