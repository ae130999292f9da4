"""What forwarders say that they found: whose word is taken, and what breaks a chain."""

import dkim
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.mailrelay.authenticity.macros import Sender
from services.mailrelay.authenticity.nameservers import NameServers
from services.mailrelay.authenticity.signers import TrustedSigners, read_trusted_signers, trusted_signers
from services.mailrelay.authenticity.verdict import Verdict, decide, examine
from shared.tables import Authenticity
from tests.integration.mailrelay.authenticity.by_hand import RSA_KEY, key_record
from tests.integration.mailrelay.authenticity.conftest import MAIL, NOW
from tests.signing import NameServer

PEM = RSA_KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
TRUSTED = TrustedSigners(
    trusted_signers().signers, sealers=frozenset({"forwarder.example", "second.example"})
)
SEALED_HEADERS = [b"from", b"to", b"subject", b"date", b"content-type"]


def sealed(raw: bytes, by: str = "forwarder.example", found: str = "dkim=pass header.d=amazon.de") -> bytes:
    """As the forwarder sends it on; `found` is what it says that it found."""
    raw = f"Authentication-Results: {by}; {found}\r\n".encode() + raw
    fields = dkim.arc_sign(raw, b"arc", by.encode(), PEM, by.encode(), include_headers=SEALED_HEADERS)
    return b"".join(fields) + raw


@pytest.fixture(autouse=True)
def _published(dns: NameServer) -> None:
    for domain in ("forwarder.example", "second.example", "anybody.example"):
        dns.zone.text(f"arc._domainkey.{domain}", key_record(RSA_KEY))


async def verdict_on(raw: bytes, resolver: NameServers, trusted_signers: TrustedSigners = TRUSTED) -> Verdict:
    # What is only noted is not waited for: here it is known before.
    for domain in ("forwarder.example", "second.example", "anybody.example"):
        await resolver.ask(f"arc._domainkey.{domain}", "TXT")
    examined = examine(raw, Sender.of("192.0.2.1", "x", ""), "marketplace.amazon.de", NOW)
    return await decide(examined, resolver, trusted=trusted_signers)


async def test_the_word_of_a_trusted_forwarder_is_taken(resolver: NameServers):
    verdict = await verdict_on(sealed(MAIL), resolver)

    assert (verdict.authenticity, verdict.reason) == (Authenticity.AUTHENTIC, "forwarded_from_amazon")
    assert verdict.results.endswith("arc=pass arc.chain=forwarder.example")


async def test_the_word_of_two_is_taken_if_both_are_trusted(resolver: NameServers):
    twice = sealed(sealed(MAIL), by="second.example", found="dkim=none; arc=pass")

    verdict = await verdict_on(twice, resolver)

    assert verdict.reason == "forwarded_from_amazon"
    assert 'arc.chain="forwarder.example:second.example"' in verdict.results


@pytest.mark.parametrize(
    "raw",
    [
        sealed(MAIL, by="anybody.example"),
        sealed(sealed(MAIL, by="anybody.example"), by="second.example", found="arc=pass"),
        sealed(sealed(MAIL), by="anybody.example", found="arc=pass"),
    ],
    ids=["alone", "before a trusted one", "after a trusted one"],
)
async def test_the_word_of_anybody_is_not_taken(resolver: NameServers, raw: bytes):
    verdict = await verdict_on(raw, resolver)

    assert (verdict.authenticity, verdict.reason) == (Authenticity.FORGED, "not_signed")
    assert "arc=pass" in verdict.results


async def test_by_default_nobodys_word_is_taken(resolver: NameServers):
    assert (await verdict_on(sealed(MAIL), resolver, trusted_signers())).reason == "not_signed"


@pytest.mark.parametrize(
    "found",
    [
        "dkim=fail header.d=amazon.de",
        "dkim=pass header.d=evil.example",
        "spf=pass smtp.mailfrom=x@amazon.de",
        "dkim=none (dkim=pass header.d=amazon.de)",
        "dkim=pass header.s=amazon.de",
    ],
)
async def test_what_the_forwarder_did_not_find_is_not_believed(resolver: NameServers, found: str):
    assert (await verdict_on(sealed(MAIL, found=found), resolver)).reason == "not_signed"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Lampe?", b"Lampe!"),
        (b"Subject: Frage", b"Subject: Antwort"),
        (b"ARC-Authentication-Results: i=1;", b"ARC-Authentication-Results: i=1; "),
        (b"cv=none", b"cv=pass"),
        (b"ARC-Seal: i=1", b"ARC-Seal: i=2"),
        (b"ARC-Message-Signature: i=1", b"X-ARC-Message-Signature: i=1"),
        (b"ARC-Seal: i=1", b"ARC-Seal: i=x"),
    ],
    ids=["body", "subject", "results", "cv", "instance", "no signature", "no number"],
)
async def test_a_broken_chain_proves_nothing(resolver: NameServers, old: bytes, new: bytes):
    raw = sealed(MAIL, found="dkim=pass header.d=amazon.de")
    assert old in raw

    verdict = await verdict_on(raw.replace(old, new, 1), resolver)

    expected = "pass" if old.startswith(b"ARC-Auth") else "fail"  # a blank more is the same in relaxed form
    assert f"arc={expected}" in verdict.results
    assert (verdict.authenticity is Authenticity.AUTHENTIC) == (expected == "pass")


async def test_a_chain_longer_than_anybody_makes_is_not_followed(resolver: NameServers):
    raw = sealed(MAIL)
    for _ in range(10):
        raw = sealed(raw, found="arc=pass")

    assert "arc=fail" in (await verdict_on(raw, resolver)).results


async def test_a_seal_that_cannot_be_checked_is_no_forgery(resolver: NameServers, dns: NameServer):
    raw = sealed(MAIL).replace(b"s=arc", b"s=slow")
    dns.zone.failing.add("slow._domainkey.forwarder.example")

    verdict = await verdict_on(raw, resolver)

    assert (verdict.authenticity, verdict.is_temporary) == (Authenticity.UNCHECKABLE, True)


def test_a_sealer_in_the_data_is_trusted():
    text = '[[signers]]\ndomain = "amazon.de"\nassumed = true\nsource = "for this test"\n'
    text += '[[sealers]]\ndomain = "mail.shop.example"\nsource = "for this test"\n'

    assert read_trusted_signers(text).seals(("mail.shop.example",))
    assert not read_trusted_signers(text).seals(())
