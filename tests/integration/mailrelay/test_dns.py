"""`dns --check` against a name server on loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from typing_extensions import override

from services.mailrelay.dns_check import asking, check, is_all_right, told
from services.mailrelay.dns_records import Verdict, records_for

DOMAIN, HOST = "relay.example", "mx1.relay.example"
RIGHT = {
    **{(record.name, record.kind): [record.value] for record in records_for(DOMAIN, HOST) if record.value},
    (HOST, "A"): ["192.0.2.25"],
    (HOST, "AAAA"): ["2001:db8::19"],
    (f"mta-sts.{DOMAIN}", "A"): ["192.0.2.80"],
    ("25.2.0.192.in-addr.arpa", "PTR"): [f"{HOST}."],
    (f"9.1.0.0.{'0.' * 20}8.b.d.0.1.0.0.2.ip6.arpa", "PTR"): [f"{HOST}."],
}
Zone = dict[tuple[str, str], list[str]]


class NameServer(asyncio.DatagramProtocol):
    """Answers from a zone; fails for names in `failing`; is silent for names in `silent`."""

    def __init__(self, zone: Zone, failing: set[str], silent: set[str]) -> None:
        self.zone, self.failing, self.silent = zone, failing, silent

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        name, kind = question.name.to_text(omit_final_dot=True), question.rdtype.name
        if name in self.silent:
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        values = self.zone.get((name, kind))
        if name in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif values is not None:
            words = [f'"{value[:9]}" "{value[9:]}"' if kind == "TXT" else value for value in values]
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *words))
        elif all(name != known for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(response.to_wire(), addr)


@contextlib.asynccontextmanager
async def name_server(
    zone: Zone, *, failing: set[str] | None = None, silent: set[str] | None = None
) -> AsyncIterator[int]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: NameServer(zone, failing or set(), silent or set()), local_addr=("127.0.0.1", 0)
    )
    try:
        yield int(transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


async def test_a_domain_that_is_set_up_is_all_right():
    async with name_server(RIGHT) as port:
        findings = await check(DOMAIN, HOST, asking(["127.0.0.1"], port=port))

    assert is_all_right(findings), told(findings)
    assert len(findings) == 10  # the two PTR records of the addresses that were found among them


async def test_each_record_gets_its_verdict():
    zone = {**RIGHT, (DOMAIN, "MX"): ["10 mail.elsewhere.example."], (DOMAIN, "TXT"): ["v=spf1 +all\x1b"]}
    del zone[f"_smtp._tls.{DOMAIN}", "TXT"]
    silent, failing = {f"_dmarc.{DOMAIN}"}, {f"_mta-sts.{DOMAIN}"}
    async with name_server(zone, failing=failing, silent=silent) as port:
        findings = await check(DOMAIN, HOST, asking(["127.0.0.1"], port=port, timeout_seconds=0.5))

    verdicts = {(finding.record.name, finding.record.kind): finding.verdict for finding in findings}
    assert {key: verdict for key, verdict in verdicts.items() if verdict is not Verdict.RIGHT} == {
        (DOMAIN, "MX"): Verdict.WRONG,
        (DOMAIN, "TXT"): Verdict.WRONG,
        (f"_dmarc.{DOMAIN}", "TXT"): Verdict.UNCHECKED,
        (f"_mta-sts.{DOMAIN}", "TXT"): Verdict.UNCHECKED,
        (f"_smtp._tls.{DOMAIN}", "TXT"): Verdict.MISSING,
    }
    words = told(findings)
    assert "there is:  10 mail.elsewhere.example." in words
    assert "should be: 10 mx1.relay.example." in words
    assert "\x1b" not in words
    assert not is_all_right(findings)


async def test_a_domain_with_nothing_lacks_all_but_what_nobody_needs():
    async with name_server({}) as port:
        findings = await check(DOMAIN, HOST, asking(["127.0.0.1"], port=port))

    assert {finding.record.kind for finding in findings if finding.verdict is Verdict.RIGHT} == {"AAAA"}
    assert {finding.verdict for finding in findings} == {Verdict.RIGHT, Verdict.MISSING}
