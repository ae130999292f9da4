"""The network that a client comes from: what is counted together, because one customer of a provider has all of it."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

UNKNOWN: Final = "unknown"
# A /48 may have so many times what one of its 65,536 /64s may have.
WIDE: Final = 4


def network_of(client_address: str) -> str:
    """The /32 of an IPv4 address, the /64 of an IPv6 address: what one customer of a provider is given at least."""
    return _network(client_address, ipv6_prefix=64)


def wide_network_of(client_address: str) -> str:
    """The /48 of an IPv6 address, which many a customer is given with its 65,536 /64s; an IPv4 address stands for itself."""
    return _network(client_address, ipv6_prefix=48)


def _network(client_address: str, *, ipv6_prefix: int) -> str:
    try:
        address = _plain(ip_address(client_address.partition("%")[0]))
    except ValueError:
        return UNKNOWN
    return str(ip_network((address, 32 if address.version == 4 else ipv6_prefix), strict=False))


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 client of a socket that takes both has an IPv6 address that carries its own."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
