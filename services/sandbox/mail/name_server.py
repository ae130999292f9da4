"""A name server for the domains that the sandbox signs its mails with: it answers with the records of its zone, and no other name exists.

The mail worker asks it in place of the real DNS (`REPLYCO_NAMESERVERS`). Tests can make it fail, or leave questions unanswered.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, cast

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from typing_extensions import override

from shared.listening import listening_socket

TTL_SECONDS: Final = 300
_MAX_UDP_BYTES: Final = 1232
_TCP_SECONDS: Final = 10.0


@dataclass(slots=True)
class Zone:
    """Records by name and type, as in a zone file; names in lower case without the last dot.

    A question about a name in `failing` is answered with SERVFAIL, one about a name in `silent` not at all; a dead server
    answers none. The last questions are listed in `asked`.
    """

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    is_dead: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)

    def text(self, name: str, *texts: str) -> None:
        """Put TXT records at a name, each cut into strings as DNS needs it."""
        self.records[name, "TXT"] = [_as_strings(text) for text in texts]

    def answer(self, wire: bytes) -> dns.message.Message | None:
        """The answer to a query, or None if it gets none."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        question = query.question[0] if query.question else None
        if question is None or self.is_dead:
            return None
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        del self.asked[:-10_000]
        if name in self.silent:
            return None
        answer = dns.message.make_response(query, recursion_available=True)
        if name in self.failing:
            answer.set_rcode(dns.rcode.SERVFAIL)
            return answer
        self._fill(answer, question.name, kind)
        return answer

    def _fill(self, answer: dns.message.Message, name: dns.name.Name, kind: str) -> None:
        for _ in range(10):  # a chain of aliases ends somewhere
            text = name.to_text(omit_final_dot=True).lower()
            alias = self.records.get((text, "CNAME"))
            if alias is None:
                break
            answer.answer.append(dns.rrset.from_text(name, TTL_SECONDS, "IN", "CNAME", *alias))
            name = dns.name.from_text(alias[0])
        text = name.to_text(omit_final_dot=True).lower()
        if values := self.records.get((text, kind)):
            answer.answer.append(dns.rrset.from_text_list(name, TTL_SECONDS, "IN", kind, values))
        elif (
            not any(text == known or known.endswith(f".{text}") for known, _ in self.records)
            and name != dns.name.root
        ):
            answer.set_rcode(dns.rcode.NXDOMAIN)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._transport: asyncio.DatagramTransport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._zone.answer(data)
        if answer is None or self._transport is None:
            return
        wire = answer.to_wire(max_size=65_535)
        if len(wire) > _MAX_UDP_BYTES:  # the whole is to be had over TCP
            answer.answer.clear()
            answer.flags |= dns.flags.TC
            wire = answer.to_wire()
        self._transport.sendto(wire, addr)


@asynccontextmanager
async def serving(zone: Zone, listeners: "Listeners") -> AsyncIterator[None]:
    """Answer at these sockets as long as the block lasts."""
    loop = asyncio.get_running_loop()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            async with asyncio.timeout(_TCP_SECONDS):
                while True:
                    (size,) = struct.unpack("!H", await reader.readexactly(2))
                    answer = zone.answer(await reader.readexactly(size))
                    if answer is not None:
                        wire = answer.to_wire(max_size=65_535)
                        writer.write(struct.pack("!H", len(wire)) + wire)
                        await writer.drain()
        writer.close()

    transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(zone), sock=listeners.udp)
    server = await asyncio.start_server(converse, sock=listeners.tcp)
    try:
        yield
    finally:
        transport.close()
        server.close()


@dataclass(frozen=True, slots=True)
class Listeners:
    """The two sockets of a name server, on one port."""

    udp: socket.socket
    tcp: socket.socket

    @property
    def port(self) -> int:
        port: int = self.udp.getsockname()[1]
        return port

    def close(self) -> None:
        self.udp.close()
        self.tcp.close()


def listen(host: str, port: int) -> Listeners:
    """Raises OSError. Port 0 takes any that is free for both."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    tcp = listening_socket(host, port)
    udp = socket.socket(family, socket.SOCK_DGRAM)
    try:
        udp.bind((host, tcp.getsockname()[1]))
    except OSError:
        udp.close()
        tcp.close()
        raise
    udp.setblocking(False)
    return Listeners(udp, tcp)


def _as_strings(text: str) -> str:
    """Quoted strings of 255 characters at most (RFC 1035 §3.3.14)."""
    pieces = [text[start : start + 255] for start in range(0, len(text), 255)] or [""]
    return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)
