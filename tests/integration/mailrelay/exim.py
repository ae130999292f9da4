"""Debian's exim on a loopback port, configured in a temporary folder: it passes on to the relay whatever it is given."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_EXIM = shutil.which("exim4", path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin")  # noqa: TID251
# Compiled into Debian's program, which does not start without it.
_USER = "Debian-exim"

# Mail goes on as it came: nothing is added, nothing is taken out, no long line is refused.
_CONFIG = """\
exim_path = {exim}
primary_hostname = sender.example
qualify_domain = sender.example
spool_directory = {folder}/spool
log_file_path = {folder}/spool/log-%s
pid_file_path = {folder}/spool/pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
keep_environment =
acl_smtp_rcpt = accept
message_size_limit = 50M
smtp_accept_queue_per_connection = 0
tls_advertise_hosts =
received_header_text =
return_path_remove = false
delivery_date_remove = false
envelope_to_remove = false
begin routers
relay:
  driver = manualroute
  route_list = * 127.0.0.1::{pass_on_to} byname
  self = send
  transport = relay
begin transports
relay:
  driver = smtp
  allow_localhost
  message_linelength_limit = 10000000
  {tls} = *
begin retry
"""


def why_not() -> str | None:
    """Why the peer cannot run here, or None."""
    if _EXIM is None:
        return "exim is not installed (Debian: exim4-daemon-light, which takes Postfix's place)"
    if os.geteuid() != 0:
        return "exim is started as root only"
    try:
        pwd.getpwnam(_USER)
    except KeyError:
        return f"there is no user {_USER}"
    return None


@contextmanager
def running_exim(folder: Path, *, pass_on_to: int, tls: str) -> Iterator[int]:
    """A running exim; gives its port. `tls` is `hosts_avoid_tls` or `hosts_require_tls`."""
    assert _EXIM is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    folder.chmod(0o755)
    (folder / "spool").mkdir()
    shutil.chown(folder / "spool", _USER)
    config = folder / "config"
    config.write_text(_CONFIG.format(exim=_EXIM, folder=folder, port=port, pass_on_to=pass_on_to, tls=tls))
    with subprocess.Popen(
        [_EXIM, "-C", str(config), "-bdf"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            _wait_for(port, process)
            yield port
        finally:
            process.terminate()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                if connection.recv(3) == b"220":
                    return
        except OSError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise
        time.sleep(0.05)
