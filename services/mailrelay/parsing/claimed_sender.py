"""What must be known of a mail before anybody reads it: who it says that it is from, and by what a copy of it is recognised."""

import hashlib
from dataclasses import dataclass
from typing import Final

from services.mailrelay.parsing.claims import SenderClaim, claim_of, single_sender
from services.mailrelay.parsing.structure import Field, Head, Header, read_head

# Added on the way, so a mail that is delivered twice differs in these alone: by every hop (RFC 5321 §4.4), by mailboxes that
# forward, and by what looks for spam.
_TRACE: Final = frozenset(
    {
        "received",
        "x-received",
        "return-path",
        "delivered-to",
        "x-original-to",
        "x-delivered-to",
        "envelope-to",
        "x-envelope-to",
        "x-envelope-from",
        "received-spf",
        "authentication-results",
        "arc-seal",
        "arc-message-signature",
        "arc-authentication-results",
        "x-forwarded-for",
        "x-forwarded-to",
        "x-forwarded-encrypted",
        "x-getmail-retrieved-from-mailbox",
        "x-original-authentication-results",
        "auto-forwarded",
    }
)
_TRACE_PREFIXES: Final = (
    "x-gm-",
    "x-google-",
    "x-spam",
    "x-rspamd-",
    "x-virus",
    "x-amavis",
    "x-barracuda-",
    "x-proofpoint-",
    "x-mimecast-",
    "x-ms-exchange-",
    "x-ms-office365-",
    "x-microsoft-antispam",
    "x-forefront-antispam",
    "x-eopattributedmessage",
    "x-gmx-",
    "x-ui-",
    "x-yahoo-",
    "x-ymail",
    "x-apple-",
    "x-mailgun-",
)


@dataclass(frozen=True, slots=True)
class ClaimedSender:
    """Who a mail says that it is from.

    `claim`: why the mail says that it is Amazon's (`from_domain`, `two_senders`, `display_name`, `lookalike_domain`), None for
    anybody else's; only `from_domain` can be true, and only a check of its authenticity tells whether it is. `domain`: that of the
    one From, for DMARC. `digest`: equal for copies of the mail that differ in the lines of their way alone.
    """

    claim: SenderClaim | None
    domain: str | None
    digest: bytes


def claimed_sender(raw: bytes) -> ClaimedSender:
    """Who a mail says that it is from, by its header. Raises nothing, whatever the bytes are."""
    head = read_head(raw)
    header = Header(head.fields)
    single = single_sender(header)
    return ClaimedSender(
        claim=claim_of(header.all_raw("from")),
        domain=single.domain if single is not None else None,
        digest=_digest(head, raw),
    )


def _digest(head: Head, raw: bytes) -> bytes:
    if head.is_cut:
        return hashlib.sha256(raw).digest()
    digest = hashlib.sha256()
    for field in head.fields:
        if not _is_trace(field):
            digest.update(field.raw + b"\n")
    digest.update(memoryview(raw)[head.end :])
    return digest.digest()


def _is_trace(field: Field) -> bool:
    return field.name in _TRACE or field.name.startswith(_TRACE_PREFIXES)
