"""Checks the signatures of mails against their signers' public keys (RFC 6376 §3.3, RFC 8463)."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

KeyType = Literal["rsa", "ed25519"]


class KeyUnusable(ValueError):
    """These bytes are no public key of that type."""


@dataclass(frozen=True, slots=True)
class SignerKey:
    """A signer's public key."""

    key: RSAPublicKey | Ed25519PublicKey

    @classmethod
    @lru_cache(
        maxsize=256
    )  # reading one takes as long as checking a signature, and few signers send nearly everything
    def read(cls, key_type: KeyType, material: bytes) -> Self:
        """RSA as DER (SubjectPublicKeyInfo or PKCS #1), Ed25519 as its 32 bytes. Raises KeyUnusable."""
        try:
            if key_type == "ed25519":
                return cls(Ed25519PublicKey.from_public_bytes(material))
            key = load_der_public_key(material)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeyUnusable from error
        if not isinstance(key, RSAPublicKey):
            raise KeyUnusable
        return cls(key)

    @property
    def key_type(self) -> KeyType:
        return "rsa" if isinstance(self.key, RSAPublicKey) else "ed25519"

    @property
    def rsa_bits(self) -> int | None:
        """The length of an RSA key; None for another, whose length is given by its type."""
        return self.key.key_size if isinstance(self.key, RSAPublicKey) else None

    def has_signed(self, sha256: bytes, signature: bytes) -> bool:
        """Whether this is the key's signature of something with that SHA-256 digest."""
        try:
            if isinstance(self.key, RSAPublicKey):
                self.key.verify(signature, sha256, PKCS1v15(), Prehashed(SHA256()))
            else:
                self.key.verify(signature, sha256)
        except InvalidSignature:
            return False
        return True
