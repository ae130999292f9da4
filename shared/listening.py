"""The listening sockets of our servers."""

import socket


def listening_socket(host: str, port: int, *, backlog: int | None = None) -> socket.socket:
    """A listening TCP socket, whose connections send at once. Port 0 takes a free one. Raises OSError."""
    listener = socket.create_server(
        (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=backlog
    )
    send_at_once(listener)
    return listener


def send_at_once(listener: socket.socket) -> None:
    """Connections taken from this socket send what they are given without waiting for more (TCP_NODELAY).

    Otherwise the second part of an answer waits until the client has acknowledged the first, which Linux puts off for 40 ms.
    asyncio sees to it itself, but not where Python made the socket without naming the protocol, as `socket.create_server` does.
    """
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
