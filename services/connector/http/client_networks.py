"""The network that a client comes from: what is counted together, because one customer of a provider has all of it."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from shared import networks

UNKNOWN: Final = "unknown"
# A /48 may have so many times what one of its 65,536 /64s may have.
WIDE: Final = 4


def network_of(client_address: str) -> str:
    """The /32 of an IPv4 address, the /64 of an IPv6 address: what one customer of a provider is given at least."""
    address = _address(client_address)
    return UNKNOWN if address is None else str(networks.network_of(address))


def wide_network_of(client_address: str) -> str:
    """The /48 of an IPv6 address, which many a customer is given with its 65,536 /64s; an IPv4 address stands for itself."""
    address = _address(client_address)
    return UNKNOWN if address is None else str(networks.site_of(address) or networks.network_of(address))


def _address(client_address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(client_address.partition("%")[0])
    except ValueError:
        return None
