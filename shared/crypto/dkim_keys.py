"""The keys that replies are signed with for the mail domain (DKIM). The mail worker alone needs the file.

RSA of 2,048 bits and no other kind: every receiver checks it (RFC 8301 §3.2), and its record fits into one answer of the DNS. Ed25519 (RFC
8463) is checked by few; a second signature would mean a second record a selector and prove nothing to Amazon.
"""

import json
import re
import secrets
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from shared.crypto.key_provider import KeyFileUnusable, write_private_file
from shared.crypto.named_keys import NamedKeyFile, NamedKeys
from shared.crypto.signatures import SignerKey

_BITS: Final = 2_048
# A longer key costs more for each mail, and its record no longer fits into one answer.
_MAX_BITS: Final = 4_096
_DATED: Final = re.compile(r"r([0-9]{8})-[0-9a-f]{4}")
_MADE_BY: Final = "python -m services.mailrelay keys dkim create"


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A private key, and the selector under which its public half stands in the DNS."""

    selector: str
    key: RSAPrivateKey = field(repr=False)

    @classmethod
    def new(cls, now: datetime) -> Self:
        """With a selector that no key ever had before: what resolvers remember of another one would else be taken for this one's."""
        return cls(f"r{now:%Y%m%d}-{secrets.token_hex(2)}", generate_private_key(65_537, _BITS))

    @property
    def record(self) -> str:
        """The TXT record of the public half (RFC 6376 §3.6.1)."""
        der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={b64encode(der).decode()}"

    @property
    def made_at(self) -> datetime | None:
        """The day on which `new` made it, as its selector says; None for a selector that somebody else has chosen."""
        dated = _DATED.fullmatch(self.selector)
        try:
            return None if dated is None else datetime.strptime(dated[1], "%Y%m%d").replace(tzinfo=UTC)
        except ValueError:
            return None

    @property
    def public(self) -> SignerKey:
        """The public half, as receivers make it of the record."""
        return SignerKey(self.key.public_key())

    def record_name(self, domain: str) -> str:
        return f"{self.selector}._domainkey.{domain}"

    def sign(self, sha256: bytes) -> bytes:
        """The signature (rsa-sha256, RFC 6376 §3.3.2) of something with this digest. Takes half a millisecond."""
        return self.key.sign(sha256, PKCS1v15(), Prehashed(SHA256()))


class DkimKeyFile(NamedKeyFile[DkimKey]):
    """Keys by their selectors: `{"current": selector, "keys": {selector: PEM}}`. The current one signs; during a change there are two."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises KeyFileUnusable."""
        super().__init__(path, _read, _written, use="signs")

    @classmethod
    def create(cls, path: Path, now: datetime) -> Self:
        """Write a file with one new key; fails if there is a file. Raises KeyFileUnusable."""
        key = DkimKey.new(now)
        write_private_file(path, _written(NamedKeys(key.selector, {key.selector: key})))
        return cls(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The keys of a file. Raises KeyFileUnusable."""
        return cls(path)

    @property
    def keys(self) -> tuple[DkimKey, ...]:
        """All keys, the oldest first. The record of each belongs into the DNS."""
        return tuple(self._file.content.keys.values())

    def add(self, now: datetime, *, use: bool) -> DkimKey:
        """Add a new key, and sign with it from now on if `use`. Raises KeyFileUnusable."""
        key = DkimKey.new(now)
        self._add(key.selector, key, use=use)
        return key


def _read(path: Path) -> NamedKeys[DkimKey]:
    try:
        content = json.loads(path.read_bytes())
        keys = {str(selector): _key(str(selector), pem) for selector, pem in content["keys"].items()}
        current = str(content["current"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm):
        # The cause would name what is in the file.
        raise _unusable(path) from None
    if current not in keys:
        raise _unusable(path)
    return NamedKeys(current, keys)


def _key(selector: str, pem: str) -> DkimKey:
    key = load_pem_private_key(pem.encode(), None)
    if not isinstance(key, RSAPrivateKey) or not _BITS <= key.key_size <= _MAX_BITS:
        raise ValueError("no RSA key of 2048 to 4096 bits")
    # It goes into a header and into a name of the DNS.
    if not (0 < len(selector) <= 63 and selector.isascii() and selector.replace("-", "").isalnum()):
        raise ValueError("no selector")
    return DkimKey(selector, key)


def _written(content: NamedKeys[DkimKey]) -> bytes:
    pems = {
        selector: key.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        for selector, key in content.keys.items()
    }
    return json.dumps({"current": content.current, "keys": pems}).encode()


def _unusable(path: Path) -> KeyFileUnusable:
    return KeyFileUnusable(path=str(path), made_by=_MADE_BY)
