"""The bounds of connections.py, apart from it: whoever reads settings loads no web server."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """`most_of_network` is for an IPv4 address and for a /64. Proxies carry the requests of many, so only `most` is for them.

    `head_seconds`: from the first byte of a request's head to its last. `stalled_seconds`: for a client that takes nothing of an
    answer.
    """

    most: int
    most_of_network: int
    head_seconds: float = 10.0
    stalled_seconds: float = 60.0
    proxies: Sequence[IPv4Network | IPv6Network] = ()
