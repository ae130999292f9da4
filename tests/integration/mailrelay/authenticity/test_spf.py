"""SPF, by the ideas of RFC 7208's own examples: what records say, what they cost, and what breaks them."""

import pytest

from services.mailrelay.authenticity.macros import Sender
from services.mailrelay.authenticity.nameservers import NameServers
from services.mailrelay.authenticity.spf import MAX_LOOKUPS, check_host
from tests.signing import NameServer

IPV4, IPV6 = "192.0.2.3", "2001:db8::cb01"


async def result_of(
    resolver: NameServers,
    *,
    peer: str = IPV4,
    mail_from: str = "user@e.example",
    helo: str = "mail.e.example",
) -> str:
    return await check_host(resolver, Sender.of(peer, helo, mail_from))


@pytest.fixture(autouse=True)
def _zone(dns: NameServer) -> None:
    records = dns.zone.records
    records["e.example", "A"] = ["192.0.2.1"]
    records["e.example", "AAAA"] = ["2001:db8::1"]
    records["e.example", "MX"] = ["10 mx1.e.example.", "20 mx2.e.example."]
    records["mx1.e.example", "A"] = ["192.0.2.9"]
    records["mx2.e.example", "A"] = ["192.0.2.3"]
    records["mx2.e.example", "AAAA"] = ["2001:db8::cb01"]
    records["3.2.0.192.in-addr.arpa", "PTR"] = ["other.example.", "mx2.e.example."]
    dns.zone.text("passes.example", "v=spf1 ip4:192.0.2.3 -all")
    dns.zone.text("refuses.example", "v=spf1 -all")
    dns.zone.text("loop.example", "v=spf1 include:loop.example -all")
    dns.zone.text("circle.example", "v=spf1 redirect=circle.example")


@pytest.mark.parametrize(
    ("record", "result"),
    [
        ("v=spf1 +all", "pass"),
        ("v=spf1 -all", "fail"),
        ("v=spf1 ~all", "softfail"),
        ("v=spf1 ?all", "neutral"),
        ("v=spf1", "neutral"),
        ("V=SPF1 -ALL", "fail"),
        ("v=spf10 -all", "none"),
        ("v=spf1 ip4:192.0.2.3 -all", "pass"),
        ("v=spf1 ip4:192.0.2.0/29 -all", "pass"),
        ("v=spf1 -ip4:192.0.2.3 +all", "fail"),
        ("v=spf1 ip6:2001:db8::/32 -all", "fail"),
        ("v=spf1 a -all", "fail"),
        ("v=spf1 a/24 -all", "pass"),
        ("v=spf1 a:mx2.e.example -all", "pass"),
        ("v=spf1 mx -all", "pass"),
        ("v=spf1 mx:e.example/32//128 -all", "pass"),
        ("v=spf1 ptr -all", "pass"),
        ("v=spf1 ptr:other.example -all", "fail"),
        ("v=spf1 exists:mx1.e.example -all", "pass"),
        ("v=spf1 exists:nothing.e.example -all", "fail"),
        ("v=spf1 exists:%{ir}.no.example exists:%{d} -all", "pass"),
        ("v=spf1 include:passes.example -all", "pass"),
        ("v=spf1 include:refuses.example ~all", "softfail"),
        ("v=spf1 include:nothing.example -all", "permerror"),
        ("v=spf1 redirect=passes.example", "pass"),
        ("v=spf1 ip4:192.0.2.4 redirect=refuses.example", "fail"),
        ("v=spf1 redirect=passes.example -all", "fail"),
        ("v=spf1 redirect=nothing.example", "permerror"),
        ("v=spf1 redirect=a.example redirect=b.example", "permerror"),
        ("v=spf1 exp=why.e.example moo=cow -all", "fail"),
        ("v=spf1 +all ip4:192.0.2.300", "permerror"),
        ("v=spf1 ip4:2001:db8::1 -all", "permerror"),
        ("v=spf1 a/33 -all", "permerror"),
        ("v=spf1 all:e.example", "permerror"),
        ("v=spf1 include -all", "permerror"),
        ("v=spf1 include:passes.example/24 -all", "permerror"),
        ("v=spf1 moo -all", "permerror"),
        ("v=spf1 a:%{x}.example -all", "permerror"),
        ("v=spf1 a:%%%{ -all", "permerror"),
        ("v=spf1 a:toplabel -all", "permerror"),
        ("v=spf1 täst -all", "permerror"),
        ("v=spf1 include:loop.example -all", "permerror"),
        ("v=spf1 redirect=circle.example", "permerror"),
        ("nothing of spf", "none"),
    ],
)
async def test_what_a_record_says_of_an_address(
    resolver: NameServers, dns: NameServer, record: str, result: str
):
    dns.zone.text("e.example", record)

    assert await result_of(resolver) == result


