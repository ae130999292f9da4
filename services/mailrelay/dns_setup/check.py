"""`python -m services.mailrelay dns`: the records to set, and what DNS says about them today."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.rdata
import dns.rdtypes.txtbase
import dns.resolver

from services.mailrelay.dns_setup.mta_sts import check_policy
from services.mailrelay.dns_setup.records import (
    NO_DKIM,
    Finding,
    Record,
    Verdict,
    judge,
    pointer_for,
    policy_file,
    policy_for,
    policy_host,
    records_for,
)

# What stands at a name, by its type; None when nobody could say.
Ask = Callable[[str, str], Awaitable[Sequence[str] | None]]
# What is served as the MTA-STS policy of a domain and a relay, at an address.
Look = Callable[[str, str, str], Awaitable[Finding]]

_TIMEOUT_SECONDS: Final = 5


def asking(
    nameservers: Sequence[str] = (), *, port: int = 53, timeout_seconds: float = _TIMEOUT_SECONDS
) -> Ask:
    """Questions to these name servers, or to the machine's own. Nothing is kept between two questions."""

    async def ask(name: str, kind: str) -> Sequence[str] | None:
        try:
            resolver = dns.asyncresolver.Resolver(configure=not nameservers)
            if nameservers:
                resolver.nameservers = list(nameservers)
                resolver.port = port
            answer = await resolver.resolve(
                f"{name}.", kind, raise_on_no_answer=False, search=False, lifetime=timeout_seconds
            )
        except dns.resolver.NXDOMAIN:
            return []
        except (dns.exception.DNSException, OSError):
            return None
        return [_as_text(value) for value in answer.rrset or ()]

    return ask


def asking_at(resolver: str) -> Ask:
    """Questions to `ADDRESS` or `ADDRESS#PORT`. Raises ValueError."""
    address, _, port = resolver.partition("#")
    return asking([str(ip_address(address))], port=int(port or 53))


async def check(domain: str, hostname: str, ask: Ask, look: Look = check_policy) -> list[Finding]:
    """Every record with its verdict, PTR records of the addresses that were found and the MTA-STS policy included."""
    findings = await _judged(records_for(domain, hostname), ask)
    addresses = [
        address
        for finding in findings
        if finding.record.name == hostname.rstrip(".").lower()
        for address in finding.found
        if finding.record.kind in {"A", "AAAA"}
    ]
    findings += await _judged([pointer_for(address, hostname) for address in addresses], ask)
    web_server = next(finding for finding in findings if finding.record.name == policy_host(domain))
    if web_server.found:
        return [*findings, await look(domain, hostname, web_server.found[0])]
    return [
        *findings,
        judge(policy_file(domain, hostname), None if web_server.verdict is Verdict.UNCHECKED else []),
    ]


def to_set(domain: str, hostname: str) -> str:
    """What the operator has to do, in words and zone-file lines."""
    lines = [
        f"; Mail for {domain}. Every record, in the order in which it matters.",
        *(line for record in records_for(domain, hostname) for line in (f"; {record.reason}", _zone(record))),
        "; the name of each of the relay's addresses, set where the address is rented",
        f"; (the address, reversed)  PTR  {hostname.rstrip('.').lower()}.",
        f"; {NO_DKIM}",
        "",
        f"; MTA-STS policy: serve this text, as text/plain, at {policy_file(domain, hostname).name}",
        "; once STARTTLS shows a certificate for the relay's name. When a week's reports show no failure, write",
        "; `mode: enforce` and change the id of the _mta-sts record.",
        *(f";   {line}" for line in policy_for(hostname).splitlines()),
    ]
    return "\n".join(lines)


def told(findings: Sequence[Finding]) -> str:
    """The findings, one line each; what is not right says what should be there."""
    return "\n".join([*(line for finding in findings for line in _lines(finding)), NO_DKIM])


def is_all_right(findings: Sequence[Finding]) -> bool:
    return all(finding.verdict is Verdict.RIGHT for finding in findings)


async def _judged(records: Sequence[Record], ask: Ask) -> list[Finding]:
    answers = await asyncio.gather(*(ask(record.name, record.kind) for record in records))
    return [judge(record, answer) for record, answer in zip(records, answers, strict=True)]


def _as_text(value: dns.rdata.Rdata) -> str:
    # RFC 7208 §3.3: a text of several strings is one text.
    if isinstance(value, dns.rdtypes.txtbase.TXTBase):
        return b"".join(value.strings).decode("utf-8", "replace")
    return value.to_text()


def _zone(record: Record) -> str:
    if record.value is None:
        return f"; {record.name}.  {record.kind}  (the address)"
    value = f'"{record.value}"' if record.kind == "TXT" else record.value
    return f"{record.name}.  {record.kind}  {value}"


def _lines(finding: Finding) -> list[str]:
    record = finding.record
    lines = [f"{finding.verdict.value:22}{record.kind:6}{record.name}"]
    if finding.verdict is Verdict.WRONG:
        # What others have put into DNS may hold control characters, which a terminal would obey.
        lines += [f"{'':28}there is:  {ascii(value)[1:-1]}" for value in finding.found]
    if finding.verdict is not Verdict.RIGHT:
        first, *more = (record.value or record.reason).splitlines()
        lines += [f"{'':28}should be: {first}", *(f"{'':39}{line}" for line in more)]
    return lines
