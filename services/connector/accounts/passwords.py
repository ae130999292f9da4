"""Passwords: hashed with Argon2id, off the event loop, few at once and by turns. A password is never stored, logged or compared
otherwise.
"""

import asyncio
import secrets
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import argon2
from argon2.low_level import ARGON2_VERSION

from services.connector.accounts.password_policy import normalise_password
from services.connector.accounts.sign_in_limits import (
    MOST_WAITING,
    RETRY_SECONDS,
    SignInOrigin,
    TooManySignIns,
)
from services.connector.accounts.turns import FairTurns, LineFull

# Each hashing takes 64 MB and some 50 ms of a core for itself.
_AT_ONCE: Final = 2


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """Whether a password is right, and its new hash if the stored one was made with older parameters."""

    is_right: bool
    new_hash: str | None = None


def hash_of_nobody(hasher: argon2.PasswordHasher) -> str:
    """What a password never fits, after as long as one of the hasher's own takes. It is not computed, which would hold up each start."""

    def coded(length: int) -> str:
        return b64encode(secrets.token_bytes(length)).rstrip(b"=").decode()

    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = coded(hasher.salt_len), coded(hasher.hash_len)
    return f"$argon2id$v={ARGON2_VERSION}${costs}${salt}${digest}"


class Passwords:
    """Hashes and verifies in threads of its own. One a process; `close` it."""

    def __init__(self, hasher: argon2.PasswordHasher | None = None) -> None:
        self._hasher = hasher or argon2.PasswordHasher()
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="passwords")
        self._turns = FairTurns(at_once=_AT_ONCE, most_waiting=MOST_WAITING)
        # Verified when there is no such user, so that the time does not tell.
        self._nobody = hash_of_nobody(self._hasher)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """The hash of a password, as it is stored."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._hasher.hash, normalise_password(password)
        )

    async def verify(self, stored: str | None, password: str, origin: SignInOrigin) -> PasswordCheck:
        """`stored` is None when there is no such user: the answer is no, after the same time. Raises TooManySignIns."""
        is_known = origin.browser_id is not None
        try:
            async with self._turns.turn(origin.lane, is_known=is_known):
                check = await asyncio.get_running_loop().run_in_executor(
                    self._threads, self._verify, stored or self._nobody, password
                )
        except LineFull:
            raise TooManySignIns(retry_after_seconds=RETRY_SECONDS) from None
        return check if stored is not None else PasswordCheck(is_right=False)

    def _verify(self, stored: str, password: str) -> PasswordCheck:
        normalised = normalise_password(password)
        if self._fits(stored, normalised):
            is_old = self._hasher.check_needs_rehash(stored)
            return PasswordCheck(is_right=True, new_hash=self._hasher.hash(normalised) if is_old else None)
        # Hashed as it was typed, before passwords were brought into one form.
        if normalised != password and self._fits(stored, password):
            return PasswordCheck(is_right=True, new_hash=self._hasher.hash(normalised))
        return PasswordCheck(is_right=False)

    def _fits(self, stored: str, password: str) -> bool:
        try:
            self._hasher.verify(stored, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
        return True
