"""The lane of an accepted mail, and who is a network: what is known before anybody has read it."""

from ipaddress import ip_address, ip_network

import pytest

from services.mailrelay.intake.lanes import lane_of
from shared.lanes import Lane
from shared.networks import network_of, site_of


@pytest.mark.parametrize(
    ("sender", "names_amazon"),
    [
        ("bounce@amazon.de", True),
        ("x@Bounces.Amazon.CO.UK.", True),
        ("0102018f@eu-west-1.amazonses.com", True),
        ("k3j4@marketplace.amazon.co.jp", True),
        ("", False),
        ("amazon.de", True),
        ("amazon.de@evil.example", False),
        ("x@amazon.de.evil.example", False),
        ("x@notamazon.de", False),
        ("x@" + "a." * 100_000 + "amazon.de", True),
        ("x@", False),
    ],
)
def test_a_sender_that_names_amazon_is_worked_on_first(sender: str, *, names_amazon: bool):
    def lane(*, known: bool, large: bool) -> Lane:
        return lane_of(sender, is_from_known_network=known, is_in_blob_store=large)

    assert lane(known=False, large=False) == (Lane.QUICK if names_amazon else Lane.OTHER)
    assert lane(known=False, large=True) == (Lane.LARGE if names_amazon else Lane.OTHER)
    assert lane(known=True, large=False) == Lane.QUICK
    assert lane(known=True, large=True) == Lane.LARGE


def test_a_network_is_what_one_customer_has():
    assert network_of(ip_address("192.0.2.1")) == ip_network("192.0.2.1/32")
    assert network_of(ip_address("::ffff:192.0.2.1")) == ip_network("192.0.2.1/32")
    assert network_of(ip_address("2001:db8:1:2:3::4")) == ip_network("2001:db8:1:2::/64")
    assert site_of(ip_address("2001:db8:1:2:3::4")) == ip_network("2001:db8:1::/48")
    assert site_of(ip_address("192.0.2.1")) is None
    assert site_of(ip_address("::ffff:192.0.2.1")) is None
