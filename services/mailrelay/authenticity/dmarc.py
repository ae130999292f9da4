"""DMARC (RFC 7489): whether what was proven is about the domain that a reader sees in From."""

from dataclasses import dataclass
from functools import cache
from typing import Final

from publicsuffixlist import PublicSuffixList

from services.mailrelay.authenticity.resolver import Resolver
from services.mailrelay.authenticity.tags import TagsUnreadable, read_tags
from shared.marketplaces import MARKETPLACES

_POLICIES: Final = frozenset({"none", "quarantine", "reject"})
_OF_AMAZON: Final = frozenset(marketplace.retail_domain for marketplace in MARKETPLACES)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a domain asks of receivers, as far as it decides what is proven."""

    dkim_is_strict: bool
    spf_is_strict: bool


async def find_policy(resolver: Resolver, from_domain: str) -> Policy | None:
    """The policy of the domain, else of its organisation (§6.6.3), if there is one. Raises Unanswered."""
    for domain in dict.fromkeys((from_domain, organisation_of(from_domain))):
        policies = [
            policy
            for record in await resolver.ask(f"_dmarc.{domain}", "TXT")
            if (policy := _read(record)) is not None
        ]
        if policies:
            # §6.6.3, step 5: with several there is none.
            return policies[0] if len(policies) == 1 else None
    return None


def is_aligned(domain: str, from_domain: str, *, strictly: bool) -> bool:
    """Whether a proven domain stands for the domain in From (§3.1)."""
    if strictly:
        return domain == from_domain
    return organisation_of(domain) == organisation_of(from_domain)


def organisation_of(domain: str) -> str:
    """The part of a name that was registered (§3.2); a name that is no more than a public suffix stands for itself.

    Amazon's own domains are known to us: the list has no `com.be`, so that by it whoever registers a name below that would
    stand for amazon.com.be.
    """
    labels = domain.split(".")
    for start in range(len(labels)):
        if (name := ".".join(labels[start:])) in _OF_AMAZON:
            return name
    return _suffixes().privatesuffix(domain) or domain


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def _read(record: str) -> Policy | None:
    try:
        tags = read_tags(record)
    except TagsUnreadable:
        return None
    if next(iter(tags), "") != "v" or tags["v"] != "DMARC1" or tags.get("p", "").lower() not in _POLICIES:
        return None
    return Policy(tags.get("adkim", "r").lower() == "s", tags.get("aspf", "r").lower() == "s")
