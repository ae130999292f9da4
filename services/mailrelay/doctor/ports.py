"""Whether a port is free, or taken by whom it is for."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from services.mailrelay.settings import RelaySettings
from shared.doctor.findings import Finding, note, ok, warning, wrong
from shared.process import port_cure
from shared.side_port import PortTaken

_SECONDS: Final = 5.0
_MOST_BYTES: Final = 4_194_304
# Where what listens at every address is reached from this machine.
_FROM_HERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - no listener
PUBLIC_PORT: Final = 25


async def smtp_ports(settings: RelaySettings, *, public_port: int = PUBLIC_PORT) -> list[Finding]:
    """The port of the settings, and the one that senders use: systemd, a container or a load balancer may lead from it to the relay."""
    if settings.smtp_port == public_port:
        return [await _smtp_port(settings)]
    greeting = await _said(_FROM_HERE.get(settings.smtp_host, settings.smtp_host), public_port)
    if greeting is not None and _is_ours(greeting, settings):
        return [ok(f"Port {public_port} of this machine is answered by the relay.")]
    own = await _smtp_port(settings)
    if greeting is not None and _turns_away(greeting):
        return [own, _busy(public_port)]
    if greeting is None:
        return [
            own,
            note(
                f"Nobody answers at port {public_port} of this machine, and senders know no other. Let it lead to REPLYCO_SMTP_PORT: "
                "replyco-relay.socket of systemd, the port that a container publishes, or a load balancer before the relay."
            ),
        ]
    return [
        own,
        warning(
            f"Something that is not this relay answers at port {public_port} of this machine. If senders reach this machine there, remove it "
            "(Debian's exim4 or postfix, most often)."
        ),
    ]


async def _smtp_port(settings: RelaySettings) -> Finding:
    host, port = settings.smtp_host, settings.smtp_port
    if port == 0:
        return note("REPLYCO_SMTP_PORT is 0: the system chooses one at each start.")
    reached_at = _FROM_HERE.get(host, host)
    said = await _said(reached_at, port)
    if said is None:
        return _free(host, port, "REPLYCO_SMTP_PORT")
    if _is_ours(said, settings):
        return ok(f"Port {port} is answered by the relay.")
    if _turns_away(said):
        return _busy(port)
    if not said and _waits_for_proxies(reached_at, settings.proxy_protocol_from):
        return note(
            f"Something listens at port {port}. Who, it tells only proxies (REPLYCO_PROXY_PROTOCOL_FROM)."
        )
    return wrong(
        f"Port {port} is taken by something that is not this relay. Set REPLYCO_SMTP_PORT to a free one, or end it."
    )


async def side_port(host: str, port: int, *, setting: str, metric: str, role: str) -> Finding:
    """`metric` is one that this role alone has."""
    if port == 0:
        return note(f"{setting} is 0: the system chooses one at each start.")
    asked = b"GET /metrics HTTP/1.1\r\nHost: doctor\r\nConnection: close\r\n\r\n"
    said = await _said(_FROM_HERE.get(host, host), port, asked)
    if said is None:
        return _free(host, port, setting)
    if metric.encode() in said:
        return ok(f"Port {port} is answered by {role}.")
    return wrong(
        f"Port {port} is taken by something that is not {role}. Set {setting} to a free one, or end it."
    )


def _is_ours(greeting: bytes, settings: RelaySettings) -> bool:
    return greeting.startswith(f"220 {settings.smtp_hostname} ESMTP Replyco".encode())


def _turns_away(greeting: bytes) -> bool:
    """Whoever has too many connections, or is stopping, says no name."""
    return greeting.startswith(b"421 ")


def _busy(port: int) -> Finding:
    return note(
        f"Who answers at port {port} turns away whoever comes now (421), as the relay does with too many connections. Who it is, it does not say; "
        "ask again later."
    )


def _waits_for_proxies(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    with contextlib.suppress(ValueError):
        return any(ip_address(address) in network for network in networks)
    return False


async def _said(host: str, port: int, asked: bytes = b"") -> bytes | None:
    """What whoever listens there says, without a question its first line; None if nobody does."""
    try:
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return None
    said = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            writer.write(asked)
            while (part := await reader.read(65_536)) and len(said) < _MOST_BYTES:
                said += part
                if not asked and b"\n" in said:
                    break
    except (OSError, TimeoutError):
        pass
    finally:
        writer.close()
    return bytes(said)


def _free(host: str, port: int, setting: str) -> Finding:
    """Opened for a moment, and never listened on."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EACCES:
            return wrong(
                f"This user may not open port {port}. Let replyco-relay.socket of systemd open it, or start as root with REPLYCO_RUN_AS."
            )
        return wrong(port_cure(PortTaken.because(error, port=port, setting=setting)))
    return ok(f"Port {port} is free.")
