"""The macros of SPF records: the examples of RFC 7208 §7.4."""

import pytest

from services.mailrelay.authenticity.macros import Sender, expand

SENDER = Sender.of("192.0.2.3", "mx.example.org", "strong-bad@email.example.com")
SENDER_6 = Sender.of("2001:db8::cb01", "mx.example.org", "strong-bad@email.example.com")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("%{h}", "mx.example.org"),
        ("%{p}", "unknown"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("a%%b%_c%-d", "a%b c%20d"),
    ],
)
def test_what_a_macro_stands_for(text: str, name: str):
    assert expand(text, SENDER, "email.example.com") == name


def test_an_address_of_version_6_is_written_digit_by_digit():
    name = expand("%{ir}.%{v}._spf.%{d2}", SENDER_6, "email.example.com")

    assert name == f"1.0.b.c.{'0.' * 20}8.b.d.0.1.0.0.2.ip6._spf.example.com"


def test_a_name_that_is_too_long_loses_labels_on_the_left():
    sender = Sender.of("192.0.2.3", "x", f"{'a.' * 200}b@example.com")

    assert expand("%{l}.example.com", sender, "example.com").endswith("a.a.b.example.com")
    assert len(expand("%{l}.example.com", sender, "example.com")) <= 253
