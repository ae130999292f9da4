"""Key-encryption keys: they wrap the data keys of the accounts and are themselves never in the database.

`KeyProvider` is asynchronous because a key management service is reached over a network (`aws_kms`); `key_source` opens what the settings name.
"""

import json
import math
import os
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Generic, Protocol, Self, TypeVar

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.crypto.envelope import KEY_BYTES, SealBroken
from shared.crypto.key_ages import read_time, written_time
from shared.errors import Expected

log = structlog.get_logger()

_NONCE_BYTES: Final = 12
# A file that cannot be read may be all right: it is its folder's rights, or this process has too many files open.
_TRY_AGAIN_SECONDS: Final = 10.0
# Stands in a key file in place of the current key's id: what AWS KMS holds wraps.
KMS: Final = "kms"


class KeyFileUnusable(Expected):
    """A key file is missing, not readable or not of the expected form. `fields["made_by"]` is the command that makes one, if not `keys create`
    of the connector; `fields["needs"]`, the setting without which a file cannot be used that is whole. With `fields["is_unwritten"]`
    it could not be written, and nothing is said of what it holds.
    """

    code = "key_file_unusable"


class KeyServiceUnavailable(Expected):
    """The key management service did not answer, or refused us. `fields["reason"]`: its code, or the kind of failure."""

    code = "key_service_unavailable"


class KeyNotChangeable(Exception):
    """A key file cannot be changed in this way; the text says why, and what to do."""


class KeyProvider(Protocol):
    """Wraps and unwraps data keys. `context` binds a wrapped key to its owner: unwrapping with another one fails."""

    async def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """Wrap a data key: the id of the key-encryption key that was used, and the wrapped key. Raises KeyServiceUnavailable."""
        ...

    async def unwrap(self, wrapping_key_id: str, wrapped: bytes, context: bytes) -> bytes:
        """The data key that was wrapped. Raises SealBroken, KeyServiceUnavailable."""
        ...

    def knows(self, wrapping_key_id: str) -> bool:
        """Whether a key was not taken away by us. Asks no other host."""
        ...


