"""Sealed columns: AES-256-GCM under an account's data key.

A ciphertext names its key and is bound to its place: table, column, row and account are the associated data, so a value
that was moved to another row, column or account does not open. Opening is always an explicit call.

Form: version (1 byte) | id of the data key (16 bytes) | nonce (12 bytes) | ciphertext with tag.
"""

import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from typing_extensions import override

from shared.errors import Expected

_VERSION: Final = 1
_NONCE_BYTES: Final = 12
_HEADER_BYTES: Final = 1 + 16 + _NONCE_BYTES
KEY_BYTES: Final = 32


class SealBroken(Expected):
    """A sealed value does not open: it was altered, moved from another row, or sealed with a key that we do not have."""

    code = "seal_broken"


class Place(NamedTuple):
    """The table, column and row that a sealed value belongs to. In any other place it does not open."""

    table: str
    column: str
    row_id: UUID


@dataclass(frozen=True, slots=True, repr=False)
class Sealed:
    """A sealed value as it is stored. Its `repr` shows nothing but its length."""

    ciphertext: bytes

    @override
    def __repr__(self) -> str:
        return f"<sealed, {len(self.ciphertext)} bytes>"


def place_bytes(account_id: UUID, place: Place) -> bytes:
    """The associated data for a place. It is unambiguous, because no name of a table or column holds a NUL.

    `AccountKeys.open_column` puts the same together from parts that are made once.
    """
    return b"\0".join((account_id.bytes, place.row_id.bytes, place.table.encode(), place.column.encode()))


@dataclass(frozen=True, slots=True)
class AccountKeys:
    """An account's opened data keys. Seals with the current one, opens with any, hashes with a key of its own.

    The look-up key is never rotated with the data keys: stored hashes stay comparable.
    """

    account_id: UUID
    current_id: UUID
    data_keys: dict[UUID, bytes] = field(repr=False)
    lookup_key: bytes = field(repr=False)
    # By the bytes that name the key in a ciphertext. Making one takes longer than to open a name with it, and a list opens hundreds.
    _ciphers: dict[bytes, AESGCM] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ciphers = {key_id.bytes: AESGCM(key) for key_id, key in self.data_keys.items()}
        object.__setattr__(self, "_ciphers", ciphers)

    def seal(self, place: Place, plaintext: bytes) -> Sealed:
        """Seal a value for the place where it will be stored."""
        nonce = os.urandom(_NONCE_BYTES)
        cipher = self._ciphers[self.current_id.bytes]
        sealed = cipher.encrypt(nonce, plaintext, place_bytes(self.account_id, place))
        return Sealed(bytes([_VERSION]) + self.current_id.bytes + nonce + sealed)

    def open(self, place: Place, sealed: Sealed) -> bytes:
        """The value that was sealed for this place. Raises SealBroken."""
        table, column, row_id = place
        return self.open_column(table, column)(row_id, sealed)

    def open_column(self, table: str, column: str) -> Callable[[UUID, Sealed], bytes]:
        """`open` for the values of one column, by the ids of their rows: for a page of rows, each of which is opened anew."""
        ciphers = self._ciphers
        before, after = self.account_id.bytes + b"\0", b"\0%b\0%b" % (table.encode(), column.encode())

        def opened(row_id: UUID, sealed: Sealed) -> bytes:
            blob = sealed.ciphertext
            cipher = ciphers.get(blob[1:17])
            if cipher is None or blob[0] != _VERSION or len(blob) < _HEADER_BYTES:
                raise SealBroken(table=table, column=column)
            try:
                return cipher.decrypt(
                    blob[17:_HEADER_BYTES], blob[_HEADER_BYTES:], before + row_id.bytes + after
                )
            except InvalidTag as error:
                raise SealBroken(table=table, column=column) from error

        return opened

    def seal_text(self, place: Place, text: str) -> Sealed:
        """`seal` for text."""
        return self.seal(place, text.encode())

    def open_text(self, place: Place, sealed: Sealed) -> str:
        """`open` for text."""
        return self.open(place, sealed).decode()

    def lookup_hash(self, purpose: str, value: str | bytes) -> bytes:
        """A keyed hash by which a sealed value can be found again: equal only within account and purpose."""
        data = value.encode() if isinstance(value, str) else value
        return hmac.digest(self.lookup_key, purpose.encode() + b"\0" + data, "sha256")
