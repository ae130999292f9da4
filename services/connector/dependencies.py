"""What routes ask for: who is calling, and the parts of this process.

A route says whom it lets in by the type of its `caller`; a route without one must be listed as public (`app.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Final, NamedTuple
from uuid import UUID

from fastapi import Depends, Header, Query, Request, Response, Security
from fastapi.dependencies.models import Dependant
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from prometheus_client import CollectorRegistry, Counter
from pydantic import WithJsonSchema

from services.connector.accounts import service as accounts
from services.connector.accounts.callers import Caller, NotSignedIn, SecondFactorNeeded
from services.connector.accounts.credentials import check_csrf_token
from services.connector.accounts.passwords import Passwords
from services.connector.accounts.session_lifetime import USUAL
from services.connector.accounts.turns import FairTurns
from services.connector.amazon.access import Amazon
from services.connector.amazon_pauses.service import PauseSwitch
from services.connector.events.hub import Hub
from services.connector.feedback.service import PageAnswers
from services.connector.http.client_networks import network_of, wide_network_of
from services.connector.http.concurrency import ConcurrencyLimit
from services.connector.http.language import Language, preferred_language
from services.connector.http.middleware import ASKED_BY
from services.connector.http.rate_limits import RateLimits
from services.connector.http.reading import Reading, reading_of_header
from services.connector.http.request_types import CursorField
from services.connector.idempotency import service as idempotency
from services.connector.idempotency.middleware import CLAIM
from services.connector.reads.service import ReadLog
from services.connector.replies.limits import UPLOADS
from services.connector.settings import ConnectorSettings
from services.connector.sign_in.beginning import BROWSER_LIFETIME, SignedIn
from services.connector.sign_in.browsers import Browser
from services.connector.single_sign_on.service import SingleSignOn
from services.connector.smtp.checker import SmtpChecker
from services.connector.tokens.service import Vault
from shared.blobs import BlobStore
from shared.database import Sessions, database_problem
from shared.keyring import Keyring
from shared.outgoing.connections import OutgoingConnections
from shared.permissions import Level, Permission
from shared.side_port import STOPPING

SESSION_COOKIE: Final = "__Host-replyco_session"
# A browser that sends it has signed in before (`sign_in_limits`).
KNOWN_BROWSER_COOKIE: Final = "__Host-replyco_known_browser"
CSRF_HEADER: Final = "X-CSRF-Token"
# Sent by pages with what they ask by themselves: it does not keep a session alive.
BACKGROUND_HEADER: Final = "X-Background-Request"
_EVENT_STREAM: Final = "text/event-stream"
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"
TakeSlot = Callable[[UUID], Awaitable[None]]
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class AppState:
    """What the composition root has built for this process; `request.app.state.connector`."""

    settings: ConnectorSettings
    registry: CollectorRegistry
    sessions: Sessions
    keyring: Keyring
    passwords: Passwords
    sign_in_turns: FairTurns
    amazon: Amazon
    pause_switch: PauseSwitch
    vault: Vault
    hub: Hub
    read_log: ReadLog
    page_answers: PageAnswers
    downloads: ConcurrencyLimit
    searches: ConcurrencyLimit
    uploads: ConcurrencyLimit
    blobs: BlobStore
    outgoing: OutgoingConnections
    smtp_checker: SmtpChecker
    single_sign_on: SingleSignOn
    caller_limits: RateLimits
    anonymous_limits: RateLimits
    anonymous_wide_limits: RateLimits
    known_elsewhere: Counter
    # Set when this process is told to stop.
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def problem(self) -> str | None:
        """Why nobody should be sent to this process now, as `/readyz` tells it; None if it is ready."""
        return STOPPING if self.stop.is_set() else await database_problem(self.sessions)


class PageTools(NamedTuple):
    """What reads a page of a list that may be searched: one dependency, since FastAPI works as long on each as on three."""

    sessions: Sessions
    keyring: Keyring
    searches: ConcurrencyLimit


def _state(request: Request) -> AppState:
    state: AppState = request.app.state.connector
    return state


# All of these are coroutines: FastAPI would run a plain function in a thread, which costs more than the whole request.
async def _sessions(request: Request) -> Sessions:
    return _state(request).sessions


async def _keyring(request: Request) -> Keyring:
    return _state(request).keyring


async def _passwords(request: Request) -> Passwords:
    return _state(request).passwords


async def _sign_in_turns(request: Request) -> FairTurns:
    return _state(request).sign_in_turns


async def _amazon(request: Request) -> Amazon:
    return _state(request).amazon


async def _pause_switch(request: Request) -> PauseSwitch:
    return _state(request).pause_switch


async def _hub(request: Request) -> Hub:
    return _state(request).hub


async def _read_log(request: Request) -> ReadLog:
    return _state(request).read_log


async def _page_answers(request: Request) -> PageAnswers:
    return _state(request).page_answers


async def _searches(request: Request) -> ConcurrencyLimit:
    return _state(request).searches


async def _page_tools(request: Request) -> PageTools:
    state = _state(request)
    return PageTools(state.sessions, state.keyring, state.searches)


async def _blobs(request: Request) -> BlobStore:
    return _state(request).blobs


def _slots(limit_of: Callable[[AppState], ConcurrencyLimit]) -> Callable[..., AsyncIterator[TakeSlot]]:
    async def slot(request: Request) -> AsyncIterator[TakeSlot]:
        """Takes a slot for an account when it is called, and keeps it until the answer has been sent."""
        async with AsyncExitStack() as slots:

            async def take(account_id: UUID) -> None:
                await slots.enter_async_context(limit_of(_state(request)).slot(account_id))

            yield take

    return slot


async def _outgoing(request: Request) -> OutgoingConnections:
    return _state(request).outgoing


async def _smtp_checker(request: Request) -> SmtpChecker:
    return _state(request).smtp_checker


async def _single_sign_on(request: Request) -> SingleSignOn:
    return _state(request).single_sign_on


async def _known_elsewhere(request: Request) -> Counter:
    return _state(request).known_elsewhere


async def _settings(request: Request) -> ConnectorSettings:
    return _state(request).settings


async def _now(request: Request) -> datetime:
    return await _state(request).sessions.now()


async def _language(request: Request) -> Language:
    return preferred_language(request.headers.get("accept-language"))


async def _reading(request: Request) -> Reading:
    header = request.headers.get("accept-language")
    return reading_of_header(preferred_language(header), header)


SessionsDep = Annotated[Sessions, Depends(_sessions)]
KeyringDep = Annotated[Keyring, Depends(_keyring)]
PasswordsDep = Annotated[Passwords, Depends(_passwords)]
SignInTurnsDep = Annotated[FairTurns, Depends(_sign_in_turns)]
AmazonDep = Annotated[Amazon, Depends(_amazon)]
PauseSwitchDep = Annotated[PauseSwitch, Depends(_pause_switch)]
HubDep = Annotated[Hub, Depends(_hub)]
ReadLogDep = Annotated[ReadLog, Depends(_read_log)]
PageAnswersDep = Annotated[PageAnswers, Depends(_page_answers)]
SearchesDep = Annotated[ConcurrencyLimit, Depends(_searches)]
TakeDownloadSlot = Annotated[TakeSlot, Depends(_slots(lambda state: state.downloads))]
TakeUploadSlot = Annotated[TakeSlot, Depends(_slots(lambda state: state.uploads))]
PageToolsDep = Annotated[PageTools, Depends(_page_tools)]
BlobsDep = Annotated[BlobStore, Depends(_blobs)]
OutgoingDep = Annotated[OutgoingConnections, Depends(_outgoing)]
SmtpCheckerDep = Annotated[SmtpChecker, Depends(_smtp_checker)]
SingleSignOnDep = Annotated[SingleSignOn, Depends(_single_sign_on)]
KnownElsewhereDep = Annotated[Counter, Depends(_known_elsewhere)]
SettingsDep = Annotated[ConnectorSettings, Depends(_settings)]
Now = Annotated[datetime, Depends(_now)]
LanguageDep = Annotated[Language, Depends(_language)]
ReadingDep = Annotated[Reading, Depends(_reading)]
Cursor = Annotated[CursorField, Query()]
IfMatch = Annotated[
    str | None,
    Header(description="Change this version only: the ETag of what was read, or `*`."),
    WithJsonSchema({"type": "string", "format": "etag"}),
]


_COOKIE: Final = APIKeyCookie(
    name=SESSION_COOKIE,
    scheme_name="session",
    description=f"Set by POST /api/v1/sessions. Changes also need `{CSRF_HEADER}`.",
    auto_error=False,
)
_BEARER: Final = HTTPBearer(scheme_name="api_key", description="An API key, `rk_…`.", auto_error=False)


async def _authenticated(
    *,
    request: Request,
    scopes: SecurityScopes,
    token: Annotated[str | None, Depends(_COOKIE)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> Caller:
    """The caller, if they have every permission that the route names. The only such check of the API."""
    caller = await _permitted(request, scopes.scopes, token, bearer)
    await _claim_change(request, scopes.scopes, caller)
    return caller


async def _person(
    request: Request, scopes: SecurityScopes, token: Annotated[str | None, Depends(_COOKIE)]
) -> Caller:
    """The same, but no program: an API key is not described as a way in, and is told that it is none."""
    caller = await _permitted(request, scopes.scopes, token, await _BEARER(request))
    caller.require_browser()
    await _claim_change(request, scopes.scopes, caller)
    return caller


async def _setting_up(
    request: Request,
    token: Annotated[str | None, Depends(_COOKIE)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> Caller:
    """The caller, even if they have still to set up the second factor that their account demands."""
    caller = await _identified(request, token, bearer)
    await _claim_once(_state(request), request, caller)
    return caller


async def _person_setting_up(request: Request, token: Annotated[str | None, Depends(_COOKIE)]) -> Caller:
    """The same, but no program."""
    caller = await _identified(request, token, await _BEARER(request))
    caller.require_browser()
    await _claim_once(_state(request), request, caller)
    return caller


async def _permitted(
    request: Request, scopes: Sequence[str], token: str | None, bearer: HTTPAuthorizationCredentials | None
) -> Caller:
    caller = await _identified(request, token, bearer)
    if caller.lacks_second_factor:
        raise SecondFactorNeeded
    for scope in scopes:
        permission, _, level = scope.partition(":")
        caller.require(Permission(permission), Level(level))
    return caller


async def _claim_change(request: Request, scopes: Sequence[str], caller: Caller) -> None:
    if not only_reads(scopes):
        await _claim_once(_state(request), request, caller)


async def _identified(
    request: Request, token: str | None, bearer: HTTPAuthorizationCredentials | None
) -> Caller:
    """Who is asking. A change by cookie needs the token that only our pages know."""
    state = _state(request)
    is_background = BACKGROUND_HEADER in request.headers or request.headers.get("accept", "") == _EVENT_STREAM
    try:
        caller = await _caller_of(
            state.sessions, await state.sessions.now(), token, bearer, is_background=is_background
        )
    except NotSignedIn:
        client_address = request.client.host if request.client else ""
        state.anonymous_wide_limits.take(wide_network_of(client_address), request.scope)
        state.anonymous_limits.take(network_of(client_address), request.scope)
        raise
    request.scope[ASKED_BY].update(caller.log_fields)
    state.caller_limits.take(str(caller.id), request.scope)
    if caller.is_browser and token and request.method not in _SAFE_METHODS:
        check_csrf_token(token, request.headers.get(CSRF_HEADER, ""))
    return caller


async def _caller_of(
    sessions: Sessions,
    now: datetime,
    token: str | None,
    bearer: HTTPAuthorizationCredentials | None,
    *,
    is_background: bool,
) -> Caller:
    if bearer is not None:
        return await accounts.caller_of_api_key(sessions, bearer.credentials.strip(), now)
    if token:
        return await accounts.caller_of_session(sessions, token, now, is_background=is_background)
    raise NotSignedIn


async def _claim_once(state: AppState, request: Request, caller: Caller) -> None:
    """Claim a POST with an Idempotency-Key, so that it is done once and its answer kept. Raises Replay."""
    key = request.headers.get(IDEMPOTENCY_HEADER)
    # A file is read when there is room for it, not to be compared.
    if request.method != "POST" or key is None or UPLOADS.has(request.scope):
        return
    claim = await idempotency.claim(
        state.sessions,
        state.keyring,
        account_id=caller.account_id,
        caller_id=caller.id,
        key=key,
        method=request.method,
        path=f"{request.url.path}?{request.url.query}",
        body=await request.body(),
    )
    request.scope[CLAIM].append(claim)


def browser_of(request: Request) -> Browser:
    """The browser that sent this request."""
    # The peer's address; behind a proxy, uvicorn replaces it, for proxies named in REPLYCO_TRUSTED_PROXIES only.
    return Browser(
        client_address=request.client.host if request.client else "",
        user_agent=request.headers.get("user-agent", ""),
        session_token=request.cookies.get(SESSION_COOKIE, ""),
        known_token=request.cookies.get(KNOWN_BROWSER_COOKIE, ""),
    )


def set_session_cookies(response: Response, signed_in: SignedIn) -> None:
    """The cookies of a session that has begun."""
    set_secret_cookie(response, SESSION_COOKIE, signed_in.session_token, USUAL.longest)
    set_secret_cookie(response, KNOWN_BROWSER_COOKIE, signed_in.known_token, BROWSER_LIFETIME)


def set_secret_cookie(response: Response, name: str, token: str, lifetime: timedelta) -> None:
    """A cookie that no script reads and no other site's page sends, but for the address that it leads to."""
    response.set_cookie(
        name,
        token,
        max_age=int(lifetime.total_seconds()),
        path="/",
        secure=True,
        httponly=True,
        samesite="lax",
    )


