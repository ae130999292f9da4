"""The sockets that processes accept on."""

import os
import socket
import subprocess
import sys
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


_TAKES_WHAT_WAS_PASSED = """
import os, sys
for_us = sys.argv[1] == "True"
os.environ["LISTEN_PID"] = str(os.getpid() + (not for_us))
from services.mailrelay.process.listeners import open_listeners
from services.mailrelay.settings import RelaySettings

settings = RelaySettings(database_url="postgresql://role@/replyco", mail_public_key_file="/none", smtp_port=0)
opened = open_listeners(settings, 3)
print(*(listener.getsockname()[1] for listeners in opened for listener in listeners))
print("LISTEN_FDS" in os.environ or "LISTEN_PID" in os.environ)
if for_us:
    opened[0][0].close()
    opened[1][0].accept()[0].sendall(b"220 ")
"""


@pytest.mark.parametrize("for_us", [True, False])
def test_what_systemd_has_opened_for_us_is_taken_for_every_process(for_us: bool):
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            done = subprocess.run(
                # The first descriptor that systemd passes on is 3.
                [
                    *("/bin/bash", "-c", f'exec 3<&{ours.fileno()}; exec "$@"', "bash"),
                    *(sys.executable, "-c", _TAKES_WHAT_WAS_PASSED, str(for_us)),
                ],
                pass_fds=[ours.fileno()],
                cwd=Path(__file__).parents[4],
                env={"PATH": os.defpath, "LISTEN_FDS": "1"},
                check=True,
                capture_output=True,
                text=True,
                timeout=30,
            )
            answer = client.recv(4) if for_us else b""

    ports, in_environment = done.stdout.splitlines()
    assert (ports == f"{port} {port} {port}") is for_us
    assert answer == (b"220 " if for_us else b"")
    assert in_environment == "False"
