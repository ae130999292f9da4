"""One try to sign in at a provider: its secrets, and the address that it leads to. Nothing is read or written here.

The state is good once, in one browser. The code is redeemed with a verifier that has never left us (RFC 7636), and the ID token has to
repeat a nonce that was made for this attempt: a code or a token of another attempt fits neither.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit
from uuid import UUID

from authlib.oauth2.rfc7636 import create_s256_code_challenge

LIFETIME: Final = timedelta(minutes=10)
# RFC 7636 §4.1: 43 characters at least.
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_MAX_CODE: Final = 4096
CALLBACK_PATH: Final = "/single-sign-on/callback"
CONFIRMED_PATH: Final = "/sign-in/confirmed"
SIGN_IN_PATH: Final = "/sign-in/company"


@dataclass(frozen=True, slots=True)
class AttemptSecrets:
    """256 random bits each. Of `state` and `nonce` only hashes are kept."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)

    @classmethod
    def new(cls) -> "AttemptSecrets":
        return cls(new_token(), new_token(), new_token())


@dataclass(frozen=True, slots=True)
class Callback:
    """What came back through the browser. Unchecked; empty where there was nothing, or something twice."""

    state: str = field(repr=False)
    code: str = field(repr=False)
    issuer: str | None
    error: str


def new_token() -> str:
    return secrets.token_urlsafe(32)


def is_token(value: str | None) -> bool:
    """Whether this can be a state or a browser's token of ours at all."""
    return value is not None and _TOKEN.fullmatch(value) is not None


def hash_of(token: str) -> bytes:
    """What is stored of a state, a nonce and a browser's token. Plain SHA-256 is enough for 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def is_hash_of(token: str, known: bytes) -> bool:
    """Compared in a time that tells nothing."""
    return hmac.compare_digest(hash_of(token), known)


def is_code(value: str) -> bool:
    return 0 < len(value) <= _MAX_CODE and value.isascii() and value.isprintable()


def redirect_uri(public_url: str, account_id: UUID) -> str:
    """Each account has one of its own: a provider's answer that comes to another's belongs to no attempt there (RFC 9700 §4.4)."""
    return f"{public_url}{CALLBACK_PATH}/{account_id}"


def sign_in_url(public_url: str, account_id: UUID) -> str:
    """The account's own sign-in page, for whoever's mail domain says nothing of their account."""
    return f"{public_url}{SIGN_IN_PATH}/{account_id}"


def authorization_url(
    endpoint: str,
    attempt: AttemptSecrets,
    *,
    client_id: str,
    redirect: str,
    login_hint: str | None,
    is_fresh: bool,
) -> str:
    """Where the browser goes. `is_fresh`: the provider has to ask who is there, whoever is signed in there (OpenID Connect Core §3.1.2.1)."""
    question = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect,
        "scope": "openid email profile",
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": create_s256_code_challenge(attempt.verifier),  # type: ignore[no-untyped-call]
        "code_challenge_method": "S256",
    }
    if login_hint is not None:
        question["login_hint"] = login_hint
    if is_fresh:
        question |= {"prompt": "login", "max_age": "0"}
    parts = urlsplit(endpoint)
    query = "&".join(each for each in (parts.query, urlencode(question)) if each)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
