"""The key of a signature, from the DNS (RFC 6376 §3.6, RFC 8301, RFC 8463)."""

from typing import Final

from services.mailrelay.authenticity.faults import Fault
from services.mailrelay.authenticity.resolver import Resolver
from services.mailrelay.authenticity.tags import TagsUnreadable, bytes_of, read_tags, words_of
from shared.crypto.signatures import KeyType, KeyUnusable, SignerKey

# RFC 8301 §3.2: shorter keys must count as invalid.
MIN_RSA_BITS: Final = 1024
# Checking costs time with the length; nobody publishes more.
MAX_RSA_BITS: Final = 8192
# A name has one key. More than a few records are somebody's attempt.
_MAX_RECORDS: Final = 5


async def find_key(
    resolver: Resolver, domain: str, selector: str, key_type: KeyType, *, identity_is_domain: bool
) -> SignerKey | Fault:
    """The key that a signer has published, or why there is none to use. Raises Unanswered."""
    records = await resolver.ask(f"{selector}._domainkey.{domain}", "TXT")
    fault = Fault.KEY_MISSING
    for record in records[:_MAX_RECORDS]:
        found = read_record(record, key_type, identity_is_domain=identity_is_domain)
        if isinstance(found, SignerKey):
            return found
        fault = found
    return fault


def read_record(record: str, key_type: KeyType, *, identity_is_domain: bool) -> SignerKey | Fault:
    """The key of one record, or why it is none for such a signature."""
    try:
        tags = read_tags(record)
        material = bytes_of(tags["p"])
    except (TagsUnreadable, KeyError):
        return Fault.KEY_UNUSABLE
    if not material:
        return Fault.KEY_REVOKED
    if not _is_for_us(tags, key_type, identity_is_domain=identity_is_domain):
        return Fault.KEY_UNUSABLE
    try:
        key = SignerKey.read(key_type, material)
    except KeyUnusable:
        return Fault.KEY_UNUSABLE
    return key if key.rsa_bits is None else _of_right_length(key, key.rsa_bits)


def _of_right_length(key: SignerKey, bits: int) -> SignerKey | Fault:
    if bits < MIN_RSA_BITS:
        return Fault.KEY_WEAK
    return key if bits <= MAX_RSA_BITS else Fault.KEY_UNUSABLE


def _is_for_us(tags: dict[str, str], key_type: KeyType, *, identity_is_domain: bool) -> bool:
    """Whether the record allows this key for such a signature of a mail."""
    version_is_right = "v" not in tags or (next(iter(tags)) == "v" and tags["v"] == "DKIM1")
    services = words_of(tags.get("s", "*"))
    return (
        version_is_right
        and tags.get("k", "rsa").lower() == key_type
        and "sha256" in words_of(tags.get("h", "sha256"))
        and ("*" in services or "email" in services)
        and (identity_is_domain or "s" not in words_of(tags.get("t", "")))
    )
