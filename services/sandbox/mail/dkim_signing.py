"""Signs the sandbox's mails as Amazon signs its own: with the domain of the store, and again with that of its mail service.

Signed by dkimpy, not by code of ours: what the mail worker then checks is somebody else's understanding of the RFCs.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final, Self

import dkim
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from services.sandbox.mail.name_server import Zone
from shared.marketplaces import MARKETPLACES

SELECTOR: Final = "sandbox"
MAIL_SERVICE: Final = "amazonses.com"
AWS_REGIONS: Final = ("us-east-1", "eu-west-1", "us-west-2")
_SIGNED: Final = (
    b"date",
    b"from",
    b"reply-to",
    b"to",
    b"message-id",
    b"subject",
    b"mime-version",
    b"content-type",
)


@dataclass(frozen=True, slots=True)
class Signer:
    """A key, whose public half every domain of Amazon's publishes in the sandbox's DNS."""

    key: RSAPrivateKey

    @classmethod
    @cache
    def shared(cls) -> Self:
        """One for all sandboxes of a process that bring none: making one takes long."""
        return cls(generate_private_key(65_537, 2048))

    @classmethod
    def from_pem(cls, pem: str) -> Self:
        """Raises ValueError."""
        key = load_pem_private_key(pem.encode(), None)
        if isinstance(key, RSAPrivateKey):
            return cls(key)
        raise ValueError("no RSA key")

    def to_pem(self) -> str:
        return self._pem().decode()

    def sign(self, raw: bytes, *domains: str) -> bytes:
        """The mail with a signature of each domain above it."""
        signatures = [
            dkim.sign(
                raw,
                SELECTOR.encode(),
                domain.encode(),
                self._pem(),
                canonicalize=(b"relaxed", b"simple"),
                include_headers=_SIGNED,
            )
            for domain in domains
        ]
        return b"".join(signatures) + raw

    def publish(self, zone: Zone, sending_hosts: Iterable[str]) -> None:
        """What Amazon's domains say in the DNS: keys, who may send, and what to hold of mail that is neither."""
        material = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        networks = " ".join(f"ip{6 if ':' in host else 4}:{host}" for host in sending_hosts)
        for domain in (*(marketplace.retail_domain for marketplace in MARKETPLACES), MAIL_SERVICE):
            zone.text(
                f"{SELECTOR}._domainkey.{domain}", f"v=DKIM1; k=rsa; p={base64.b64encode(material).decode()}"
            )
            zone.text(domain, f"v=spf1 {networks} -all")
            zone.text(f"bounces.{domain}", f"v=spf1 include:{domain} -all")
            zone.text(f"_dmarc.{domain}", "v=DMARC1; p=quarantine")
        for region in AWS_REGIONS:
            zone.text(f"{region}.{MAIL_SERVICE}", f"v=spf1 include:{MAIL_SERVICE} -all")

    def _pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
