"""The verdict on a mail that says it is Amazon's. Other rooms use this room through these functions.

What needs only the mail is done first (`examine`), in a thread, because a mail may be large; what is left is small, and asks the
DNS (`decide`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from services.mailrelay.authenticity.arc import Chain, CheckedChain, check_chain, read_chain
from services.mailrelay.authenticity.canonical import SignedMail
from services.mailrelay.authenticity.covered import Covered
from services.mailrelay.authenticity.dkim import CheckedSignature, Signature, check_signature, read_signatures
from services.mailrelay.authenticity.dmarc import Policy, find_policy, is_aligned
from services.mailrelay.authenticity.faults import Fault
from services.mailrelay.authenticity.macros import Sender
from services.mailrelay.authenticity.resolver import Resolver, ResolverWithDeadline, Unanswered
from services.mailrelay.authenticity.results import (
    NOTHING_CHECKED,
    Results,
    domains_that_passed,
    signatures_that_passed,
)
from services.mailrelay.authenticity.signers import TrustedSigners, trusted_signers
from services.mailrelay.authenticity.spf import check_host
from shared.tables import Authenticity

log = structlog.get_logger()

# For all questions of a mail together whose answers could prove it. A resolver that answers at all needs less than a second.
MAX_SECONDS: Final = 10.0
# The limit for questions that prove nothing: their servers belong to whoever signed, and may be slow.
NOTED_SECONDS: Final = 0.2

_DKIM_DOMAINS = frozenset({"header.d", "header.i"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a mail is from the sender that it names, and why.

    `reason` is a stable code, and the key of its text on the page; `results` is the value of an Authentication-Results field
    (RFC 8601). `is_temporary` says that a later check may find more. `covered` is what the signature covers that proves the mail, or,
    as long as none does, what the first covers that could; None if there is none.
    """

    authenticity: Authenticity
    reason: str
    results: str = NOTHING_CHECKED
    is_temporary: bool = False
    covered: Covered | None = None


# The reasons for which a mail is authentic.
SIGNED_BY_AMAZON: Final = "signed_by_amazon"
SENT_BY_AMAZON: Final = "sent_by_amazon"
FORWARDED_FROM_AMAZON: Final = "forwarded_from_amazon"

# The reasons for which a mail of Amazon's is misdirected. The first may be one for which a mail is authentic: then it is only a mark.
NOT_ADDRESSED_HERE: Final = "not_addressed_here"
REPLAYED: Final = "replayed"

NOT_FROM_AMAZON: Final = Verdict(Authenticity.STRANGER, "not_from_amazon")
_FAILED: Final = Verdict(Authenticity.UNCHECKABLE, "check_failed")


@dataclass(frozen=True, slots=True)
class Examined:
    """All that can be found out about a mail's sender without the DNS."""

    sender: Sender
    from_domain: str
    signatures: list[Signature]
    chain: Chain | CheckedChain


def decide_claim(claim: str | None) -> Verdict | None:
    """The verdict where what the mail claims to be (`ParsedMail.claim`) already decides; None for a claim that can be true."""
    if claim is None:
        return NOT_FROM_AMAZON
    return None if claim == "from_domain" else Verdict(Authenticity.FORGED, claim)


async def authenticate(
    raw: bytes,
    *,
    peer_address: str,
    helo: str | None,
    mail_from: str,
    from_domain: str,
    received_at: datetime,
    resolver: Resolver,
    trusted: TrustedSigners | None = None,
) -> Verdict:
    """Check a mail whose one From is in a domain of Amazon's. Never raises.

    `mail_from` is the envelope's sender, empty for a bounce. `received_at` is when we accepted the mail: what a signature says of
    time is held to that, however late it is checked.
    """
    sender = Sender.of(peer_address, helo, mail_from)
    examined = await asyncio.to_thread(examine, raw, sender, from_domain, received_at)
    return await decide(examined, resolver, trusted=trusted)


def examine(raw: bytes, sender: Sender, from_domain: str, received_at: datetime) -> Examined | Verdict:
    """What can be found without the DNS. Never raises. Below a millisecond for an ordinary mail, a second for the largest."""
    read = _read(raw, received_at)
    return _FAILED if read is None else Examined(sender, from_domain, *read)


def _read(raw: bytes, received_at: datetime) -> tuple[list[Signature], Chain | CheckedChain] | None:
    """The signatures and the chain of a mail; None if they cannot be read."""
    try:
        mail = SignedMail.read(raw)
        return read_signatures(mail, received_at), read_chain(mail, received_at)
    except (
        Exception
    ):  # a mail is shown whatever is in it (D8), in quarantine; a test holds that we never come here
        log.exception("check_failed")
        return None


async def decide(
    examined: Examined | Verdict,
    resolver: Resolver,
    *,
    seconds: float = MAX_SECONDS,
    trusted: TrustedSigners | None = None,
) -> Verdict:
    """Ask the DNS what is left to know, for at most `seconds`, and decide. Never raises."""
    if isinstance(examined, Verdict):
        return examined
    try:
        return await _decide(examined, resolver, seconds, trusted or trusted_signers())
    except Exception:  # as above
        log.exception("check_failed")
        return _FAILED


