"""Which addresses a server that a seller names may have."""

from ipaddress import ip_address

import pytest

from services.connector.outgoing.addresses import is_refused, networks


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "127.255.255.254", "0.0.0.0"),
        *("169.254.169.254", "100.64.0.1", "224.0.0.1", "239.255.255.255", "255.255.255.255", "240.0.0.1"),
        *("192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "192.0.0.8"),
        *(
            "::",
            "::1",
            "fe80::1",
            "fe80::1%eth0",
            "fc00::1",
            "fd12::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
        ),
        *("100::1", "5f00::1"),
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str):
    """# S: private, loopback, link-local, CGNAT, multicast, unspecified, documentation"""
    assert is_refused(ip_address(address), allowed=(), refused=())


@pytest.mark.parametrize(
    "address",
    [
        *("::ffff:10.0.0.1", "::ffff:127.0.0.1", "::10.0.0.1", "::ffff:0:10.0.0.1"),
        *("64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1"),
        *("2002:a00:1::", "2002:7f00:1::", "2002:a9fe:a9fe::1"),
        "2001:0:53aa:64c:0:78c1:f5ff:fffe",
    ],
)
def test_ipv6_that_carries_such_an_address_is_refused(address: str):
    """# S: IPv4-mapped, NAT64 64:ff9b::, 6to4 2002:, Teredo"""
    assert is_refused(ip_address(address), allowed=(), refused=())


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"])
def test_public_addresses_are_not_refused(address: str):
    assert not is_refused(ip_address(address), allowed=(), refused=())


def test_networks_of_our_own_are_refused_although_they_are_public():
    """# S: our own networks"""
    own = networks("8.8.8.0/24, 2606:4700::/32")

    assert is_refused(ip_address("8.8.8.8"), allowed=(), refused=own)
    assert is_refused(ip_address("::ffff:8.8.8.8"), allowed=(), refused=own)
    assert is_refused(ip_address("2606:4700::1111"), allowed=(), refused=own)
    assert not is_refused(ip_address("1.1.1.1"), allowed=(), refused=own)


def test_what_an_operator_allows_is_not_refused():
    assert not is_refused(ip_address("127.0.0.1"), allowed=networks("127.0.0.0/8"), refused=())
    assert is_refused(ip_address("10.0.0.1"), allowed=networks("127.0.0.0/8"), refused=())
