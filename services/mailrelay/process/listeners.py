"""The sockets that mail is accepted on. The supervisor opens them, and keeps them open (docs/adr/0007)."""

import os
import socket
from collections.abc import Sequence
from typing import Final

from services.mailrelay.settings import RelaySettings
from shared.listening import send_at_once
from shared.side_port import PortTaken

# One for each address that REPLYCO_SMTP_HOST stands for.
Listeners = Sequence[socket.socket]

# The first file descriptor that systemd passes on (sd_listen_fds(3)).
_FIRST_PASSED: Final = 3


def open_listeners(settings: RelaySettings, processes: int) -> list[Listeners]:
    """Bound sockets for each of so many processes, all on one port, among which the kernel divides connections (SO_REUSEPORT).

    They take no connection before a process listens. Sockets that systemd has opened are taken instead. Raises PortTaken.
    """
    if passed := _passed_by_systemd():
        # One queue for all: whichever process is free takes the next connection.
        return [passed, *([listener.dup() for listener in passed] for _ in range(processes - 1))]
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


def _passed_by_systemd() -> list[socket.socket]:
    """They stay open in systemd while this process is away, so that a restart refuses nobody."""
    environment = os.environ  # noqa: TID251  # systemd's variables, no settings of ours
    passed_to = environment.pop("LISTEN_PID", None)
    count = int(environment.pop("LISTEN_FDS", "0"))
    if passed_to != str(os.getpid()):
        return []
    return [socket.socket(fileno=_FIRST_PASSED + number) for number in range(count)]


def _bound(family: int, address: tuple[str | int, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        send_at_once(listener)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
