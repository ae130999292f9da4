"""What is sent in two parts goes out at once, on every port on which we serve."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.mailrelay.process.listeners import open_listeners
from services.mailrelay.settings import RelaySettings
from services.sandbox.mail import name_server
from shared.listening import listening_socket
from shared.side_port import open_listener

ROOT = Path(__file__).parents[3]


def _relay() -> socket.socket:
    settings = RelaySettings(
        database_url=SecretStr("postgresql://x"), mail_public_key_file=Path("x"), smtp_port=0
    )
    [[listener]] = open_listeners(settings, 1)
    listener.listen()
    return listener


def _sandboxs_name_server() -> socket.socket:
    listeners = name_server.listen("127.0.0.1", 0)
    listeners.udp.close()
    return listeners.tcp


@pytest.mark.parametrize(
    "listen",
    [
        lambda: open_listener("127.0.0.1", 0, setting="REPLYCO_PORT"),
        lambda: listening_socket("127.0.0.1", 0),
        _relay,
        _sandboxs_name_server,
    ],
    ids=["the connector and side ports", "the sandbox", "the relay", "the sandbox's name server"],
)
def test_a_connection_sends_at_once(listen: Callable[[], socket.socket]):
    with listen() as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()

    with accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_nobody_makes_a_listening_socket_otherwise():
    makers = {
        path.relative_to(ROOT).as_posix()
        for room in ("services", "shared")
        for path in (ROOT / room).rglob("*.py")
        if "socket.create_server(" in path.read_text("utf-8")
    }

    assert makers == {"shared/listening.py"}
