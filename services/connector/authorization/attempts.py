"""One try to authorize: its secrets and its states. Nothing is read or written here."""

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from pydantic import SecretStr

from shared.crypto.envelope import AccountKeys
from shared.errors import Expected
from shared.marketplaces import Region

# Amazon itself wants the whole authorization done within ten minutes.
ATTEMPT_LIFETIME: Final = timedelta(minutes=10)
# Longer than code exchange and all probes may take together: who has no outcome by then has died on the way.
COMPLETION_LIMIT: Final = timedelta(minutes=2)
# A user who begins this many within an hour without finishing one is stuck, or a script.
MAX_UNFINISHED_ATTEMPTS: Final = 20
ATTEMPTS_WINDOW: Final = timedelta(hours=1)

_MAX_CODE: Final = 2048
# Seller ids look like A2EXAMPLE; the value comes through the browser, so that only its shape is believed.
_SELLER_ID: Final = re.compile(r"[A-Za-z0-9._-]{5,64}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class AttemptStatus(StrEnum):
    """What an attempt looks like from outside."""

    WAITING = "waiting"
    COMPLETING = "completing"
    CONNECTED = "connected"
    REAUTHORIZED = "reauthorized"
    FAILED = "failed"
    EXPIRED = "expired"


class AttemptProblem(StrEnum):
    """Why an attempt failed."""

    CODE_MISSING = "code_missing"
    CODE_REJECTED = "code_rejected"
    REGION_MISMATCH = "region_mismatch"
    NO_PARTICIPATION = "no_participation"
    ROLE_MISSING = "role_missing"
    AMAZON_UNAVAILABLE = "amazon_unavailable"
    CLIENT_MISCONFIGURED = "client_misconfigured"
    INTERRUPTED = "interrupted"


class CallbackProblem(StrEnum):
    """Why a callback leads to no attempt that may be shown in this browser."""

    ATTEMPT_UNKNOWN = "attempt_unknown"
    ATTEMPT_EXPIRED = "attempt_expired"
    OTHER_BROWSER = "other_browser"
    SIGN_IN_AGAIN = "sign_in_again"
    CODE_MISSING = "code_missing"


@dataclass(frozen=True, slots=True)
class AttemptView:
    """An attempt as its page shows it. `consent_url` is None unless this browser began it and it is still waiting."""

    id: UUID
    country: str
    region: Region
    status: AttemptStatus
    expires_at: datetime
    consent_url: str | None = field(repr=False)
    integration_id: UUID | None
    problem: AttemptProblem | None
    right_region: Region | None


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """What Amazon's other shape brought: a seller whom we shall send back to Amazon. Unchecked."""

    amazon_callback_uri: str = field(repr=False)
    amazon_state: str = field(repr=False)
    seller_id: str

    @property
    def is_well_formed(self) -> bool:
        return 0 < len(self.amazon_state) <= _MAX_CODE and is_seller_id(self.seller_id)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a person is asked before we send him on to `url`."""

    account_name: str
    country: str
    seller_id: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Callback:
    """What Amazon's redirect brought. Unchecked."""

    state: str = field(repr=False)
    code: SecretStr
    seller_id: str


class UnknownCountry(Expected):
    """No marketplace of ours."""

    code = "unknown_country"


class TooManyAttempts(Expected):
    """This user has begun too many attempts within the hour."""

    code = "too_many_attempts"


def new_browser_token() -> str:
    """What the browser's cookie holds: 256 bits."""
    return secrets.token_urlsafe(32)


def is_token(value: str | None) -> bool:
    """Whether this can be a state or a browser token of ours at all."""
    return value is not None and _TOKEN.fullmatch(value) is not None


def state_of(account_keys: AccountKeys, attempt_id: UUID, browser_token: str) -> str:
    """The attempt's state: 256 bits that only the account's key and this browser's cookie together give.

    Derived, so that the consent URL can be shown again while only the state's hash is stored.
    """
    return _text(account_keys.lookup_hash("authorization_state", attempt_id.bytes + browser_token.encode()))


def state_for_seller(account_keys: AccountKeys, state: str, seller_id: str) -> str:
    """The same state, good for this seller alone: where Amazon names him before the consent, another one may not come back."""
    return f"{state}.{_text(account_keys.lookup_hash('authorization_seller', f'{state}.{seller_id}'))}"


def is_for_seller(account_keys: AccountKeys, state: str, seller_id: str) -> bool:
    """False only for a state that was made for another seller."""
    bare, dot, _ = state.partition(".")
    expected = state_for_seller(account_keys, bare, seller_id)
    return not dot or hmac.compare_digest(expected.encode(), state.encode())


def _text(digest: bytes) -> str:
    return urlsafe_b64encode(digest).decode().rstrip("=")


def hash_of(token: str) -> bytes:
    """What is stored of a state and of a browser token. Plain SHA-256 is enough for 256 random bits."""
    return hashlib.sha256(token.encode()).digest()


def is_seller_id(value: str) -> bool:
    return _SELLER_ID.fullmatch(value) is not None


def is_code(value: str) -> bool:
    return 0 < len(value) <= _MAX_CODE and value.isascii() and value.isprintable()


def status_of(
    outcome: str | None, consumed_at: datetime | None, expires_at: datetime, now: datetime
) -> AttemptStatus:
    """Consumed without an outcome is being completed for two minutes, then it has failed: its process has died."""
    if outcome is not None:
        return AttemptStatus(outcome)
    if consumed_at is not None:
        is_alive = now - consumed_at < COMPLETION_LIMIT
        return AttemptStatus.COMPLETING if is_alive else AttemptStatus.FAILED
    return AttemptStatus.WAITING if now < expires_at else AttemptStatus.EXPIRED
