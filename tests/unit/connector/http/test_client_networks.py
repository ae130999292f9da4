"""What is counted together."""

import pytest

from services.connector.http.client_networks import network_of, wide_network_of


@pytest.mark.parametrize(
    ("address", "network", "wide"),
    [
        ("192.0.2.7", "192.0.2.7/32", "192.0.2.7/32"),
        ("::ffff:192.0.2.7", "192.0.2.7/32", "192.0.2.7/32"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/64", "fe80::/48"),
        ("", "unknown", "unknown"),
        ("testclient", "unknown", "unknown"),
    ],
)
def test_what_one_customer_of_a_provider_has_is_one_network(address: str, network: str, wide: str):
    assert (network_of(address), wide_network_of(address)) == (network, wide)
