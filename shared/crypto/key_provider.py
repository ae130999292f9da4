"""Key-encryption keys: they wrap the data keys of the accounts and are themselves never in the database.

`KeyProvider` is asynchronous because a key management service is reached over a network; the key file is the form for
development and for one machine.
"""

import json
import os
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.crypto.envelope import KEY_BYTES, SealBroken
from shared.errors import Expected

_NONCE_BYTES: Final = 12


class KeyFileUnusable(Expected):
    """A key file is missing, not readable or not of the expected form."""

    code = "key_file_unusable"


class KeyProvider(Protocol):
    """Wraps and unwraps data keys. `context` binds a wrapped key to its owner: unwrapping with another one fails."""

    async def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """The id of the key-encryption key that was used, and the wrapped key."""
        ...

    async def unwrap(self, wrapping_key_id: str, wrapped: bytes, context: bytes) -> bytes:
        """The data key again. Raises SealBroken."""
        ...


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Key-encryption keys from a file that only its owner may read: `{"current": id, "keys": {id: base64}}`."""

    current_id: str
    keys: dict[str, bytes] = field(repr=False)

    @classmethod
    def create(cls, path: Path) -> None:
        """Write a file with one new key. Never overwrites one: that would lose every sealed value."""
        content = {"current": "k1", "keys": {"k1": b64encode(os.urandom(KEY_BYTES)).decode()}}
        write_private_file(path, json.dumps(content).encode())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises KeyFileUnusable."""
        try:
            content = json.loads(path.read_bytes())
            keys = {str(key_id): b64decode(key, validate=True) for key_id, key in content["keys"].items()}
            current_id = str(content["current"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise KeyFileUnusable(path=str(path)) from error
        if current_id not in keys or any(len(key) != KEY_BYTES for key in keys.values()):
            raise KeyFileUnusable(path=str(path))
        return cls(current_id, keys)

    async def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        nonce = os.urandom(_NONCE_BYTES)
        return self.current_id, nonce + AESGCM(self.keys[self.current_id]).encrypt(nonce, key, context)

    async def unwrap(self, wrapping_key_id: str, wrapped: bytes, context: bytes) -> bytes:
        if wrapping_key_id not in self.keys:
            raise SealBroken(wrapping_key_id=wrapping_key_id)
        try:
            return AESGCM(self.keys[wrapping_key_id]).decrypt(
                wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], context
            )
        except InvalidTag as error:
            raise SealBroken(wrapping_key_id=wrapping_key_id) from error


def write_private_file(path: Path, content: bytes) -> None:
    """Create a file that only its owner can read; fails if there is one already. Raises KeyFileUnusable."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise KeyFileUnusable(path=str(path)) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
