"""Which mails are believed to be Amazon's, and why the others are not."""

import re
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from services.mailrelay.authenticity.nameservers import NameServers
from services.mailrelay.authenticity.signers import TrustedSigners, trusted_signers
from services.mailrelay.authenticity.verdict import decide_claim
from services.sandbox.mail.dkim_signing import publish_amazon, sign
from services.sandbox.state.signing_key import SigningKey
from shared.tables import Authenticity
from tests.integration.mailrelay.authenticity.by_hand import ED25519_KEY, RSA_KEY, key_record, sign_by_hand
from tests.integration.mailrelay.authenticity.conftest import MAIL, NOW, verdict_on
from tests.signing import NameServer, signed

# Of 512 bits, which no library makes any more.
SHORT_KEY = "v=DKIM1; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAOaBTGmAO/aUovwdx5oJsUNts8qZDHGLsnaGfYZPullLyeWr14xX6NzphPwcRmDPeir+9wiY26oDhTctRWatQMECAwEAAQ=="
BODY_LENGTH = len(b"Guten Tag,\r\nwann  kommt meine Lampe?\t\r\n")
HAND = "hand._domainkey.amazon.de"
# As if signers.toml named an envelope domain.
NAMED = TrustedSigners(trusted_signers().signers, envelopes=frozenset({"amazon.de"}))

# Made anew in each process, so tests are named by what becomes of them.
CHANGED: list[tuple[bytes, str]] = [
    (signed(MAIL).replace(b"Lampe?\t", b"Lampe!\t"), "body_changed"),
    (signed(MAIL) + b"and more\r\n", "body_changed"),
    (signed(MAIL).replace(b"Subject: Frage", b"Subject: Antwort"), "signature_invalid"),
    (signed(MAIL).replace(b"abc123", b"abc124"), "signature_invalid"),
    (b"Subject: Dringend!\r\n" + signed(MAIL), "header_added"),
    (b"Content-Type: text/html\r\n" + signed(MAIL), "header_added"),
    (sign_by_hand(MAIL, h="from:to:subject:date"), "header_added"),
    (b"Reply-To: otherbuyer@marketplace.amazon.de\r\n" + sign_by_hand(MAIL), "header_added"),
    (sign_by_hand(MAIL, h="from:to:date:content-type"), "header_added"),
    (sign_by_hand(MAIL, x=str(int((NOW - timedelta(hours=1)).timestamp()))), "signature_expired"),
    (sign_by_hand(MAIL, l=str(BODY_LENGTH - 5)), "body_not_covered"),
    (sign_by_hand(MAIL, l="0"), "body_not_covered"),
    (sign_by_hand(MAIL, a="rsa-sha1"), "algorithm_refused"),
    (sign_by_hand(MAIL, s="nobody"), "key_missing"),
    (sign_by_hand(MAIL, h="to:subject:date"), "signature_malformed"),
    (sign_by_hand(MAIL, v="2"), "signature_malformed"),
    (sign_by_hand(MAIL, i="@amazon.com"), "signature_malformed"),
    (sign_by_hand(MAIL, c="odd/simple"), "signature_malformed"),
    (sign_by_hand(MAIL, l="-1"), "signature_malformed"),
    (sign_by_hand(MAIL, d="amazon.de\u00e9"), "signature_malformed"),
    (sign_by_hand(MAIL, without="bh"), "signature_malformed"),
    (b"DKIM-Signature: " + b"x" * 20_000 + b"\r\n" + MAIL, "signature_malformed"),
    (b"DKIM-Signature: a=b; a=b\r\n" + MAIL, "signature_malformed"),
    (MAIL, "not_signed"),
]
RECORDS: list[tuple[str, str]] = [
    (key_record(RSA_KEY, p=""), "key_revoked"),
    (SHORT_KEY, "key_weak"),
    (key_record(RSA_KEY, k="ed25519"), "key_unusable"),
    (key_record(RSA_KEY, v="DKIM2"), "key_unusable"),
    (key_record(RSA_KEY, h="sha1"), "key_unusable"),
    (key_record(RSA_KEY, s="tlsrpt"), "key_unusable"),
    (key_record(RSA_KEY, p="bm90IGEga2V5"), "key_unusable"),
    (key_record(RSA_KEY, p="%%%"), "key_unusable"),
    ("any text", "key_unusable"),
    (key_record(generate_private_key(65_537, 1024)), "signature_invalid"),
]
BESIDES: list[tuple[dict[str, Any], str]] = [
    ({}, key_record(RSA_KEY)),
    ({}, key_record(RSA_KEY, t="y", n="a note", s="email", h="sha1:sha256")),
    ({"l": str(BODY_LENGTH)}, key_record(RSA_KEY)),
    ({"x": str(int((NOW + timedelta(hours=1)).timestamp())), "t": "1"}, key_record(RSA_KEY)),
    ({"i": "bounce@eu.amazon.de"}, key_record(RSA_KEY)),
    ({"h": "from:from:subject:subject:to:date:reply-to:content-type"}, key_record(RSA_KEY)),
    ({"q": "dns/txt:other", "z": "From:x"}, key_record(RSA_KEY)),
]


