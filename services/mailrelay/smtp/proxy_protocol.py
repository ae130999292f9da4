"""The PROXY protocol, version 2 (binary): a load balancer in front of the relay says who the client is.

Read only from the networks that REPLYCO_PROXY_PROTOCOL_FROM names, and there it must come: a header that anybody may send
or leave out would let anybody choose their address. Version 1 is not understood.
Specification: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, §2.2
"""

import asyncio
from ipaddress import IPv4Address, IPv6Address
from typing import Final

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
# Addresses take up to 216 bytes; the rest is for extensions (TLVs), which are skipped.
_LENGTH_LIMIT: Final = 2048


class InvalidProxyHeader(Exception):
    """No valid header in time: the connection must be closed, and not answered."""


async def read_client_address(
    stream: asyncio.StreamReader, *, timeout_seconds: float
) -> IPv4Address | IPv6Address | None:
    """Read the header, and not a byte more. None: the load balancer connects on its own account, such as for a health check.

    Raises InvalidProxyHeader.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            head = await stream.readexactly(16)
            length = int.from_bytes(head[14:16], "big")
            if head[:12] != SIGNATURE or length > _LENGTH_LIMIT:
                raise InvalidProxyHeader
            return _client_address(head[12], head[13], await stream.readexactly(length))
    except (TimeoutError, asyncio.IncompleteReadError, ConnectionError) as error:
        raise InvalidProxyHeader from error


def _client_address(command: int, family: int, addresses: bytes) -> IPv4Address | IPv6Address | None:
    # The source address is the first thing in the block; destination address and both ports follow.
    match command, family:
        case (0x20, _) | (0x21, 0x00):  # LOCAL, or PROXY for a client of unspecified family
            return None
        case 0x21, 0x11 if len(addresses) >= 12:  # TCP over IPv4
            return IPv4Address(addresses[:4])
        case 0x21, 0x21 if len(addresses) >= 36:  # TCP over IPv6
            address = IPv6Address(addresses[:16])
            return address.ipv4_mapped or address
        case _:
            raise InvalidProxyHeader
