"""Which addresses we connect to when a seller has named the server: public ones only."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The IANA registries of special-purpose addresses, and multicast. Python's `is_global` knows other ones in each release. 2002::/16 is
# left out: what such an address carries is looked at.
_NOT_PUBLIC: Final[tuple[Network, ...]] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local
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
        "2001::/23",  # Teredo, ORCHID and others
        "2001:db8::/32",  # documentation
        "2620:4f:8000::/48",
        "3fff::/20",  # documentation
    )
)
# All of IPv6 that anybody has been given to be reached at. The rest is loopback, local, multicast, or nobody's.
_GIVEN_IPV6: Final = IPv6Network("2000::/3")
# Where a cloud answers the machines that run in it, with credentials, keys and whatever it knows of them. Reached by nothing that a
# seller names, not even where an operator has allowed the network around it. Some of these look public.
_CLOUD_SERVICES: Final[tuple[Network, ...]] = tuple(
    ip_network(text)
    for text in (
        # AWS, Azure, Google, Oracle, Hetzner and others: "instance metadata"; AWS has its clock and its tasks' credentials beside it.
        "169.254.0.0/16",
        # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
        "fd00:ec2::/32",
        # https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
        "168.63.129.16/32",
        # https://cloud.google.com/compute/docs/metadata/querying-metadata
        "fd20:ce::/32",
        # https://cloud.google.com/vpc/docs/configure-private-google-access: private and restricted.googleapis.com
        "199.36.153.4/30",
        "199.36.153.8/30",
        "2600:2d00:2:1000::/64",
        "2600:2d00:2:2000::/64",
        # https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata, and its name servers beside it
        "100.100.0.0/16",
        # https://docs.oracle.com/iaas/Content/Compute/Tasks/gettingmetadata.htm: the older address
        "192.0.0.192/32",
        # https://cloud.ibm.com/docs/vpc: "IBM services" and "cloud service endpoints"
        "161.26.0.0/16",
        "166.8.0.0/14",
        # https://www.scaleway.com/en/docs/instances/how-to/use-metadata/
        "fd00:42::42/128",
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
# RFC 5214: the end of such an address is these two words and an IPv4 address.
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})


def networks(text: str) -> tuple[Network, ...]:
    """Networks separated by commas, such as `10.0.0.0/8, fd00::/8`. Raises ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def is_refused(address: Address, *, allowed: Iterable[Network], refused: Iterable[Network]) -> bool:
    """Whether we do not connect to this address. `refused` are networks of our own, `allowed` what an operator permits."""
    reached = _reached_by(address)
    if any(each in network for network in _CLOUD_SERVICES for each in reached):
        return True
    if all(any(each in network for network in allowed) for each in reached):
        return False
    return any(not _is_public(each) or any(each in network for network in refused) for each in reached)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GIVEN_IPV6:
        return address in _NAT64
    return not any(address in network for network in _NOT_PUBLIC)


def _reached_by(address: Address) -> tuple[Address, ...]:
    """Itself, unless it only stands for an IPv4 address, and the IPv4 address that is reached by an IPv6 address which carries one."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    last = IPv4Address(int(address) & 0xFFFF_FFFF)
    carried = (
        last if address in _NAT64 or (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP else address.sixtofour
    )
    return (address,) if carried is None else (address, carried)