@pytest.fixture(autouse=True)
def _published(dns: NameServer) -> None:
    dns.zone.text(HAND, key_record(RSA_KEY))


async def test_a_mail_that_amazon_has_signed_is_authentic(resolver: NameServers):
    verdict = await verdict_on(signed(MAIL), resolver)

    assert (verdict.authenticity, verdict.reason) == (Authenticity.AUTHENTIC, "signed_by_amazon")
    assert verdict.results.startswith(
        "mailrelay; dkim=pass header.d=amazon.de header.s=test header.a=ed25519-sha256; spf="
    )
    assert "dmarc=pass header.from=marketplace.amazon.de" in verdict.results


@pytest.mark.parametrize("name", ["marketplace.amazon.de", "amazon.de", "eu.amazon.de", "amazon.com"])
async def test_any_of_amazons_own_names_may_sign(resolver: NameServers, dns: NameServer, name: str):
    dns.zone.text(f"hand._domainkey.{name}", key_record(RSA_KEY))

    verdict = await verdict_on(sign_by_hand(MAIL, d=name), resolver)

    assert verdict.reason == "signed_by_amazon"


async def test_signatures_of_rsa_and_ed25519_by_another_program_are_understood(
    resolver: NameServers, dns: NameServer
):
    key = SigningKey(generate_private_key(65_537, 1024))
    publish_amazon(dns.zone, key, ["192.0.2.1"])

    await resolver.ask("sandbox._domainkey.amazonses.com", "TXT")  # what proves nothing is not waited for

    verdict = await verdict_on(sign(MAIL, key, "amazon.de", "amazonses.com"), resolver)

    assert verdict.reason == "signed_by_amazon"
    assert "dkim=pass header.d=amazonses.com" in verdict.results


@pytest.mark.parametrize(
    ("changed", "reason"),
    CHANGED,
    ids=[f"{number} {reason}" for number, (_, reason) in enumerate(CHANGED)],
)
async def test_why_a_mail_is_not_believed(resolver: NameServers, changed: bytes, reason: str):
    verdict = await verdict_on(changed, resolver)

    assert (verdict.authenticity, verdict.reason) == (Authenticity.FORGED, reason)
    assert not verdict.is_temporary


@pytest.mark.parametrize(
    ("record", "reason"),
    RECORDS,
    ids=[f"{number} {reason}" for number, (_, reason) in enumerate(RECORDS)],
)
async def test_a_key_that_does_not_count_proves_nothing(
    resolver: NameServers, dns: NameServer, record: str, reason: str
):
    dns.zone.text(HAND, record)

    verdict = await verdict_on(sign_by_hand(MAIL), resolver)

    assert (verdict.authenticity, verdict.reason) == (Authenticity.FORGED, reason)


