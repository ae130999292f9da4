"""The data of who signs Amazon's mail."""

import pytest

from services.mailrelay.authenticity.dmarc import organisation_of
from services.mailrelay.authenticity.signers import read_trusted_signers, trusted_signers
from shared.marketplaces import BY_BUYER_MAIL_DOMAIN, MARKETPLACES


def test_every_store_has_its_signer():
    for marketplace in MARKETPLACES:
        assert trusted_signers().signs_for(marketplace.retail_domain, marketplace.buyer_mail_domain), (
            marketplace.country
        )
        assert trusted_signers().signs_for(marketplace.buyer_mail_domain, marketplace.retail_domain), (
            marketplace.country
        )


def test_every_address_of_buyers_has_its_signer():
    for domain in BY_BUYER_MAIL_DOMAIN:
        assert trusted_signers().signs_for(domain, domain)


def test_amazons_mail_service_and_cloud_sign_for_anybody_and_prove_nothing():
    for domain in ("amazonses.com", "eu-west-1.amazonses.com", "amazonaws.com", "awsapps.com"):
        assert not trusted_signers().signs_for(domain, "marketplace.amazon.com")


def test_every_entry_says_how_it_is_known():
    assert all(len(signer.source) > 30 for signer in trusted_signers().signers)
    assert {signer.domain for signer in trusted_signers().signers if not signer.assumed} == {
        "amazon.com",
        "amazon.de",
        "amazon.co.uk",
    }


def test_nobodys_seal_and_no_host_alone_is_trusted():
    assert not trusted_signers().sealers
    assert not trusted_signers().envelopes


def test_an_envelope_domain_in_the_data_is_trusted_by_its_whole_name():
    text = '[[signers]]\ndomain = "amazon.de"\nassumed = true\nsource = "for this test"\n'
    text += '[[envelopes]]\ndomain = "bounces.amazon.de"\nsource = "for this test"\n'

    trusted = read_trusted_signers(text)

    assert trusted.sends_from("bounces.amazon.de")
    assert not trusted.sends_from("amazon.de")
    assert not trusted.sends_from("eu.bounces.amazon.de")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("signers = []\nsomething = 1", "something"),
        ('[[signers]]\ndomain = "amazon.de"\nassumed = true', "source"),
        ('[[signers]]\ndomain = "Amazon.de"\nassumed = true\nsource = "a long enough one"', "domain"),
        ('[[signers]]\ndomain = "de"\nassumed = true\nsource = "a long enough one"', "domain"),
        ('[[signers]]\ndomain = "amazon.de"\nassumed = "perhaps"\nsource = "a long enough one"', "assumed"),
        ('signers = []\n[[envelopes]]\ndomain = "amazon.de"', "source"),
        ('signers = []\n[[envelopes]]\ndomain = "x@amazon.de"\nsource = "a long enough one"', "domain"),
        ("no data at all", "line 1"),
    ],
    ids=[
        "unknown entry",
        "no source",
        "capital letter",
        "no domain",
        "not yes or no",
        "envelope without source",
        "no domain in envelope",
        "no data",
    ],
)
def test_wrong_data_is_refused_with_what_is_wrong(text: str, wrong: str):
    with pytest.raises(ValueError, match=wrong):
        read_trusted_signers(text)


@pytest.mark.parametrize(
    ("name", "organisation"),
    [
        ("marketplace.amazon.co.uk", "amazon.co.uk"),
        ("marketplace.amazon.com.be", "amazon.com.be"),
        ("evil.com.be", "com.be"),
        ("m.marketplace.amazon.co.jp", "amazon.co.jp"),
        ("a.b.evil.example", "evil.example"),
        ("amazon.de.evil.example", "evil.example"),
        ("co.uk", "co.uk"),
    ],
)
def test_what_was_registered(name: str, organisation: str):
    assert organisation_of(name) == organisation


def test_amazons_own_domains_are_each_an_organisation():
    for marketplace in MARKETPLACES:
        assert organisation_of(marketplace.buyer_mail_domain) == marketplace.retail_domain
