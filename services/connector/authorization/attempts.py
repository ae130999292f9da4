"""One try to authorize: its secrets and its states. Nothing is read or written here."""

import hashlib
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
from shared.tables import StartedBy

# Amazon itself wants the whole authorization done within ten minutes.
ATTEMPT_LIFETIME: Final = timedelta(minutes=10)
# Longer than code exchange and all probes may take together: an attempt without an outcome by then was cut off.
COMPLETION_LIMIT: Final = timedelta(minutes=2)
# A user who begins this many within an hour without finishing one is stuck, or a script.
MAX_UNFINISHED_ATTEMPTS: Final = 20
# The users of an account together: a script that signs in as many users gains nothing.
MAX_UNFINISHED_IN_ACCOUNT: Final = 100
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
    AMAZON_PAUSED = "amazon_paused"
    CLIENT_MISCONFIGURED = "client_misconfigured"
    INTERRUPTED = "interrupted"
    WRONG_ACCOUNT = "wrong_account"
    OTHER_SELLER = "other_seller"
    STORE_DIFFERS = "store_differs"
    LINK_SPENT = "link_spent"


class AttemptHint(StrEnum):
    """A hint that the page shows before people go on to Amazon."""

    SIGN_OUT_FIRST = "sign_out_first"


class CallbackProblem(StrEnum):
    """Why a callback leads to no attempt that may be shown in this browser."""

    ATTEMPT_UNKNOWN = "attempt_unknown"
    ATTEMPT_EXPIRED = "attempt_expired"
    OTHER_BROWSER = "other_browser"
    SIGN_IN_AGAIN = "sign_in_again"
    CODE_MISSING = "code_missing"
    PERMISSION_MISSING = "permission_missing"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An attempt of the caller's account that was begun in another browser, as far as it says where this one begins anew."""

    reconnects: UUID | None
    country: str
    by_link: bool


@dataclass(frozen=True, slots=True)
class Intent:
    """What an attempt is for. `seller_id_expected`: no other seller may come back with it. `link_hash`: by which link somebody was asked for it."""

    country: str
    seller_id_expected: str | None = None
    reconnects: UUID | None = None
    started_by: StartedBy = StartedBy.WEBSITE
    link_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class AttemptView:
    """An attempt as its page shows it. `consent_url` is None unless this browser began it and it is still waiting.

    `reconnects` is the integration that it is meant for.
    """

    id: UUID
    reconnects: UUID | None
    country: str
    region: Region
    status: AttemptStatus
    expires_at: datetime
    consent_url: str | None = field(repr=False)
    integration_id: UUID | None
    problem: AttemptProblem | None
    right_region: Region | None
    right_store: str | None
    hint: AttemptHint | None


@dataclass(frozen=True, slots=True)
class LoginParameters:
    """What Amazon's other shape brought: a seller whom we shall send back to Amazon. Unchecked."""

    amazon_callback_uri: str = field(repr=False)
    amazon_state: str = field(repr=False)
    seller_id: str
    version: str

    @property
    def are_well_formed(self) -> bool:
        return is_code(self.amazon_state) and is_seller_id(self.seller_id) and self.version in {"", "beta"}


@dataclass(frozen=True, slots=True)
class Question:
    """The question that a person answers before we send them on to Amazon. `country` is a guess, None without one."""

    seller_id: str
    account_name: str
    user_name: str
    user_email: str = field(repr=False)
    country: str | None
    is_known: bool


@dataclass(frozen=True, slots=True)
class Callback:
    """What Amazon's redirect brought. Unchecked."""

    state: str = field(repr=False)
    code: SecretStr
    seller_id: str


class UnknownCountry(Expected):
    """Amazon has no marketplace in this country, or none that can be connected."""

    code = "unknown_country"


class TooManyAttempts(Expected):
    """This user has begun too many attempts within the hour."""

    code = "too_many_attempts"


class AccountAttemptsFull(Expected):
    """The users of this account together have begun too many attempts within the hour."""

    code = "account_attempts_full"


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


def is_another_store(
    name: str | None, countries: frozenset[str], *, told_name: str | None, told: set[str]
) -> bool:
    """Whether Amazon's answer is about another store than the one connected before. The seller id alone came through the browser.

    Stores are renamed, and begin or cease to sell in a country. One that has a new name and other countries, some gone and
    some new, since Amazon's last answer, counts as another store.
    """
    is_renamed = name is not None and told_name is not None and name != told_name
    return is_renamed and not (countries <= told or told <= countries)
