"""Codes of authenticator apps: TOTP with SHA-1, six digits and steps of 30 seconds, which every app understands (RFC 6238, RFC 4226)."""

import hmac
import os
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

DIGITS: Final = 6
STEP_SECONDS: Final = 30
# RFC 4226 §4 R6 recommends 160 bits.
SECRET_BYTES: Final = 20
# RFC 6238 §5.2: a clock that is off by one step, or a code that was typed slowly.
_DRIFT: Final = 1


def new_secret() -> bytes:
    return os.urandom(SECRET_BYTES)


def code_at(secret: bytes, at: datetime) -> str:
    """The code that an app with this secret shows at this time."""
    return _totp(secret).generate(int(at.timestamp())).decode()


def matching_step(secret: bytes, code: str, now: datetime) -> int | None:
    """The step whose code this is, if it is this one or one beside it. Whoever asks takes each step once (RFC 6238 §5.2)."""
    sent = code.encode("utf-8", "surrogatepass")
    totp, current = _totp(secret), int(now.timestamp()) // STEP_SECONDS
    found = None
    for step in range(max(0, current - _DRIFT), current + _DRIFT + 1):
        if hmac.compare_digest(totp.generate(step * STEP_SECONDS), sent):
            found = step
    return found


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, DIGITS, SHA1(), STEP_SECONDS)  # noqa: S303 - RFC 6238 §1.2: HMAC with SHA-1 is what apps know
