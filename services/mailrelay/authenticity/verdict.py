"""Whether a mail that says it is Amazon's is: the only door of this room.

What needs only the mail is done first (`examine`), in a thread, because a mail may be large; what is left is small, and asks the
DNS (`judge`).
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from services.mailrelay.authenticity.arc import Chain, CheckedChain, check_chain, read_chain
from services.mailrelay.authenticity.canonical import SignedMail
from services.mailrelay.authenticity.dkim import Checked, Signature, check, read_signatures
from services.mailrelay.authenticity.dmarc import Policy, find_policy, is_aligned
from services.mailrelay.authenticity.faults import Fault
from services.mailrelay.authenticity.macros import Sender
from services.mailrelay.authenticity.questions import Resolver, Unanswered, Until
from services.mailrelay.authenticity.results import NOTHING_CHECKED, Results, domains_that_passed
from services.mailrelay.authenticity.signers import Trusted, trusted
from services.mailrelay.authenticity.spf import check_host
from shared.tables import Authenticity

log = structlog.get_logger()

# For all questions of a mail together whose answers could prove it. A resolver that answers at all needs less than a second.
MAX_SECONDS: Final = 10.0
# For what is only noted down: who signs with a domain of his own decides how slow its servers are.
NOTED_SECONDS: Final = 0.2

_DKIM_DOMAINS = frozenset({"header.d", "header.i"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is a stable code, and the key of its text on the page; `results`, the value of an Authentication-Results field
    (RFC 8601). `is_temporary`: another try may say more.
    """

    authenticity: Authenticity
    reason: str
    results: str = NOTHING_CHECKED
    is_temporary: bool = False


NOT_FROM_AMAZON: Final = Verdict(Authenticity.STRANGER, "not_from_amazon")
_FAILED: Final = Verdict(Authenticity.UNCHECKABLE, "check_failed")


@dataclass(frozen=True, slots=True)
class Examined:
    """A mail, as far as it can be judged without the DNS."""

    sender: Sender
    from_domain: str
    signatures: list[Signature]
    chain: Chain | CheckedChain


def judge_claim(claim: str | None) -> Verdict | None:
    """The verdict where the claim alone decides (`ParsedMail.claim`); None for a claim that can be true."""
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
) -> Verdict:
    """Check a mail whose one From is in a domain of Amazon's. Never raises.

    `mail_from` is the envelope's sender, empty for a bounce; `received_at`, when we accepted it: what a signature says of time
    is held to that, however late we come to look.
    """
    sender = Sender.of(peer_address, helo, mail_from)
    examined = await asyncio.to_thread(examine, raw, sender, from_domain, received_at)
    return await judge(examined, resolver)


def examine(raw: bytes, sender: Sender, from_domain: str, received_at: datetime) -> Examined | Verdict:
    """What can be found without the DNS. Never raises. Below a millisecond for an ordinary mail, a second for the largest."""
    try:
        mail = SignedMail.read(raw)
        return Examined(
            sender, from_domain, read_signatures(mail, received_at), read_chain(mail, received_at)
        )
    except (
        Exception
    ):  # a mail is shown whatever is in it (D8), in quarantine; a test holds that we never come here
        log.exception("check_failed")
        return _FAILED


async def judge(
    examined: Examined | Verdict,
    resolver: Resolver,
    *,
    seconds: float = MAX_SECONDS,
    whom_we_trust: Trusted | None = None,
) -> Verdict:
    """Ask the DNS what is left to know, for at most `seconds`, and decide. Never raises."""
    if isinstance(examined, Verdict):
        return examined
    try:
        return await _judge(examined, resolver, seconds, whom_we_trust or trusted())
    except Exception:  # as above
        log.exception("check_failed")
        return _FAILED


