"""Raw mail, sealed by a process that can open nothing.

The relay makes a fresh content key for each mail and seals the mail with it (AES-256-GCM). The content keys of mails that are
committed together are sealed with a key of that moment (AES-256-GCM), which is sealed to the mail worker's public key with HPKE
(RFC 9180, X25519, HKDF-SHA256, AES-256-GCM) and kept by nobody: X25519 is the dearest of what a mail costs. The worker opens the
content key once and re-seals it under the account's data key; the mail itself is stored once and never rewritten.

Form of a content key: key of the moment, by HPKE (80 bytes) | nonce (12 bytes) | content key with tag (48 bytes). In the form of earlier
versions HPKE sealed the content key itself (80 bytes).

Form of the mail: version (1 byte) | nonce (12 bytes) | ciphertext with tag. Version 1 belongs to one row and is bound to it: account,
row, column. Version 2 is shared by the copies of several recipients and bound to the blob that they share. Each
copy has the content key sealed to the worker for itself, bound to its own row.
"""

import json
import os
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Self, TypeVar
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from shared.crypto.envelope import KEY_BYTES, Place, SealBroken, Sealed, place_bytes
from shared.crypto.key_ages import read_time
from shared.crypto.key_provider import KeyFileUnusable

_VERSION: Final = 1
_VERSION_SHARED: Final = 2
_NONCE_BYTES: Final = 12
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
# A key of 32 bytes by HPKE: the sender's public key of 32, and the tag of 16.
_SEALED_KEY_BYTES: Final = 32 + KEY_BYTES + 16
_TOGETHER: Final = b"replyco raw mails\0"


@dataclass(frozen=True, slots=True)
class MailPublicKey:
    """The relay's half of the mail key: it seals content keys and opens nothing."""

    key_id: str
    key: X25519PublicKey = field(repr=False)
    # A file of an older version does not say it.
    made_at: datetime | None = None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises KeyFileUnusable."""
        return cls(*read_mail_key(path, "public", X25519PublicKey.from_public_bytes))


@dataclass(frozen=True, slots=True)
class MailPrivateKey:
    """The mail worker's half of the mail key, which nobody else holds: it opens content keys."""

    key_id: str
    key: X25519PrivateKey = field(repr=False)
    made_at: datetime | None = None

    @property
    def public(self) -> MailPublicKey:
        """The relay's half."""
        return MailPublicKey(self.key_id, self.key.public_key(), self.made_at)