class ManagedKeys(KeyProvider, Protocol):
    """What an operator's commands know of the keys beside: a key file, or whatever the settings name (`KeySource`)."""

    @property
    def current_id(self) -> str:
        """The id of the key that new values are wrapped with."""
        ...

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of all keys that are named here, the oldest first."""
        ...

    def made_at(self, key_id: str) -> datetime | None:
        """When a key was made; None if nothing here says it."""
        ...

    def is_in_kms(self, key_id: str) -> bool:
        """Whether a key is kept by a service, which says there how old it is."""
        ...

    def remove(self, key_id: str) -> None:
        """Forget a key. Raises KeyFileUnusable, KeyNotChangeable."""
        ...


def require_known(provider: KeyProvider, wrapping_key_id: str) -> None:
    """To be called in the transaction that stores what this key wraps, after the row is written: retiring a key waits for the end
    of that transaction or comes before it. Raises SealBroken if the key was retired meanwhile.
    """
    if not provider.knows(wrapping_key_id):
        raise SealBroken(wrapping_key_id=wrapping_key_id)


_Content = TypeVar("_Content")


class RereadFile(Generic[_Content]):
    """What a key file holds. A changed file is read again before the next use, so that keys are rotated while processes run; if it has
    become unusable, what was read before stays in use, and it is tried again after a while: the reason may pass without a change of it.
    """

    def __init__(
        self, path: Path, read: Callable[[Path], _Content], *, try_again_seconds: float = _TRY_AGAIN_SECONDS
    ) -> None:
        """Read the file. Raises KeyFileUnusable, as `read` does."""
        self.path = path
        self._read = read
        self._try_again_seconds = try_again_seconds
        self._try_again_at = math.inf
        self._stamp_read = _stamp(path)
        self._content = read(path)

    @property
    def content(self) -> _Content:
        stamp = _stamp(self.path)
        is_changed = stamp != self._stamp_read
        if is_changed or time.monotonic() >= self._try_again_at:
            self._stamp_read, self._try_again_at = stamp, math.inf
            try:
                self._content = self._read(self.path)
                log.info("key_file_read_again", path=str(self.path))
            except KeyFileUnusable as error:
                self._try_again_at = time.monotonic() + self._try_again_seconds
                if is_changed:
                    log.error("key_file_unusable", path=str(self.path), exc_info=error)  # noqa: TRY400 - no bug of ours
        return self._content


@dataclass(frozen=True, slots=True)
class _Keys:
    current_id: str
    keys: dict[str, bytes] = field(repr=False)
    # A file of an older version does not say it.
    made: dict[str, datetime]


class KeyFile:
    """Key-encryption keys from a file that only its owner may read: `{"current": id, "keys": {id: base64}, "made": {id: time}}`."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises KeyFileUnusable."""
        self._file = RereadFile(path, _read)

    @classmethod
    def create(cls, path: Path, now: datetime | None = None) -> None:
        """Write a file with one new key. Never overwrites one: that would lose every sealed value."""
        made = {"k1": now or datetime.now(UTC)}
        write_private_file(path, _written(_Keys("k1", {"k1": os.urandom(KEY_BYTES)}, made)))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The keys of a file. Raises KeyFileUnusable."""
        return cls(path)

    @property
    def current_id(self) -> str:
        """The id of the key that new values are wrapped with."""
        return self._fresh().current_id

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of all keys that unwrap, the oldest first."""
        return tuple(self._fresh().keys)

    def made_at(self, key_id: str) -> datetime | None:
        """When a key was made; None if the file does not say."""
        return self._fresh().made.get(key_id)

    def is_in_kms(self, key_id: str) -> bool:
        """See `ManagedKeys`."""
        return False

    def add(self, *, use: bool, now: datetime | None = None) -> str:
        """Add a new key, wrap with it from now on if `use`, and return its id. Raises KeyFileUnusable."""
        content = self._fresh()
        numbers = [int(key_id[1:]) for key_id in content.keys if key_id[1:].isdecimal()]
        key_id = f"k{max(numbers, default=0) + 1}"
        keys = content.keys | {key_id: os.urandom(KEY_BYTES)}
        made = content.made | {key_id: now or datetime.now(UTC)}
        self._replace(_Keys(key_id if use else content.current_id, keys, made))
        return key_id

    def use(self, key_id: str) -> None:
        """Wrap with this key from now on. Raises KeyFileUnusable, KeyNotChangeable."""
        content = self._fresh()
        self._require(key_id)
        self._replace(_Keys(key_id, content.keys, content.made))

    def use_kms(self) -> None:
        """Wrap with the key of KMS from now on. Raises KeyFileUnusable."""
        content = self._fresh()
        self._replace(_Keys(KMS, content.keys, content.made))

    def remove(self, key_id: str) -> None:
        """Forget a key: what it wrapped never opens again. Raises KeyFileUnusable, KeyNotChangeable."""
        content = self._fresh()
        self._require(key_id)
        if key_id == content.current_id:
            raise KeyNotChangeable(f"{key_id} is the key that wraps at present. Rotate first.")
        rest = {known: key for known, key in content.keys.items() if known != key_id}
        self._replace(_Keys(content.current_id, rest, content.made))

    async def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        content = self._fresh()
        nonce = os.urandom(_NONCE_BYTES)
        wrapped = nonce + AESGCM(content.keys[content.current_id]).encrypt(nonce, key, context)
        return content.current_id, wrapped

    async def unwrap(self, wrapping_key_id: str, wrapped: bytes, context: bytes) -> bytes:
        content = self._fresh()
        if wrapping_key_id not in content.keys:
            raise SealBroken(wrapping_key_id=wrapping_key_id)
        try:
            return AESGCM(content.keys[wrapping_key_id]).decrypt(
                wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], context
            )
        except InvalidTag as error:
            raise SealBroken(wrapping_key_id=wrapping_key_id) from error

    def knows(self, wrapping_key_id: str) -> bool:
        return wrapping_key_id in self._fresh().keys

    def _fresh(self) -> _Keys:
        return self._file.content

    def _require(self, key_id: str) -> None:
        if key_id not in self.key_ids:
            raise KeyNotChangeable(f"{self._file.path} has no key {key_id}, only {', '.join(self.key_ids)}.")

    def _replace(self, content: _Keys) -> None:
        replace_private_file(self._file.path, _written(content))


def _stamp(path: Path) -> tuple[int, int, int, int] | None:
    """Values that change whenever the file is replaced or written, or its owner or rights are; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _read(path: Path) -> _Keys:
    try:
        content = json.loads(path.read_bytes())
        keys = {str(key_id): b64decode(key, validate=True) for key_id, key in content["keys"].items()}
        current_id = str(content["current"])
        made = {str(key_id): read_time(at) for key_id, at in content.get("made", {}).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeyFileUnusable(path=str(path)) from error
    if (current_id != KMS and current_id not in keys) or any(len(key) != KEY_BYTES for key in keys.values()):
        raise KeyFileUnusable(path=str(path))
    return _Keys(current_id, keys, {key_id: at for key_id, at in made.items() if at is not None})


def _written(content: _Keys) -> bytes:
    keys = {key_id: b64encode(key).decode() for key_id, key in content.keys.items()}
    made = {key_id: written_time(at) for key_id, at in content.made.items() if key_id in keys}
    return json.dumps({"current": content.current_id, "keys": keys, "made": made}).encode()


def replace_private_file(path: Path, content: bytes) -> None:
    """Put new content in place of a file's, whole or not at all, with the same owner and rights. Raises KeyFileUnusable."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        status = path.stat()
        _write_new(new, content)
        try:
            new.chmod(status.st_mode & 0o777)
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                os.chown(new, status.st_uid, status.st_gid)
            new.replace(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise KeyFileUnusable(path=str(path), is_unwritten=1) from error


def write_private_file(path: Path, content: bytes) -> None:
    """Create a file that only its owner can read; fails if there is one already. Raises KeyFileUnusable."""
    try:
        _write_new(path, content)
    except OSError as error:
        raise KeyFileUnusable(path=str(path), is_unwritten=1) from error


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        # Half a key is of no use, and would be in the way of the next attempt.
        path.unlink(missing_ok=True)
        raise
