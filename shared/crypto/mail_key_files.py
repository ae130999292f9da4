"""The files of the mail keys: the mail worker's may hold several private keys while one is being replaced, the relay's one public key.

A changed file is read again by running processes, so that a pair is replaced while mail comes: workers hold the new key before any relay seals to
it, and the old one until nothing is sealed to it that still has to be opened.
"""

import json
import os
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shared.crypto.key_ages import read_time, written_time
from shared.crypto.key_provider import (
    KeyFileUnusable,
    KeyNotChangeable,
    RereadFile,
    replace_private_file,
    write_private_file,
)
from shared.crypto.raw_mail import MailPrivateKey, MailPublicKey, decoded_key, read_mail_key

_ID_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class _MailKeys:
    """`current`: the key whose public half the relays have, as far as `use` was run."""

    current: str
    keys: Mapping[str, MailPrivateKey]


class MailPrivateKeyFile:
    """Private keys from a file that only its owner may read: `{"current": id, "keys": {id: {"private": base64, "made": time}}}`. Files of before
    hold one key: `{"id": id, "private": base64}`.
    """

    def __init__(self, path: Path) -> None:
        """Read the file. Raises KeyFileUnusable."""
        self._file = RereadFile(path, _read)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The keys of a file. Raises KeyFileUnusable."""
        return cls(path)

    @property
    def current(self) -> MailPrivateKey:
        """The key whose public half the relays have."""
        content = self._file.content
        return content.keys[content.current]

    @property
    def keys(self) -> Mapping[str, MailPrivateKey]:
        """All keys that open, by their ids, the oldest first."""
        return self._file.content.keys

    def key(self, key_id: str) -> MailPrivateKey:
        """Raises KeyNotChangeable if there is none with that id."""
        keys = self.keys
        if key_id not in keys:
            raise KeyNotChangeable(f"{self._file.path} has no key {key_id}, only {', '.join(keys)}.")
        return keys[key_id]

    def add(self, now: datetime) -> MailPrivateKey:
        """Add a new key, to which nothing is sealed yet. Raises KeyFileUnusable."""
        content = self._file.content
        key = MailPrivateKey(os.urandom(_ID_BYTES).hex(), X25519PrivateKey.generate(), now)
        self._replace(_MailKeys(content.current, {**content.keys, key.key_id: key}))
        return key

    def use(self, key_id: str) -> None:
        """Note that relays have this key's public half. Raises KeyFileUnusable, KeyNotChangeable."""
        self.key(key_id)
        self._replace(replace(self._file.content, current=key_id))

    def remove(self, key_id: str) -> None:
        """Forget a key: what is sealed to it never opens again. Raises KeyFileUnusable, KeyNotChangeable."""
        self.key(key_id)
        content = self._file.content
        if key_id == content.current:
            raise KeyNotChangeable(f"{key_id} is the key that mail is sealed to at present. Rotate first.")
        rest = {known: key for known, key in content.keys.items() if known != key_id}
        self._replace(_MailKeys(content.current, rest))

    def _replace(self, content: _MailKeys) -> None:
        replace_private_file(self._file.path, _written(content))


class MailPublicKeyFile:
    """The relay's file: `{"id": id, "public": base64, "made": time}`."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises KeyFileUnusable."""
        self._file = RereadFile(path, MailPublicKey.load)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The key of a file. Raises KeyFileUnusable."""
        return cls(path)

    @property
    def current(self) -> MailPublicKey:
        """The key that mail is sealed to."""
        return self._file.content


def create_mail_key_pair(private_path: Path, public_path: Path, now: datetime | None = None) -> None:
    """Write a new key pair into two files; fails rather than overwrite one. Raises KeyFileUnusable."""
    key = MailPrivateKey(os.urandom(_ID_BYTES).hex(), X25519PrivateKey.generate(), now or datetime.now(UTC))
    write_private_file(private_path, _written(_MailKeys(key.key_id, {key.key_id: key})))
    write_private_file(public_path, _written_public(key.public))


def write_public_key(path: Path, key: MailPublicKey) -> None:
    """Put a public key into the file that relays read, whole or not at all; the file keeps its owner and rights if it is there. Raises KeyFileUnusable."""
    if os.access(path, os.F_OK):
        replace_private_file(path, _written_public(key))
    else:
        write_private_file(path, _written_public(key))


def _read(path: Path) -> _MailKeys:
    try:
        content = json.loads(path.read_bytes())
        if "keys" not in content:
            one = MailPrivateKey(*read_mail_key(path, "private", X25519PrivateKey.from_private_bytes))
            return _MailKeys(one.key_id, {one.key_id: one})
        current = str(content["current"])
        keys = {
            str(key_id): MailPrivateKey(
                str(key_id),
                X25519PrivateKey.from_private_bytes(decoded_key(each["private"])),
                read_time(each.get("made")),
            )
            for key_id, each in content["keys"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeyFileUnusable(path=str(path)) from error
    if current not in keys:
        raise KeyFileUnusable(path=str(path))
    return _MailKeys(current, keys)


def _written(content: _MailKeys) -> bytes:
    keys = {
        key_id: {"private": b64encode(key.key.private_bytes_raw()).decode(), **_made(key.made_at)}
        for key_id, key in content.keys.items()
    }
    return json.dumps({"current": content.current, "keys": keys}).encode()


def _written_public(key: MailPublicKey) -> bytes:
    public = b64encode(key.key.public_bytes_raw()).decode()
    return json.dumps({"id": key.key_id, "public": public, **_made(key.made_at)}).encode()


def _made(at: datetime | None) -> dict[str, str]:
    return {} if at is None else {"made": written_time(at)}