@dataclass(frozen=True, slots=True)
class ContentKey:
    """The key of one raw mail and its envelope."""

    account_id: UUID
    accepted_mail_id: UUID
    key: bytes = field(repr=False)

    @classmethod
    def new(cls, account_id: UUID, accepted_mail_id: UUID) -> Self:
        return cls(account_id, accepted_mail_id, os.urandom(KEY_BYTES))

    def of_copy(self, account_id: UUID, accepted_mail_id: UUID) -> Self:
        """The same content key, bound to another recipient's copy of the mail."""
        return replace(self, account_id=account_id, accepted_mail_id=accepted_mail_id)

    @classmethod
    def open_with(
        cls, holder: MailPrivateKey, account_id: UUID, accepted_mail_id: UUID, sealed: bytes
    ) -> Self:
        """Open a content key that was sealed for this account and mail. Raises SealBroken."""
        try:
            key = _opened(holder, _info(account_id, accepted_mail_id), sealed)
        except (InvalidTag, ValueError) as error:
            raise SealBroken(table="accepted_mail", column="content_key") from error
        return cls(account_id, accepted_mail_id, key)

    def seal(self, column: str, plaintext: bytes) -> Sealed:
        """Seal a column of the accepted mail: `raw` or `envelope`."""
        return self._seal(_VERSION, plaintext, self._place(column))

    def open(self, column: str, sealed: Sealed) -> bytes:
        """Open a column that `seal` sealed. Raises SealBroken."""
        return self._open(_VERSION, column, sealed, self._place(column))

    def seal_shared(self, blob_id: UUID, mail: bytes) -> Sealed:
        """Seal a mail that several recipients' copies share, for the blob that it is stored in."""
        return self._seal(_VERSION_SHARED, mail, _shared_place(blob_id))

    def open_mail(self, sealed: Sealed, blob_id: UUID | None) -> bytes:
        """Open a mail that was stored in its row, or in this blob if one is given. Raises SealBroken."""
        if blob_id is not None and sealed.ciphertext[:1] == bytes([_VERSION_SHARED]):
            return self._open(_VERSION_SHARED, "raw", sealed, _shared_place(blob_id))
        return self.open("raw", sealed)

    def _seal(self, version: int, plaintext: bytes, place: bytes) -> Sealed:
        nonce = os.urandom(_NONCE_BYTES)
        return Sealed(bytes([version]) + nonce + AESGCM(self.key).encrypt(nonce, plaintext, place))

    def _open(self, version: int, column: str, sealed: Sealed, place: bytes) -> bytes:
        blob = sealed.ciphertext
        try:
            if blob[:1] != bytes([version]):
                raise SealBroken(table="accepted_mail", column=column)
            return AESGCM(self.key).decrypt(blob[1 : 1 + _NONCE_BYTES], blob[1 + _NONCE_BYTES :], place)
        except (InvalidTag, ValueError) as error:
            raise SealBroken(table="accepted_mail", column=column) from error

    def _place(self, column: str) -> bytes:
        return place_bytes(self.account_id, Place("accepted_mail", column, self.accepted_mail_id))


def seal_together(keys: Sequence[ContentKey], recipient: MailPublicKey) -> list[bytes]:
    """The content keys of mails that are committed together, for the holder of the private key only, each bound to its account and mail."""
    key_of_the_moment = os.urandom(KEY_BYTES)
    outer = _SUITE.encrypt(key_of_the_moment, recipient.key, _TOGETHER)
    together = AESGCM(key_of_the_moment)
    sealed = []
    for key in keys:
        nonce = os.urandom(_NONCE_BYTES)
        info = _info(key.account_id, key.accepted_mail_id)
        sealed.append(outer + nonce + together.encrypt(nonce, key.key, info))
    return sealed


def _opened(holder: MailPrivateKey, info: bytes, sealed: bytes) -> bytes:
    outer, inner = sealed[:_SEALED_KEY_BYTES], sealed[_SEALED_KEY_BYTES:]
    if not inner:
        # As an earlier version sealed it.
        return _SUITE.decrypt(outer, holder.key, info)
    together = AESGCM(_SUITE.decrypt(outer, holder.key, _TOGETHER))
    return together.decrypt(inner[:_NONCE_BYTES], inner[_NONCE_BYTES:], info)


def _info(account_id: UUID, accepted_mail_id: UUID) -> bytes:
    return b"replyco raw mail\0" + place_bytes(
        account_id, Place("accepted_mail", "content_key", accepted_mail_id)
    )


def _shared_place(blob_id: UUID) -> bytes:
    # Shorter than the bytes of any row's place, so it equals none of them.
    return b"replyco shared mail\0" + blob_id.bytes


_Half = TypeVar("_Half", X25519PublicKey, X25519PrivateKey)


def read_mail_key(
    path: Path, kind: str, half: Callable[[bytes], _Half]
) -> tuple[str, _Half, datetime | None]:
    """The one key of a file, with its id and when it was made. Raises KeyFileUnusable."""
    try:
        content = json.loads(path.read_bytes())
        return str(content["id"]), half(decoded_key(content[kind])), read_time(content.get("made"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeyFileUnusable(path=str(path)) from error


def decoded_key(text: str) -> bytes:
    """A key as files hold it. Raises ValueError, TypeError."""
    raw = b64decode(text, validate=True)
    if len(raw) != KEY_BYTES:
        raise ValueError("no key of 256 bits")
    return raw
