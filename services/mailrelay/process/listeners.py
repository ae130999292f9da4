"""The sockets that mail is accepted on. The supervisor opens them, and keeps them open (docs/adr/0007)."""

import socket
from collections.abc import Sequence

from services.mailrelay.settings import RelaySettings
from shared.side_port import PortTaken

# One for each address that REPLYCO_SMTP_HOST stands for.
Listeners = Sequence[socket.socket]


def open_listeners(settings: RelaySettings, processes: int) -> list[Listeners]:
    """Bound sockets for each of so many processes, all on one port, among which the kernel divides connections (SO_REUSEPORT).

    They take no connection before a process listens. Raises PortTaken.
    """
    port = settings.smtp_port
    opened: list[Listeners] = []
    try:
        addresses = socket.getaddrinfo(
            settings.smtp_host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for _ in range(processes):
            listeners = []
            for family, _type, _protocol, _name, address in addresses:
                # If the system chooses the port, it does so once.
                listener = _bound(family, (str(address[0]), port, *address[2:]))
                port = int(listener.getsockname()[1])
                listeners.append(listener)
            opened.append(listeners)
    except OSError as error:
        raise PortTaken.because(error, port=port, setting="REPLYCO_SMTP_PORT") from error
    return opened


def _bound(family: int, address: tuple[str | int, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