@pytest.mark.parametrize(
    ("tags", "record"),
    BESIDES,
    ids=[
        "plain",
        "key with notes",
        "length",
        "expires later",
        "identity below",
        "headers that are not there",
        "queries",
    ],
)
async def test_what_signers_and_keys_may_say_besides(
    resolver: NameServers, dns: NameServer, tags: dict[str, Any], record: str
):
    dns.zone.text(HAND, record)

    assert (await verdict_on(sign_by_hand(MAIL, **tags), resolver)).reason == "signed_by_amazon"


async def test_a_key_for_the_domain_alone_is_not_for_names_below(resolver: NameServers, dns: NameServer):
    dns.zone.text(HAND, key_record(RSA_KEY, t="s"))

    assert (await verdict_on(sign_by_hand(MAIL), resolver)).reason == "signed_by_amazon"
    assert (await verdict_on(sign_by_hand(MAIL, i="@eu.amazon.de"), resolver)).reason == "key_unusable"


async def test_an_ed25519_signature_counts(resolver: NameServers, dns: NameServer):
    dns.zone.text(HAND, key_record(ED25519_KEY))

    assert (await verdict_on(sign_by_hand(MAIL, ED25519_KEY), resolver)).reason == "signed_by_amazon"


async def test_one_of_two_signatures_is_enough(resolver: NameServers):
    verdict = await verdict_on(sign_by_hand(sign_by_hand(MAIL), s="nobody"), resolver)

    assert verdict.reason == "signed_by_amazon"
    assert re.search("dkim=permerror reason=.key missing.*dkim=pass", verdict.results)


@pytest.mark.parametrize(
    "domain", ["amazonses.com", "evil.example", "amazon.de.evil.example", "notamazon.de", "amazon.fr"]
)
async def test_a_valid_signature_of_somebody_else_proves_nothing(
    resolver: NameServers, dns: NameServer, domain: str
):
    dns.zone.text(f"hand._domainkey.{domain}", key_record(RSA_KEY))

    verdict = await verdict_on(sign_by_hand(MAIL, d=domain), resolver)

    assert (verdict.authenticity, verdict.reason) == (Authenticity.FORGED, "signer_not_amazon")


async def test_of_several_signatures_the_reason_is_that_of_amazons(resolver: NameServers, dns: NameServer):
    dns.zone.text("hand._domainkey.evil.example", key_record(RSA_KEY))
    changed = sign_by_hand(MAIL).replace(b"Lampe?", b"Lampe!")

    verdict = await verdict_on(sign_by_hand(changed, d="evil.example"), resolver)

    assert verdict.reason == "body_changed"


async def test_more_signatures_than_anybody_makes_are_not_looked_at(resolver: NameServers):
    many = sign_by_hand(MAIL)
    for number in range(8):
        many = sign_by_hand(many, d="evil.example", s=f"s{number}")

    verdict = await verdict_on(many, resolver)

    assert verdict.reason == "signer_not_amazon"
    assert verdict.results.count("dkim=") == 8


async def test_a_key_behind_an_alias_is_found(resolver: NameServers, dns: NameServer):
    del dns.zone.records[HAND, "TXT"]
    dns.zone.records[HAND, "CNAME"] = ["hand.dkim.example."]
    dns.zone.text("hand.dkim.example", key_record(RSA_KEY))

    assert (await verdict_on(sign_by_hand(MAIL), resolver)).reason == "signed_by_amazon"


async def test_a_key_of_many_kilobytes_is_fetched_whole(resolver: NameServers, dns: NameServer):
    dns.zone.text(HAND, key_record(RSA_KEY, n="x" * 20_000))

    assert (await verdict_on(sign_by_hand(MAIL), resolver)).reason == "signed_by_amazon"


async def test_the_next_of_several_keys_is_tried_if_one_is_unusable(resolver: NameServers, dns: NameServer):
    dns.zone.text(HAND, "unrelated", key_record(RSA_KEY))

    assert (await verdict_on(sign_by_hand(MAIL), resolver)).reason == "signed_by_amazon"


