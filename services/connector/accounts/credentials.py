"""Session tokens, CSRF tokens, API keys and what browsers are known by: 256 random bits each. The database holds hashes only.

A plain SHA-256 is right here: there is nothing to guess in 256 random bits.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from typing import Final

from services.connector.accounts.callers import CsrfTokenWrong

API_KEY_PREFIX: Final = "rk_"
_SECRET_BYTES: Final = 32


def new_session_token() -> str:
    return secrets.token_urlsafe(_SECRET_BYTES)


def new_browser_token() -> str:
    """What a browser is known by that has signed in before. It lets nobody in."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def new_api_key() -> str:
    """An API key: `rk_` and 43 random characters."""
    return API_KEY_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def hash_secret(secret: str) -> bytes:
    """What the database holds of a session token or an API key."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def csrf_token(session_token: str) -> str:
    """Derived from the session's token: our pages read it from an answer, a foreign page cannot."""
    digest = hmac.digest(session_token.encode("utf-8", "surrogatepass"), b"replyco csrf", "sha256")
    return urlsafe_b64encode(digest).decode().rstrip("=")


def check_csrf_token(session_token: str, sent: str) -> None:
    """Whether the token that was sent belongs to this session. Raises CsrfTokenWrong if not."""
    if not hmac.compare_digest(csrf_token(session_token).encode(), sent.encode("utf-8", "surrogatepass")):
        raise CsrfTokenWrong
