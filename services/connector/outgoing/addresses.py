"""Which addresses we connect to when a seller has named the server: public ones only."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# `is_global` knows most of these, but not the same ones in every release of Python.
_NOT_PUBLIC: Final[tuple[Network, ...]] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local; clouds answer here with credentials
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "::/96",  # unspecified, loopback, and the old form of IPv4 within IPv6
        "::ffff:0:0:0/96",
        "64:ff9b:1::/48",  # NAT64 of a network's own
        "100::/64",
        "2001::/23",  # Teredo, ORCHID and others
        "2001:db8::/32",  # documentation
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")


def networks(text: str) -> tuple[Network, ...]:
    """Networks separated by commas, such as `10.0.0.0/8, fd00::/8`. Raises ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def is_refused(address: Address, *, allowed: Iterable[Network], refused: Iterable[Network]) -> bool:
    """Whether we do not connect to this address. `refused` are networks of our own, `allowed` what an operator permits."""
    meant = _meant(address)
    if any(meant in network for network in allowed):
        return False
    is_public = meant.is_global and not any(meant in network for network in _NOT_PUBLIC)
    return not is_public or any(address in network or meant in network for network in refused)


def _meant(address: Address) -> Address:
    """The IPv4 address that is reached by an IPv6 address which carries one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
