"""Which addresses a server that a seller names may have."""

from ipaddress import ip_address

import pytest

from shared.outgoing.addresses import is_refused, networks


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
        *("100::1", "100:0:0:1::1", "5f00::1", "2620:4f:8000::1", "4000::1", "8000::1"),
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
        *("2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:127.0.0.1"),
    ],
)
def test_ipv6_that_carries_such_an_address_is_refused(address: str):
    """# S: IPv4-mapped, NAT64 64:ff9b::, 6to4 2002:, Teredo, ISATAP"""
    assert is_refused(ip_address(address), allowed=(), refused=())


@pytest.mark.parametrize(
    "address",
    [
        *("168.63.129.16", "::ffff:168.63.129.16", "64:ff9b::168.63.129.16", "2002:a83f:8110::1"),
        *("169.254.169.254", "169.254.170.2", "169.254.169.253", "::ffff:169.254.169.254", "fd00:ec2::254"),
        *("100.100.100.200", "192.0.0.192", "fd20:ce::254", "199.36.153.5", "199.36.153.10", "fd00:42::42"),
        *("2600:2d00:2:1000::1", "2600:2d00:2:2000::1", "161.26.0.10", "166.9.10.20"),
    ],
)
def test_what_a_cloud_answers_its_machines_is_never_reached(address: str):
    """# S: metadata and other services of clouds, even where an operator has opened everything around them"""
    everything = networks("0.0.0.0/0, ::/0")

    assert is_refused(ip_address(address), allowed=(), refused=())
    assert is_refused(ip_address(address), allowed=everything, refused=())


@pytest.mark.parametrize(
    "address", ["168.63.129.15", "168.63.129.17", "199.36.153.12", "161.27.0.1", "166.12.0.1"]
)
def test_their_neighbours_are_public(address: str):
    assert not is_refused(ip_address(address), allowed=(), refused=())


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]
)
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
