"""The key that the sandbox signs Amazon's mails with. Only Amazon has Amazon's own."""

import base64
from dataclasses import dataclass
from functools import cache
from typing import Self

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An RSA key whose public half the sandbox's name server publishes for every domain of Amazon's."""

    key: RSAPrivateKey

    @classmethod
    @cache
    def shared(cls) -> Self:
        """One key for all sandboxes of a process that bring none, because making a key takes long."""
        return cls(generate_private_key(65_537, 2048))

    @classmethod
    def from_pem(cls, pem: str) -> Self:
        """The key of a PEM file. Raises ValueError."""
        key = load_pem_private_key(pem.encode(), None)
        if isinstance(key, RSAPrivateKey):
            return cls(key)
        raise ValueError("no RSA key")

    def to_pem(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()

    def public_base64(self) -> str:
        """The public half as a DKIM record holds it (RFC 6376 §3.6.1)."""
        der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(der).decode()