async def _judge(examined: Examined, resolver: Resolver, seconds: float, whom_we_trust: Trusted) -> Verdict:
    now = asyncio.get_running_loop().time()
    patient, hurried = Until(resolver, now + seconds), Until(resolver, now + min(seconds, NOTED_SECONDS))
    domain, from_domain = examined.sender.domain, examined.from_domain

    def whoever_asks(*, proves: bool) -> Resolver:
        return patient if proves else hurried

    checks = (
        check(one, whoever_asks(proves=whom_we_trust.signs_for(one.domain, from_domain)))
        for one in examined.signatures
    )
    dkim, spf, policy, arc = await asyncio.gather(
        asyncio.gather(*checks),
        check_host(whoever_asks(proves=is_aligned(domain, from_domain, strictly=False)), examined.sender),
        _policy(patient, from_domain),
        check_chain(examined.chain, whoever_asks(proves=whom_we_trust.seals(examined.chain.sealers))),
    )
    results = Results(tuple(dkim), spf, _dmarc(dkim, spf, policy, domain, from_domain), arc)
    written = results.written(examined.sender, from_domain)

    proof = _proof(results, examined, whom_we_trust)
    if proof is not None:
        return Verdict(Authenticity.AUTHENTIC, proof, written)
    if _may_yet_be_proven(results, examined, whom_we_trust):
        return Verdict(Authenticity.UNCHECKABLE, "dns_unavailable", written, is_temporary=True)
    return Verdict(Authenticity.FORGED, _why_not(dkim, from_domain, whom_we_trust), written)


async def _policy(resolver: Resolver, from_domain: str) -> Policy | Unanswered | None:
    try:
        return await find_policy(resolver, from_domain)
    except Unanswered as unanswered:
        return unanswered


def _dmarc(
    dkim: list[Checked], spf: str, policy: Policy | Unanswered | None, domain: str, from_domain: str
) -> str:
    """The result in the words of RFC 7489 §11.2."""
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


def _proof(results: Results, examined: Examined, whom_we_trust: Trusted) -> str | None:
    """What proves the mail, if anything does."""
    from_domain = examined.from_domain
    if any(one.passed and whom_we_trust.signs_for(one.signature.domain, from_domain) for one in results.dkim):
        return "signed_by_amazon"
    # An aligned signature would have been one of Amazon's, so what passed here is SPF.
    if results.dmarc == "pass":
        return "sent_by_amazon"
    attests = results.arc.result == "pass" and whom_we_trust.seals(results.arc.sealers)
    if attests and _was_proven_before(results.arc.first_results, from_domain, whom_we_trust):
        return "forwarded_from_amazon"
    return None


def _was_proven_before(first_results: str, from_domain: str, whom_we_trust: Trusted) -> bool:
    signers = domains_that_passed(first_results, "dkim", _DKIM_DOMAINS)
    return any(whom_we_trust.signs_for(signer, from_domain) for signer in signers)


def _may_yet_be_proven(results: Results, examined: Examined, whom_we_trust: Trusted) -> bool:
    """Whether an answer that did not come could prove the mail; what strangers' servers do not answer changes nothing."""
    from_domain = examined.from_domain
    return (
        any(
            one.is_unanswered and whom_we_trust.signs_for(one.signature.domain, from_domain)
            for one in results.dkim
        )
        or (
            results.dmarc == "temperror"
            and results.spf in {"pass", "temperror"}
            and is_aligned(examined.sender.domain, from_domain, strictly=False)
        )
        or (results.arc.result == "temperror" and whom_we_trust.seals(results.arc.sealers))
    )


def _why_not(dkim: list[Checked], from_domain: str, whom_we_trust: Trusted) -> str:
    """What is wrong with Amazon's topmost signature; without one, what there is instead."""
    if not dkim:
        return "not_signed"
    for one in dkim:
        if one.fault is not None and whom_we_trust.signs_for(one.signature.domain, from_domain):
            return one.fault.value
    return (
        "signer_not_amazon" if any(one.signature.domain for one in dkim) else Fault.SIGNATURE_MALFORMED.value
    )
