"""`python -m services.mailrelay dns`: the records to set, and what DNS says about them today."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
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
    NO_SMARTHOST,
    DnsRecord,
    RecordCheck,
    RecordStatus,
    check_record,
    dkim_record,
    pointer_for,
    policy_file,
    policy_for,
    policy_host,
    records_for,
)
from shared.crypto.dkim_keys import DkimKey

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


@dataclass(frozen=True, slots=True)
class Sending:
    """How replies leave the mail domain, as far as its records say it (`records_for`)."""

    smarthost_spf: str | None = None
    dkim_keys: Sequence[DkimKey] = ()

    def records(self, domain: str, hostname: str) -> tuple[DnsRecord, ...]:
        return records_for(domain, hostname, smarthost_spf=self.smarthost_spf, dkim_keys=self.dkim_keys)

    def notes(self) -> list[str]:
        """What the records leave open."""
        missing = ((self.smarthost_spf is None, NO_SMARTHOST), (not self.dkim_keys, NO_DKIM))
        return [note for is_missing, note in missing if is_missing]


NOTHING_SENT: Final = Sending()


async def check(
    domain: str,
    hostname: str,
    ask: DnsLookup,
    look: PolicyCheck = check_policy,
    *,
    sending: Sending = NOTHING_SENT,
) -> list[RecordCheck]:
    """Check every record, among them the PTR records of the addresses that were found, and the MTA-STS policy."""
    checks = await _check_with_pointers(sending.records(domain, hostname), hostname, ask)
    web_server = next(checked for checked in checks if checked.record.name == policy_host(domain))
    if web_server.found:
        return [*checks, await look(domain, hostname, web_server.found[0])]
    return [
        *checks,
        check_record(
            policy_file(domain, hostname), None if web_server.status is RecordStatus.UNCHECKED else []
        ),
    ]


async def check_mail_host(domain: str, hostname: str, ask: DnsLookup) -> list[RecordCheck]:
    """What leads a mail to the relay: the MX record, the host's addresses, and their names."""
    host = hostname.rstrip(".").lower()
    records = [
        record
        for record in NOTHING_SENT.records(domain, hostname)
        if record.kind == "MX" or (record.name == host and record.kind in {"A", "AAAA"})
    ]
    return await _check_with_pointers(records, hostname, ask)


async def check_dkim_record(key: DkimKey, domain: str, ask: DnsLookup) -> RecordCheck:
    """Whether the DNS shows the record of this key."""
    [checked] = await _check_all([dkim_record(key, domain)], ask)
    return checked


def instructions(domain: str, hostname: str, *, sending: Sending = NOTHING_SENT) -> str:
    """What the operator has to do, in words and zone-file lines."""
    records = sending.records(domain, hostname)
    lines = [
        f"; Mail for {domain}. Every record, in the order in which it matters.",
        *(line for record in records for line in (f"; {record.reason}", zone_line(record))),
        "; the name of each of the relay's addresses, set where the address is rented",
        f"; (the address, reversed)  PTR  {hostname.rstrip('.').lower()}.",
        *(f"; {note}" for note in sending.notes()),
        "",
        f"; MTA-STS policy: serve this text, as text/plain, at {policy_file(domain, hostname).name}",
        "; once STARTTLS shows a certificate for the relay's name. When a week's reports show no failure, write",
        "; `mode: enforce` and change the id of the _mta-sts record.",
        *(f";   {line}" for line in policy_for(hostname).splitlines()),
    ]
    return "\n".join(lines)


def report(checks: Sequence[RecordCheck], *, sending: Sending = NOTHING_SENT) -> str:
    """The checks, one line each; what is not right says what should be there."""
    return "\n".join([*(line for checked in checks for line in _lines(checked)), *sending.notes()])


def is_all_right(checks: Sequence[RecordCheck]) -> bool:
    return all(checked.status is RecordStatus.RIGHT for checked in checks)


def zone_line(record: DnsRecord) -> str:
    """A record as a zone file has it."""
    if record.value is None:
        return f"; {record.name}.  {record.kind}  (the address)"
    value = " ".join(f'"{text}"' for text in record.strings) if record.kind == "TXT" else record.value
    return f"{record.name}.  {record.kind}  {value}"


async def _check_with_pointers(
    records: Sequence[DnsRecord], hostname: str, ask: DnsLookup
) -> list[RecordCheck]:
    checks = await _check_all(records, ask)
    addresses = [
        address
        for checked in checks
        if checked.record.name == hostname.rstrip(".").lower()
        for address in checked.found
        if checked.record.kind in {"A", "AAAA"}
    ]
    return checks + await _check_all([pointer_for(address, hostname) for address in addresses], ask)


async def _check_all(records: Sequence[DnsRecord], ask: DnsLookup) -> list[RecordCheck]:
    answers = await asyncio.gather(*(ask(record.name, record.kind) for record in records))
    return [check_record(record, answer) for record, answer in zip(records, answers, strict=True)]


def _as_text(value: dns.rdata.Rdata) -> str:
    # RFC 7208 §3.3: a text of several strings is one text.
    if isinstance(value, dns.rdtypes.txtbase.TXTBase):
        return b"".join(value.strings).decode("utf-8", "replace")
    return value.to_text()


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
