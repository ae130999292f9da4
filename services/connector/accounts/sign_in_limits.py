"""How often a sign-in may fail: by e-mail address, and by the network that it comes from.

Counted before the password is looked at, so that parallel attempts cannot slip through together. Keys are hashes: the table
of failures holds neither addresses.
"""

import hashlib
from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import Final

WINDOW: Final = timedelta(minutes=15)
MAX_PER_EMAIL: Final = 10
# Many honest people may sit behind one address.
MAX_PER_NETWORK: Final = 50


def network_of(client_address: str) -> str:
    """The /32 of an IPv4 address, the /64 of an IPv6 address: what one customer of a provider is given at least."""
    try:
        address = ip_address(client_address.partition("%")[0])
    except ValueError:
        return "unknown"
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        address = mapped
    return str(ip_network((address, 32 if address.version == 4 else 64), strict=False))


def email_key(email: str) -> bytes:
    return hashlib.sha256(b"email\0" + email.encode()).digest()


def network_key(client_address: str) -> bytes:
    return hashlib.sha256(b"network\0" + network_of(client_address).encode()).digest()
