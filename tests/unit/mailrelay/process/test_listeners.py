"""The sockets that processes accept on."""

import socket
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.mailrelay.process.listeners import open_listeners
from services.mailrelay.settings import RelaySettings
from shared.side_port import PortTaken


def settings(port: int) -> RelaySettings:
    return RelaySettings(
        database_url=SecretStr("postgresql://x"), mail_public_key_file=Path("x"), smtp_port=port
    )


def test_each_process_has_a_socket_of_its_own_on_one_port_that_the_system_chose():
    opened = open_listeners(settings(0), 3)

    sockets = [listener for listeners in opened for listener in listeners]
    assert len(sockets) == 3
    assert len({listener.getsockname() for listener in sockets}) == 1
    for listener in sockets:
        listener.close()


def test_nobody_is_let_in_before_a_process_listens():
    [[listener]] = open_listeners(settings(0), 1)

    with listener, pytest.raises(ConnectionRefusedError):
        socket.create_connection(listener.getsockname(), timeout=5)


def test_a_port_that_another_program_has_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken) as told:
            open_listeners(settings(port), 2)

    assert told.value.fields == {"port": port, "setting": "REPLYCO_SMTP_PORT", "problem": "is taken"}
