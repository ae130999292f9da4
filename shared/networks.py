"""Whom an address belongs to, as far as its bits tell: one IPv4 address, or the IPv6 networks that one customer has."""

import functools
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# RFC 6177: a subnet has 64 bits, and a site, whoever asks for it, up to a /48 of subnets.
_SUBNET_BITS: Final = 64
_SITE_BITS: Final = 48


@functools.lru_cache(maxsize=8192)
def network_of(address: Address) -> Network:
    """An IPv4 address by itself, the /64 of an IPv6 one."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return IPv6Network((address, _SUBNET_BITS), strict=False)
        address = address.ipv4_mapped
    return IPv4Network(address)


@functools.lru_cache(maxsize=8192)
def site_of(address: Address) -> IPv6Network | None:
    """The /48 of an IPv6 address, which holds 65,536 of its networks; None for an IPv4 one."""
    if isinstance(address, IPv4Address) or address.ipv4_mapped is not None:
        return None
    return IPv6Network((address, _SITE_BITS), strict=False)