def only_reads(scopes: Sequence[str]) -> bool:
    """Whether a route asks for no more than to view. Then there is nothing to do once, and its answer is never kept."""
    return bool(scopes) and all(scope.endswith(f":{Level.VIEW}") for scope in scopes)


_CHECKS: Final = (_authenticated, _person, _setting_up, _person_setting_up)


def permissions_asked(dependant: Dependant) -> frozenset[Permission] | None:
    """The permissions without which a route lets nobody in; None if it does not check its caller."""
    for part in dependant.dependencies:
        if part.call in _CHECKS:
            return frozenset(Permission(scope.partition(":")[0]) for scope in part.own_oauth_scopes or ())
        if (asked := permissions_asked(part)) is not None:
            return asked
    return None


def _needs(permission: Permission, level: Level) -> list[str]:
    return [f"{permission}:{level}"]


AnyCaller = Annotated[Caller, Security(_authenticated)]
# For what leads to a second factor, and out.
SettingUpCaller = Annotated[Caller, Security(_setting_up)]
# For what a person decides: a program gets 403 browser_required. A stolen API key must not make itself friends, nor lock people out.
AnyPerson = Annotated[Caller, Security(_person)]
SettingUpPerson = Annotated[Caller, Security(_person_setting_up)]
AdminPerson = Annotated[Caller, Security(_person, scopes=_needs(Permission.GENERAL_ADMIN, Level.EDIT))]
ProgramsPerson = Annotated[Caller, Security(_person, scopes=_needs(Permission.GENERAL_PROGRAMS, Level.EDIT))]
InboxPerson = Annotated[Caller, Security(_person, scopes=_needs(Permission.INBOX_MESSAGES, Level.EDIT))]
InboxReadingPerson = Annotated[
    Caller, Security(_person, scopes=_needs(Permission.INBOX_MESSAGES, Level.VIEW))
]
AdminViewer = Annotated[Caller, Security(_authenticated, scopes=_needs(Permission.GENERAL_ADMIN, Level.VIEW))]
AdminEditor = Annotated[Caller, Security(_authenticated, scopes=_needs(Permission.GENERAL_ADMIN, Level.EDIT))]
ProgramsViewer = Annotated[
    Caller, Security(_authenticated, scopes=_needs(Permission.GENERAL_PROGRAMS, Level.VIEW))
]
ProgramsEditor = Annotated[
    Caller, Security(_authenticated, scopes=_needs(Permission.GENERAL_PROGRAMS, Level.EDIT))
]
OrdersReader = Annotated[Caller, Security(_authenticated, scopes=_needs(Permission.INBOX_ORDERS, Level.VIEW))]
# For the orders beside a conversation.
InboxOrdersReader = Annotated[
    Caller,
    Security(
        _authenticated,
        scopes=_needs(Permission.INBOX_MESSAGES, Level.VIEW) + _needs(Permission.INBOX_ORDERS, Level.VIEW),
    ),
]
InboxReader = Annotated[
    Caller, Security(_authenticated, scopes=_needs(Permission.INBOX_MESSAGES, Level.VIEW))
]
InboxEditor = Annotated[
    Caller, Security(_authenticated, scopes=_needs(Permission.INBOX_MESSAGES, Level.EDIT))
]
# Whoever writes to buyers. What they answer is opened for them.
ReplyWriter = Annotated[
    Caller,
    Security(
        _authenticated,
        scopes=_needs(Permission.INBOX_MESSAGES, Level.VIEW) + _needs(Permission.INBOX_REPLIES, Level.EDIT),
    ),
]
# For mail that is an administrator's matter, too: as it came, and the mails with Amazon's codes.
AdminInboxReader = Annotated[
    Caller,
    Security(
        _authenticated,
        scopes=_needs(Permission.GENERAL_ADMIN, Level.VIEW) + _needs(Permission.INBOX_MESSAGES, Level.VIEW),
    ),
]