@pytest.mark.parametrize(
    ("record", "result"),
    [
        ("v=spf1 ip4:0.0.0.0/0 -all", "fail"),
        ("v=spf1 ip6:2001:db8::/32 -all", "pass"),
        ("v=spf1 a//32 -all", "pass"),
        ("v=spf1 a/32 -all", "fail"),
        ("v=spf1 mx -all", "pass"),
    ],
)
async def test_addresses_of_version_6_are_compared_with_their_own_records(
    resolver: NameServers, dns: NameServer, record: str, result: str
):
    dns.zone.text("e.example", record)

    assert await result_of(resolver, peer=IPV6) == result


async def test_two_records_are_an_error(resolver: NameServers, dns: NameServer):
    dns.zone.text("e.example", "v=spf1 -all", "v=spf1 +all", "and a note")

    assert await result_of(resolver) == "permerror"


async def test_a_record_in_pieces_is_one(resolver: NameServers, dns: NameServer):
    dns.zone.text("e.example", "v=spf1 " + "ip4:198.51.100.1 " * 60 + "ip4:192.0.2.3 -all")

    assert await result_of(resolver) == "pass"


@pytest.mark.parametrize(("includes", "result"), [(MAX_LOOKUPS, "pass"), (MAX_LOOKUPS + 1, "permerror")])
async def test_ten_lookups_are_allowed(resolver: NameServers, dns: NameServer, includes: int, result: str):
    names = [f"i{number}.example" for number in range(includes)]
    for name in names:
        dns.zone.text(name, "v=spf1 ?all" if name != names[-1] else "v=spf1 +all")
    dns.zone.text("e.example", "v=spf1 " + " ".join(f"include:{name}" for name in names) + " -all")

    assert await result_of(resolver) == result


@pytest.mark.parametrize(("voids", "result"), [(2, "pass"), (3, "permerror")])
async def test_two_names_that_do_not_exist_are_allowed(
    resolver: NameServers, dns: NameServer, voids: int, result: str
):
    dns.zone.text("e.example", "v=spf1 " + " ".join(f"a:v{n}.example" for n in range(voids)) + " +all")

    assert await result_of(resolver) == result


async def test_mail_servers_beyond_ten_are_an_error(resolver: NameServers, dns: NameServer):
    dns.zone.records["e.example", "MX"] = [f"10 m{number}.e.example." for number in range(11)]
    dns.zone.text("e.example", "v=spf1 mx -all")

    assert await result_of(resolver) == "permerror"


async def test_questions_are_bounded_whatever_the_record_says(resolver: NameServers, dns: NameServer):
    for number in range(8):
        dns.zone.records[f"d{number}.example", "MX"] = [f"10 m{n}.d{number}.example." for n in range(10)]
        for n in range(10):
            dns.zone.records[f"m{n}.d{number}.example", "A"] = ["192.0.2.250"]
    dns.zone.text("e.example", "v=spf1 " + " ".join(f"mx:d{number}.example" for number in range(8)) + " +all")

    assert await result_of(resolver) == "permerror"
    assert len(dns.zone.asked) <= 40


async def test_no_answer_is_a_temporary_error(resolver: NameServers, dns: NameServer):
    dns.zone.text("e.example", "v=spf1 include:slow.example -all")
    dns.zone.failing.add("slow.example")

    assert await result_of(resolver) == "temperror"


@pytest.mark.parametrize(
    ("mail_from", "helo", "result"),
    [
        ("", "passes.example", "pass"),
        ("", "refuses.example", "fail"),
        ("", "nodots", "none"),
        ("", "[192.0.2.3]", "none"),
        ("@passes.example", "x", "pass"),
        ("nobody", "x", "none"),
        ("a@b@passes.example", "x", "pass"),
        ("a@e..example", "x", "none"),
        (f"a@{'x' * 64}.example", "x", "none"),
    ],
)
async def test_whose_record_is_asked_for(resolver: NameServers, mail_from: str, helo: str, result: str):
    assert await result_of(resolver, mail_from=mail_from, helo=helo) == result
