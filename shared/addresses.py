"""Relay addresses: how a new one is made, and how one is recognised in an SMTP envelope.

A local part is three syllables of consonant, vowel, consonant, such as `mabtekrud`: it can be read aloud, and it holds
no characters that are mistaken for others (no l, i, o, q, y; no `rn`, no `vv`). That is about 30 bits: finding one of
10,000 addresses by guessing takes 80,000 attempts on average, and the finder may then write a mail to it that is not
from Amazon, nothing more. Whether a local part was ever used is decided by the database (unique for ever).
"""

from collections.abc import Callable, Sequence

_CONSONANTS = "bcdfghjkmnprstvwxz"
_VOWELS = "aeu"
# Look like another letter (m, w), or stumble when read aloud.
_CONFUSING_PAIRS = ("rn", *(consonant * 2 for consonant in _CONSONANTS))
# Read as insults, body parts or crimes in one of the languages of Amazon's marketplaces.
_BAD_WORDS = (
    "bad", "bum", "caca", "cac", "cag", "cul", "cum", "cun", "dead", "dum", "fag", "fat", "fec", "fuc", "fuk", "fut", "gas",
    "gay", "hag", "heck", "hur", "jap", "jew", "jud", "kac", "kak", "kes", "kum", "kur", "kut", "mad", "mer", "mut", "naz",
    "neg", "nut", "pac", "pad", "paed", "pec", "ped", "pen", "pet", "pun", "pus", "put", "rap", "rac", "sau", "sad", "sex",
    "suc", "suk", "tat", "ted", "tet", "tes", "tuf", "tur", "war", "wez", "wex",
)  # fmt: skip

LOCAL_PART_LENGTH = 9

# Amazon gives all business buyers that it invoices itself one address: it names nobody.
_SHARED_BUYERS = frozenset({"no-reply-amazon-iba-buyer"})

# `secrets.choice`, or a fixed sequence in a test.
Choose = Callable[[Sequence[str]], str]


def new_local_part(choose: Choose) -> str:
    """A candidate for a new relay address; the caller tries another one if the database knows it already."""
    while True:
        candidate = "".join(choose(_VOWELS if i % 3 == 1 else _CONSONANTS) for i in range(LOCAL_PART_LENGTH))
        if not any(unwanted in candidate for unwanted in _CONFUSING_PAIRS + _BAD_WORDS):
            return candidate


def local_part_for(address: str, domain: str) -> str | None:
    """The local part that an envelope recipient names, or None if it is not an address of ours.

    Amazon and people write addresses in any case, add `+tag` and sometimes a final dot (RFC 5321 §2.3.5 has none, but
    refusing it would lose a mail): all of these mean the same relay address.
    """
    local, at, host = address.rpartition("@")
    if not at or host.rstrip(".").lower() != domain.lower():
        return None
    return local.partition("+")[0].lower() or None


def comparable_address(address: str) -> str:
    """An address of somebody else's in the form in which two are compared: its case and a final dot say nothing."""
    return address.strip().rstrip(".").lower()


def own_buyer_address(address: str) -> str | None:
    """A buyer's address without the tag of its thread, in lower case; None if it is one that many buyers share."""
    local, _, domain = untagged_address(comparable_address(address)).rpartition("@")
    return f"{local}@{domain}" if local and domain and local not in _SHARED_BUYERS else None


def untagged_address(address: str) -> str:
    """An address without what stands behind a plus sign before its domain."""
    local, at, domain = address.rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"