async def test_an_unanswered_question_is_no_forgery(resolver: NameServers, dns: NameServer):
    dns.zone.failing.add(HAND)

    verdict = await verdict_on(sign_by_hand(MAIL), resolver)

    assert (verdict.authenticity, verdict.reason) == (Authenticity.UNCHECKABLE, "dns_unavailable")
    assert verdict.is_temporary
    assert "dkim=temperror header.d=amazon.de" in verdict.results


async def test_what_a_strangers_servers_do_not_say_delays_no_verdict(resolver: NameServers, dns: NameServer):
    dns.zone.failing.add("hand._domainkey.evil.example")

    verdict = await verdict_on(sign_by_hand(MAIL, d="evil.example"), resolver)

    assert (verdict.authenticity, verdict.reason) == (Authenticity.FORGED, "signer_not_amazon")


async def test_a_changed_body_needs_no_question_to_be_forged(resolver: NameServers, dns: NameServer):
    dns.zone.failing.add(HAND)

    verdict = await verdict_on(sign_by_hand(MAIL).replace(b"Lampe?", b"Lampe!"), resolver)

    assert (verdict.authenticity, verdict.reason) == (Authenticity.FORGED, "body_changed")


@pytest.mark.parametrize("mail_from", ["x@amazon.de", "x@bounces.amazon.de", "x@eu.amazon.de"])
async def test_a_host_of_amazons_alone_proves_nothing(resolver: NameServers, dns: NameServer, mail_from: str):
    dns.zone.text(mail_from.partition("@")[2], "v=spf1 ip4:198.51.100.0/24 -all")
    await resolver.ask(mail_from.partition("@")[2], "TXT")  # what proves nothing is not waited for

    verdict = await verdict_on(MAIL, resolver, peer_address="198.51.100.7", mail_from=mail_from)

    assert (verdict.authenticity, verdict.reason) == (Authenticity.FORGED, "not_signed")
    assert "spf=pass" in verdict.results
    assert "dmarc=pass" in verdict.results


async def test_an_envelope_domain_that_is_named_proves_a_mail(resolver: NameServers):
    verdict = await verdict_on(
        MAIL, resolver, peer_address="198.51.100.7", mail_from="x@amazon.de", trusted=NAMED
    )

    assert (verdict.authenticity, verdict.reason) == (Authenticity.AUTHENTIC, "sent_by_amazon")
    assert "spf=pass smtp.mailfrom=x@amazon.de" in verdict.results
    assert verdict.covered is None


async def test_an_envelope_domain_is_compared_whole(resolver: NameServers, dns: NameServer):
    dns.zone.text("eu.amazon.de", "v=spf1 ip4:198.51.100.0/24 -all")

    verdict = await verdict_on(
        MAIL, resolver, peer_address="198.51.100.7", mail_from="x@eu.amazon.de", trusted=NAMED
    )

    assert verdict.reason == "not_signed"


async def test_a_bounce_sent_by_a_named_host_is_authentic(resolver: NameServers):
    verdict = await verdict_on(
        MAIL, resolver, peer_address="::ffff:198.51.100.7", helo="amazon.de", trusted=NAMED
    )

    assert verdict.reason == "sent_by_amazon"
    assert "spf=pass smtp.helo=amazon.de" in verdict.results


@pytest.mark.parametrize("mail_from", ["x@evil.example", "x@amazon.fr", "x@amazon.de.evil.example"])
async def test_a_host_that_sends_for_another_domain_proves_nothing(
    resolver: NameServers, dns: NameServer, mail_from: str
):
    dns.zone.text(mail_from.partition("@")[2], "v=spf1 +all")

    verdict = await verdict_on(MAIL, resolver, mail_from=mail_from)

    assert (verdict.authenticity, verdict.reason) == (Authenticity.FORGED, "not_signed")


