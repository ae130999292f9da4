"""The files of the mail keys: the mail worker's may hold several private keys while one is being replaced, the relay's one public key.

A changed file is read again by running processes, so that a pair is replaced while mail comes: workers hold the new key before any relay seals to
it, and the old one until nothing is sealed to it that still has to be opened.
"""

import json
import os
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shared.crypto.key_ages import read_time, written_time
from shared.crypto.key_provider import (
    KeyFileUnusable,
    RereadFile,
    replace_private_file,
    write_private_file,
)
from shared.crypto.named_keys import NamedKeyFile, NamedKeys
from shared.crypto.raw_mail import MailPrivateKey, MailPublicKey, decoded_key, read_mail_key

_ID_BYTES: Final = 4


class MailPrivateKeyFile(NamedKeyFile[MailPrivateKey]):
    """Private keys by their ids: `{"current": id, "keys": {id: {"private": base64, "made": time}}}`. Files of before hold one key:
    `{"id": id, "private": base64}`. The current one is that whose public half the relays have, as far as `use` was run; what is sealed to a
    key that was removed never opens again.
    """

    def __init__(self, path: Path) -> None:
        """Read the file. Raises KeyFileUnusable."""
        super().__init__(path, _read, _written, use="mail is sealed to")

    @classmethod
    def load(cls, path: Path) -> Self:
        """The keys of a file. Raises KeyFileUnusable."""
        return cls(path)

    @property
    def keys(self) -> Mapping[str, MailPrivateKey]:
        """All keys that open, by their ids, the oldest first."""
        return self._file.content.keys

    def add(self, now: datetime) -> MailPrivateKey:
        """Add a new key, to which nothing is sealed yet. Raises KeyFileUnusable."""
        key = _new_key(now)
        self._add(key.key_id, key, use=False)
        return key


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
    key = _new_key(now or datetime.now(UTC))
    write_private_file(private_path, _written(NamedKeys(key.key_id, {key.key_id: key})))
    write_private_file(public_path, _written_public(key.public))


def write_public_key(path: Path, key: MailPublicKey) -> None:
    """Put a public key into the file that relays read, whole or not at all; the file keeps its owner and rights if it is there. Raises KeyFileUnusable."""
    if os.access(path, os.F_OK):
        replace_private_file(path, _written_public(key))
    else:
        write_private_file(path, _written_public(key))


def _new_key(now: datetime) -> MailPrivateKey:
    return MailPrivateKey(os.urandom(_ID_BYTES).hex(), X25519PrivateKey.generate(), now)


def _read(path: Path) -> NamedKeys[MailPrivateKey]:
    try:
        content = json.loads(path.read_bytes())
        if "keys" not in content:
            one = MailPrivateKey(*read_mail_key(path, "private", X25519PrivateKey.from_private_bytes))
            return NamedKeys(one.key_id, {one.key_id: one})
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
    return NamedKeys(current, keys)


def _written(content: NamedKeys[MailPrivateKey]) -> bytes:
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
