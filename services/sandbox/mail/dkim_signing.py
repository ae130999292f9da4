"""Signs the sandbox's mails as Amazon signs its own: with the domain of the store, and again with that of its mail service.

The signatures are dkimpy's work, not our own code's, so that the mail worker meets an independent understanding of the RFCs.
"""

from collections.abc import Iterable
from typing import Final

import dkim

from services.sandbox.mail.name_server import Zone
from services.sandbox.state.signing_key import SigningKey
from shared.marketplaces import MARKETPLACES

SELECTOR: Final = "sandbox"
MAIL_SERVICE: Final = "amazonses.com"
AWS_REGIONS: Final = ("us-east-1", "eu-west-1", "us-west-2")
_SIGNED_HEADERS: Final = (
    b"date",
    b"from",
    b"reply-to",
    b"to",
    b"message-id",
    b"subject",
    b"mime-version",
    b"content-type",
)


def sign(raw: bytes, key: SigningKey, *domains: str) -> bytes:
    """The mail with a signature of each domain above it."""
    pem = key.to_pem().encode()
    signatures = [
        dkim.sign(
            raw,
            SELECTOR.encode(),
            domain.encode(),
            pem,
            canonicalize=(b"relaxed", b"simple"),
            include_headers=_SIGNED_HEADERS,
        )
        for domain in domains
    ]
    return b"".join(signatures) + raw


def publish_amazon(zone: Zone, key: SigningKey, sending_hosts: Iterable[str]) -> None:
    """Puts into the zone what Amazon's domains publish: the key, who may send, and what to do with mail that fails both."""
    networks = " ".join(f"ip{6 if ':' in host else 4}:{host}" for host in sending_hosts)
    for domain in (*(marketplace.retail_domain for marketplace in MARKETPLACES), MAIL_SERVICE):
        zone.text(f"{SELECTOR}._domainkey.{domain}", f"v=DKIM1; k=rsa; p={key.public_base64()}")
        zone.text(domain, f"v=spf1 {networks} -all")
        zone.text(f"bounces.{domain}", f"v=spf1 include:{domain} -all")
        zone.text(f"_dmarc.{domain}", "v=DMARC1; p=quarantine")
    for region in AWS_REGIONS:
        zone.text(f"{region}.{MAIL_SERVICE}", f"v=spf1 include:{MAIL_SERVICE} -all")
