"""Whether a mail says that it is Amazon's, to a program or to a person who reads its sender."""

import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum

from services.mailrelay.parsing.decoding import decode_words
from services.mailrelay.parsing.mailboxes import read_mailboxes
from services.mailrelay.parsing.patterns import Wording
from shared.marketplaces import BY_BUYER_MAIL_DOMAIN, MARKETPLACES

# Some hundred senders; nobody reads further.
MAX_CHARS = 32_768

_RETAIL_DOMAINS = frozenset(m.retail_domain for m in MARKETPLACES)
_DOMAIN = re.compile(r"@([^\s<>()\"',;:@]{1,255})")
_WORD = re.compile("(?<![a-z])amazon(?![a-z])")
_LABEL_END = re.compile("[.-]")
_PUNYCODE = "xn--"


class SenderClaim(StrEnum):
    """The reason why a mail counts as claiming to be Amazon's. Only `from_domain` can be true."""

    FROM_DOMAIN = "from_domain"
    TWO_SENDERS = "two_senders"
    DISPLAY_NAME = "display_name"
    LOOKALIKE_DOMAIN = "lookalike_domain"


def claim_of(senders: Sequence[str], wording: Wording) -> SenderClaim | None:
    """The claim of all From fields together, each unfolded and as it stands; None if nobody speaks of Amazon."""
    boxes = [box for value in senders for box in read_mailboxes(value)]
    # With the encoded words read, as a person sees it.
    shown = decode_words(" ".join(senders)[:MAX_CHARS])
    if len(senders) == 1 and len(boxes) == 1:
        domain = boxes[0].domain
        if belongs_to_amazon(domain):
            return SenderClaim.FROM_DOMAIN
        if looks_like_amazon(domain, wording):
            return SenderClaim.LOOKALIKE_DOMAIN
        # Many sellers have a mailbox amazon@ at a domain of their own.
        beside = re.sub(re.escape(boxes[0].address), " ", shown, flags=re.IGNORECASE)
        return SenderClaim.DISPLAY_NAME if _speaks_of_amazon(beside, wording) else None
    # Several senders, or a From that can be read in two ways.
    domains = {domain.rstrip(".").lower() for domain in _DOMAIN.findall(shown)}
    if any(belongs_to_amazon(domain) or looks_like_amazon(domain, wording) for domain in domains):
        return SenderClaim.TWO_SENDERS
    return SenderClaim.DISPLAY_NAME if _speaks_of_amazon(shown, wording) else None


def belongs_to_amazon(domain: str) -> bool:
    """Whether a domain, in lower case, is one of Amazon's shops', or below one. Proves nothing about who uses it."""
    return domain in BY_BUYER_MAIL_DOMAIN or any(
        domain == retail or domain.endswith(f".{retail}") for retail in _RETAIL_DOMAINS
    )


def looks_like_amazon(domain: str, wording: Wording) -> bool:
    """Whether a part of a domain that is not Amazon's reads "amazon": `marketplace.amazon.de.evil.example`,
    `amazon-de.example`, or the same with letters of another alphabet (RFC 3492)."""
    readable = ".".join(_decode_label(label) for label in domain.split("."))
    return "amazon" in _LABEL_END.split(_skeleton(readable, wording))


def _decode_label(label: str) -> str:
    # RFC 1035 §2.3.4 allows 63 letters; Python's decoder takes quadratic time.
    if not label.startswith(_PUNYCODE) or len(label) > 63:
        return label
    try:
        return label.removeprefix(_PUNYCODE).encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def _speaks_of_amazon(text: str, wording: Wording) -> bool:
    return _WORD.search(_skeleton(text, wording)) is not None


def _skeleton(text: str, wording: Wording) -> str:
    """The text as a hurried reader sees it: without accents, invisible signs and letters that pass for others."""
    letters = unicodedata.normalize("NFKD", text).casefold()
    seen = "".join(letter for letter in letters if unicodedata.category(letter) not in {"Mn", "Cf"})
    for alike, letter in wording.lookalikes.items():
        seen = seen.replace(alike, letter)
    return seen
