"""Our commands as processes that outlive no test: they end when whoever started them has ended, however that went. Their ports."""

import os
import secrets
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

_WORKERS = 8
_PORTS_A_WORKER = 22_000 // _WORKERS
# Of them, the one that browsers open no page on (https://fetch.spec.whatwg.org/#port-blocking).
_NO_BROWSERS: Final = 10080

# The pipe on standard input closes when its other end's process dies, by SIGKILL or by a time limit as well.
_ENDS_WITH_ITS_STARTER = """
import os, runpy, sys, threading

def wait():
    while os.read(0, 1024):
        pass
    os._exit(1)

threading.Thread(target=wait, daemon=True).start()
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


# For whoever sends more from one address of this machine than any sender of the world may.
NO_RATES: Final = {
    f"{whose}_{what}_per_hour": str(10**15) for whose in ("address", "network") for what in ("mails", "bytes")
}


def command(module: str, *arguments: str) -> list[str]:
    """`python -m module arguments`, to be started with a pipe as its standard input."""
    return [sys.executable, "-c", _ENDS_WITH_ITS_STARTER, module, *arguments]


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nothing listens on just now.

    They lie below those that systems take for outgoing connections, one of which could take them before they are listened on,
    and each worker of the run looks among ports of its own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))  # noqa: TID251 - pytest-xdist's
    first = 10_000 + worker % _WORKERS * _PORTS_A_WORKER
    found: list[int] = []
    while len(found) < count:
        port = first + secrets.randbelow(_PORTS_A_WORKER)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            if port not in found and port != _NO_BROWSERS:
                found.append(port)
    return found


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]


def whole_lines(log: Path) -> str:
    """What a process has written into this file; of a line that it is just writing, nothing."""
    written = log.read_bytes()
    return written[: written.rfind(b"\n") + 1].decode()
