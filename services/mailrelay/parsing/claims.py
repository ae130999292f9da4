"""Whether a mail says that it is Amazon's, to a program or to a person who reads its sender."""

import re
from collections.abc import Sequence
from enum import StrEnum

from services.mailrelay.parsing.decoding import decode_words
from services.mailrelay.parsing.lookalikes import reads_amazon
from services.mailrelay.parsing.mailboxes import Mailbox, read_mailboxes
from services.mailrelay.parsing.structure import Header
from shared.marketplaces import BY_BUYER_MAIL_DOMAIN, MARKETPLACES

# Some hundred senders; nobody reads further.
MAX_CHARS = 32_768

_RETAIL_DOMAINS = frozenset(m.retail_domain for m in MARKETPLACES)
_DOMAIN = re.compile(r"@([^\s<>()\"',;:@]{1,255})")
_PUNYCODE = "xn--"


class SenderClaim(StrEnum):
    """The reason why a mail counts as claiming to be Amazon's. Only `from_domain` can be true."""

    FROM_DOMAIN = "from_domain"
    TWO_SENDERS = "two_senders"
    DISPLAY_NAME = "display_name"
    LOOKALIKE_DOMAIN = "lookalike_domain"


def single_sender(header: Header) -> Mailbox | None:
    """The one mailbox of the one From. RFC 5322 §3.6 allows one, and DMARC has nothing to hold on to with two (RFC 7489 §6.6.1)."""
    boxes = read_mailboxes(header.raw("from") or "")
    return boxes[0] if header.count("from") == 1 and len(boxes) == 1 else None


def claim_of(senders: Sequence[str]) -> SenderClaim | None:
    """The claim of all From fields together, each unfolded and as it stands; None if nobody speaks of Amazon."""
    boxes = [box for value in senders for box in read_mailboxes(value)]
    # With the encoded words read, as a person sees it.
    shown = decode_words(" ".join(senders)[:MAX_CHARS])
    if len(senders) == 1 and len(boxes) == 1:
        domain = boxes[0].domain
        if belongs_to_amazon(domain):
            return SenderClaim.FROM_DOMAIN
        if looks_like_amazon(domain):
            return SenderClaim.LOOKALIKE_DOMAIN
        # Many sellers have a mailbox amazon@ at a domain of their own.
        beside = re.sub(re.escape(boxes[0].address), " ", shown, flags=re.IGNORECASE)
        return SenderClaim.DISPLAY_NAME if reads_amazon(beside) else None
    # Several senders, or a From that can be read in two ways.
    domains = {domain.rstrip(".").lower() for domain in _DOMAIN.findall(shown)}
    if any(belongs_to_amazon(domain) or looks_like_amazon(domain) for domain in domains):
        return SenderClaim.TWO_SENDERS
    return SenderClaim.DISPLAY_NAME if reads_amazon(shown) else None


def belongs_to_amazon(domain: str) -> bool:
    """Whether a domain, in lower case, is one of Amazon's shops', or below one. Proves nothing about who uses it."""
    return domain in BY_BUYER_MAIL_DOMAIN or any(
        domain == retail or domain.endswith(f".{retail}") for retail in _RETAIL_DOMAINS
    )


def looks_like_amazon(domain: str) -> bool:
    """Whether a domain that is not Amazon's reads "amazon": `marketplace.amazon.de.evil.example`, `amazonseller.example`, or the
    same with letters of another alphabet (RFC 3492)."""
    return reads_amazon(".".join(_decode_label(label) for label in domain.split(".")))


def _decode_label(label: str) -> str:
    # RFC 1035 §2.3.4 allows 63 letters; Python's decoder takes quadratic time.
    if not label.startswith(_PUNYCODE) or len(label) > 63:
        return label
    try:
        return label.removeprefix(_PUNYCODE).encode("ascii").decode("punycode")
    except UnicodeError:
        return label
