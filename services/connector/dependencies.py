"""What routes ask for: who is calling, and the parts of this process.

A route says whom it lets in by the type of its `caller`; a route without one must be listed as public (`app.py`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from services.connector.accounts import service as accounts
from services.connector.accounts.callers import Caller, NotSignedIn
from services.connector.accounts.credentials import check_csrf_token
from services.connector.accounts.passwords import Passwords
from services.connector.amazon.access import Amazon
from services.connector.events.hub import Hub
from services.connector.inbox.downloads import Downloads
from services.connector.language import Language, preferred_language
from services.connector.settings import ConnectorSettings
from shared.blobs import BlobStore
from shared.database import Sessions
from shared.keyring import Keyring
from shared.permissions import Level, Permission

SESSION_COOKIE: Final = "__Host-replyco_session"
CSRF_HEADER: Final = "X-CSRF-Token"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Parts:
    """What the composition root has built for this process; `request.app.state.parts`."""

    settings: ConnectorSettings
    sessions: Sessions
    keyring: Keyring
    passwords: Passwords
    amazon: Amazon
    hub: Hub
    downloads: Downloads
    blobs: BlobStore


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


def _sessions(request: Request) -> Sessions:
    return _parts(request).sessions


def _keyring(request: Request) -> Keyring:
    return _parts(request).keyring


def _passwords(request: Request) -> Passwords:
    return _parts(request).passwords


def _amazon(request: Request) -> Amazon:
    return _parts(request).amazon


def _hub(request: Request) -> Hub:
    return _parts(request).hub


def _blobs(request: Request) -> BlobStore:
    return _parts(request).blobs


def _settings(request: Request) -> ConnectorSettings:
    return _parts(request).settings


def _now() -> datetime:
    return datetime.now(UTC)


def _language(request: Request) -> Language:
    return preferred_language(request.headers.get("accept-language"))


SessionsOf = Annotated[Sessions, Depends(_sessions)]
KeyringOf = Annotated[Keyring, Depends(_keyring)]
PasswordsOf = Annotated[Passwords, Depends(_passwords)]
AmazonOf = Annotated[Amazon, Depends(_amazon)]
HubOf = Annotated[Hub, Depends(_hub)]
BlobsOf = Annotated[BlobStore, Depends(_blobs)]
SettingsOf = Annotated[ConnectorSettings, Depends(_settings)]
Now = Annotated[datetime, Depends(_now)]
LanguageOf = Annotated[Language, Depends(_language)]


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
    sessions: SessionsOf,
    now: Now,
    token: Annotated[str | None, Depends(_COOKIE)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> Caller:
    """The caller, let in only with every permission that the route names. The one gate of the API."""
    if bearer is not None:
        caller = await accounts.caller_of_api_key(sessions, bearer.credentials.strip(), now)
    elif token:
        caller = await accounts.caller_of_session(sessions, token, now)
        if request.method not in _SAFE_METHODS:
            check_csrf_token(token, request.headers.get(CSRF_HEADER, ""))
    else:
        raise NotSignedIn
    for scope in scopes.scopes:
        permission, _, level = scope.partition(":")
        caller.require(Permission(permission), Level(level))
    return caller


def asks_for_caller(dependant: Dependant) -> bool:
    """Whether a route passes the gate above."""
    return any(part.call is _authenticated or asks_for_caller(part) for part in dependant.dependencies)


def _needs(permission: Permission, level: Level) -> list[str]:
    return [f"{permission}:{level}"]


AnyCaller = Annotated[Caller, Security(_authenticated)]
AdminViewer = Annotated[Caller, Security(_authenticated, scopes=_needs(Permission.GENERAL_ADMIN, Level.VIEW))]
AdminEditor = Annotated[Caller, Security(_authenticated, scopes=_needs(Permission.GENERAL_ADMIN, Level.EDIT))]
InboxReader = Annotated[
    Caller, Security(_authenticated, scopes=_needs(Permission.INBOX_MESSAGES, Level.VIEW))
]
