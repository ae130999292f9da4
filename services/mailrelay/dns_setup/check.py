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
    DnsRecord,
    RecordCheck,
    RecordStatus,
    check_record,
    pointer_for,
    policy_file,
    policy_for,
    policy_host,
    records_for,
)

# Asks for the records of a type at a name; None if there was no answer.
DnsLookup = Callable[[str, str], Awaitable[Sequence[str] | None]]
# Checks the MTA-STS policy that is served for a domain and a relay at an address.
PolicyCheck = Callable[[str, str, str], Awaitable[RecordCheck]]

_TIMEOUT_SECONDS: Final = 5


def lookup_with(
    nameservers: Sequence[str] = (), *, port: int = 53, timeout_seconds: float = _TIMEOUT_SECONDS
) -> DnsLookup:
    """A look-up that asks these name servers, or the machine's own. Nothing is kept between two questions."""

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


def lookup_at(resolver: str) -> DnsLookup:
    """A look-up that asks the name server at `ADDRESS` or `ADDRESS#PORT`. Raises ValueError."""
    address, _, port = resolver.partition("#")
    return lookup_with([str(ip_address(address))], port=int(port or 53))


async def check(
    domain: str, hostname: str, ask: DnsLookup, look: PolicyCheck = check_policy
) -> list[RecordCheck]:
    """Check every record, among them the PTR records of the addresses that were found, and the MTA-STS policy."""
    checks = await _check_all(records_for(domain, hostname), ask)
    addresses = [
        address
        for checked in checks
        if checked.record.name == hostname.rstrip(".").lower()
        for address in checked.found
        if checked.record.kind in {"A", "AAAA"}
    ]
    checks += await _check_all([pointer_for(address, hostname) for address in addresses], ask)
    web_server = next(checked for checked in checks if checked.record.name == policy_host(domain))
    if web_server.found:
        return [*checks, await look(domain, hostname, web_server.found[0])]
    return [
        *checks,
        check_record(
            policy_file(domain, hostname), None if web_server.status is RecordStatus.UNCHECKED else []
        ),
    ]


def instructions(domain: str, hostname: str) -> str:
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


def report(checks: Sequence[RecordCheck]) -> str:
    """The checks, one line each; what is not right says what should be there."""
    return "\n".join([*(line for checked in checks for line in _lines(checked)), NO_DKIM])


def is_all_right(checks: Sequence[RecordCheck]) -> bool:
    return all(checked.status is RecordStatus.RIGHT for checked in checks)


async def _check_all(records: Sequence[DnsRecord], ask: DnsLookup) -> list[RecordCheck]:
    answers = await asyncio.gather(*(ask(record.name, record.kind) for record in records))
    return [check_record(record, answer) for record, answer in zip(records, answers, strict=True)]


def _as_text(value: dns.rdata.Rdata) -> str:
    # RFC 7208 §3.3: a text of several strings is one text.
    if isinstance(value, dns.rdtypes.txtbase.TXTBase):
        return b"".join(value.strings).decode("utf-8", "replace")
    return value.to_text()


def _zone(record: DnsRecord) -> str:
    if record.value is None:
        return f"; {record.name}.  {record.kind}  (the address)"
    value = f'"{record.value}"' if record.kind == "TXT" else record.value
    return f"{record.name}.  {record.kind}  {value}"


def _lines(checked: RecordCheck) -> list[str]:
    record = checked.record
    lines = [f"{checked.status.value:22}{record.kind:6}{record.name}"]
    if checked.status is RecordStatus.WRONG:
        # What others have put into DNS may hold control characters, which a terminal would obey.
        lines += [f"{'':28}there is:  {ascii(value)[1:-1]}" for value in checked.found]
    if checked.status is not RecordStatus.RIGHT:
        first, *more = (record.value or record.reason).splitlines()
        lines += [f"{'':28}should be: {first}", *(f"{'':39}{line}" for line in more)]
    return lines
