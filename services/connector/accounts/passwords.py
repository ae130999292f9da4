"""Passwords: hashed with Argon2id, off the event loop, few at once. A password is never stored, logged or compared otherwise."""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import argon2

from shared.errors import Expected

MIN_PASSWORD: Final = 10
MAX_PASSWORD: Final = 256
# Each hashing takes 64 MB and some 50 ms of a core for itself.
_AT_ONCE: Final = 2
# A caller that finds this many waiting is refused: it would give up before its turn.
_MAX_WAITING: Final = 64


class TooManySignIns(Expected):
    """Sign-in is refused for a while, whatever the password; it does not tell whether the e-mail address exists."""

    code = "too_many_sign_ins"

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(retry_after_seconds=retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """Whether a password is right, and its new hash if the stored one was made with older parameters."""

    is_right: bool
    new_hash: str | None = None


class Passwords:
    """Hashes and verifies in threads of its own. One a process; `close` it."""

    def __init__(self, hasher: argon2.PasswordHasher | None = None) -> None:
        self._hasher = hasher or argon2.PasswordHasher()
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="passwords")
        self._waiting = 0
        # Verified when there is no such user, so that the time does not tell.
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """The hash of a password, as it is stored."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def verify(self, stored: str | None, password: str) -> PasswordCheck:
        """`stored` is None when there is no such user: the answer is no, after the same time. Raises TooManySignIns."""
        if self._waiting >= _MAX_WAITING:
            raise TooManySignIns(retry_after_seconds=10)
        self._waiting += 1
        try:
            check = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._verify, stored or self._nobody, password
            )
        finally:
            self._waiting -= 1
        return check if stored is not None else PasswordCheck(is_right=False)

    def _verify(self, stored: str, password: str) -> PasswordCheck:
        try:
            self._hasher.verify(stored, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return PasswordCheck(is_right=False)
        if self._hasher.check_needs_rehash(stored):
            return PasswordCheck(is_right=True, new_hash=self._hasher.hash(password))
        return PasswordCheck(is_right=True)