async def _decide(examined: Examined, resolver: Resolver, seconds: float, trusted: TrustedSigners) -> Verdict:
    now = asyncio.get_running_loop().time()
    proving = ResolverWithDeadline(resolver, now + seconds)
    noting = ResolverWithDeadline(resolver, now + min(seconds, NOTED_SECONDS), proves=False)
    domain, from_domain = examined.sender.domain, examined.from_domain

    def resolver_for(*, proves: bool) -> Resolver:
        return proving if proves else noting

    checks = (
        check_signature(one, resolver_for(proves=trusted.signs_for(one.domain, from_domain)))
        for one in examined.signatures
    )
    dkim, spf, policy, arc = await asyncio.gather(
        asyncio.gather(*checks),
        check_host(resolver_for(proves=trusted.sends_from(domain)), examined.sender),
        _policy(proving, from_domain),
        check_chain(examined.chain, resolver_for(proves=trusted.seals(examined.chain.sealers))),
    )
    results = Results(tuple(dkim), spf, _dmarc(dkim, spf, policy, domain, from_domain), arc)
    written = results.to_field_value(examined.sender, from_domain)

    proof = _proof(results, examined, trusted)
    passed = [one.passed for one in dkim]
    covered = _covered(
        examined.signatures,
        examined.chain,
        passed=passed,
        proof=proof,
        from_domain=from_domain,
        trusted=trusted,
    )
    if proof is not None:
        return Verdict(Authenticity.AUTHENTIC, proof, written, covered=covered)
    if _may_yet_be_proven(results, examined, trusted):
        return Verdict(
            Authenticity.UNCHECKABLE, "dns_unavailable", written, is_temporary=True, covered=covered
        )
    return Verdict(Authenticity.FORGED, _why_not(dkim, from_domain, trusted), written, covered=covered)


def covered_as_decided(
    raw: bytes, from_domain: str, received_at: datetime, reason: str | None, results: str
) -> Covered | None:
    """What `Verdict.covered` was when a mail got this verdict. Asks nobody, and never raises."""
    read = _read(raw, received_at)
    if read is None:
        return None
    return _covered(
        *read,
        passed=signatures_that_passed(results),
        proof=reason,
        from_domain=from_domain,
        trusted=trusted_signers(),
    )


def _covered(
    signatures: Sequence[Signature],
    chain: Chain | CheckedChain,
    *,
    passed: Sequence[bool],
    proof: str | None,
    from_domain: str,
    trusted: TrustedSigners,
) -> Covered | None:
    """What the signature covers that is the proof; where none is, what the first covers that could be."""
    by_amazon = [
        (one.covered, has_passed)
        for one, has_passed in zip(signatures, passed, strict=False)
        if one.fault is None and trusted.signs_for(one.domain, from_domain)
    ]
    sealed = chain.covered if isinstance(chain, Chain) and trusted.seals(chain.sealers) else None
    proving = next((covered for covered, has_passed in by_amazon if has_passed), None)
    if proving is not None or proof == SENT_BY_AMAZON:
        return proving
    if proof == FORWARDED_FROM_AMAZON:
        return sealed
    return next((covered for covered, _ in by_amazon), sealed)


async def _policy(resolver: Resolver, from_domain: str) -> Policy | Unanswered | None:
    try:
        return await find_policy(resolver, from_domain)
    except Unanswered as unanswered:
        return unanswered


def _dmarc(
    dkim: list[CheckedSignature], spf: str, policy: Policy | Unanswered | None, domain: str, from_domain: str
) -> str:
    """The result of DMARC in the words of RFC 7489 §11.2."""
    if not isinstance(policy, Policy):
        return "none" if policy is None else "temperror"
    aligned = [
        one
        for one in dkim
        if one.signature.domain
        and is_aligned(one.signature.domain, from_domain, strictly=policy.dkim_is_strict)
    ]
    spf_counts = is_aligned(domain, from_domain, strictly=policy.spf_is_strict)
    if any(one.passed for one in aligned) or (spf_counts and spf == "pass"):
        return "pass"
    if any(one.is_unanswered for one in aligned) or (spf_counts and spf == "temperror"):
        return "temperror"
    return "fail"


def _proof(results: Results, examined: Examined, trusted: TrustedSigners) -> str | None:
    """The reason why the mail is proven, or None if nothing proves it."""
    from_domain = examined.from_domain
    if any(one.passed and trusted.signs_for(one.signature.domain, from_domain) for one in results.dkim):
        return SIGNED_BY_AMAZON
    if results.spf == "pass" and results.dmarc == "pass" and trusted.sends_from(examined.sender.domain):
        return SENT_BY_AMAZON
    attests = results.arc.result == "pass" and trusted.seals(results.arc.sealers)
    if attests and _was_proven_before(results.arc.first_results, from_domain, trusted):
        return FORWARDED_FROM_AMAZON
    return None


def _was_proven_before(first_results: str, from_domain: str, trusted: TrustedSigners) -> bool:
    signers = domains_that_passed(first_results, "dkim", _DKIM_DOMAINS)
    return any(trusted.signs_for(signer, from_domain) for signer in signers)


def _may_yet_be_proven(results: Results, examined: Examined, trusted: TrustedSigners) -> bool:
    """Whether an answer that did not come could prove the mail; what strangers' servers do not answer changes nothing."""
    from_domain = examined.from_domain
    return (
        any(
            one.is_unanswered and trusted.signs_for(one.signature.domain, from_domain) for one in results.dkim
        )
        or (
            results.dmarc == "temperror"
            and results.spf in {"pass", "temperror"}
            and trusted.sends_from(examined.sender.domain)
        )
        or (results.arc.result == "temperror" and trusted.seals(results.arc.sealers))
    )


def _why_not(dkim: list[CheckedSignature], from_domain: str, trusted: TrustedSigners) -> str:
    """What is wrong with Amazon's topmost signature; without one, what there is instead."""
    if not dkim:
        return "not_signed"
    for one in dkim:
        if one.fault is not None and trusted.signs_for(one.signature.domain, from_domain):
            return one.fault.value
    return (
        "signer_not_amazon" if any(one.signature.domain for one in dkim) else Fault.SIGNATURE_MALFORMED.value
    )