async def test_who_registers_a_name_below_the_same_suffix_is_not_amazon(
    resolver: NameServers, dns: NameServer
):
    dns.zone.text("evil.com.be", "v=spf1 +all")
    dns.zone.text("hand._domainkey.evil.com.be", key_record(RSA_KEY))
    raw = MAIL.replace(b"marketplace.amazon.de", b"marketplace.amazon.com.be")

    verdict = await verdict_on(
        sign_by_hand(raw, d="evil.com.be"),
        resolver,
        mail_from="x@evil.com.be",
        from_domain="marketplace.amazon.com.be",
    )

    assert (verdict.authenticity, verdict.reason) == (Authenticity.FORGED, "signer_not_amazon")


async def test_strict_alignment_is_kept_for_hosts(resolver: NameServers, dns: NameServer):
    dns.zone.text("_dmarc.amazon.de", "v=DMARC1; p=reject; aspf=s")

    verdict = await verdict_on(
        MAIL, resolver, peer_address="198.51.100.7", mail_from="x@amazon.de", trusted=NAMED
    )

    assert (verdict.authenticity, verdict.reason) == (Authenticity.FORGED, "not_signed")
    assert "dmarc=fail" in verdict.results


@pytest.mark.parametrize(
    ("records", "result"),
    [
        (["v=DMARC1; p=none"], "pass"),
        (["v=DMARC1; p=none; adkim=s"], "fail"),
        (["v=DMARC1; p=odd"], "none"),
        (["v=spf1 -all", "V=DMARC1; p=none"], "none"),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], "none"),
        ([], "none"),
    ],
)
async def test_the_domains_policy_is_noted(
    resolver: NameServers, dns: NameServer, records: list[str], result: str
):
    dns.zone.text("_dmarc.amazon.de", *records)

    verdict = await verdict_on(signed(MAIL), resolver)

    assert verdict.reason == "signed_by_amazon"
    assert f"dmarc={result} header.from=marketplace.amazon.de" in verdict.results


async def test_the_policy_of_the_very_domain_goes_first(resolver: NameServers, dns: NameServer):
    dns.zone.text("_dmarc.marketplace.amazon.de", "v=DMARC1; p=none; adkim=s")

    assert "dmarc=fail" in (await verdict_on(signed(MAIL), resolver)).results


@pytest.mark.parametrize("name", ["amazon.de", "_dmarc.amazon.de"])
async def test_a_host_that_may_be_amazons_is_not_called_forged(
    resolver: NameServers, dns: NameServer, name: str
):
    dns.zone.failing.add(name)

    verdict = await verdict_on(
        MAIL, resolver, peer_address="198.51.100.7", mail_from="x@amazon.de", trusted=NAMED
    )

    assert (verdict.authenticity, verdict.is_temporary) == (Authenticity.UNCHECKABLE, True)


def test_a_claim_that_cannot_be_true_asks_nobody():
    assert decide_claim("from_domain") is None
    stranger = decide_claim(None)
    assert stranger is not None
    assert (stranger.authenticity, stranger.results) == (Authenticity.STRANGER, "mailrelay; none")
    for claim in ("two_senders", "display_name", "lookalike_domain"):
        verdict = decide_claim(claim)
        assert verdict is not None
        assert (verdict.authenticity, verdict.reason) == (Authenticity.FORGED, claim)


@pytest.mark.parametrize(
    ("mail_from", "noted"),
    [
        ('"a b"@evil.example', '"\\"a b\\"@evil.example"'),
        ("x;spf=pass@evil.example", '"x;spf=pass@evil.example"'),
        ("tschüß@evil.example", '"tsch??@evil.example"'),
        ("a\r\nb@evil.example", '"a??b@evil.example"'),
    ],
)
async def test_what_a_sender_says_cannot_break_the_results(resolver: NameServers, mail_from: str, noted: str):
    results = (await verdict_on(MAIL, resolver, mail_from=mail_from)).results

    assert f"smtp.mailfrom={noted};" in results
