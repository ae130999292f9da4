"""The peer: Debian's Postfix on a loopback port, configured in a temporary folder, discarding what it has made durable or
passing it on.

Postfix writes and syncs a queue file before its 250 and needs no setting for that. Nothing of the machine's own Postfix
is touched.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_POSTFIX = "/usr/sbin/postfix"
# How often it is tried to start it on a port that was free.
_STARTS = 3
_MOST_SECONDS = 30

_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.bench.example
mydestination =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
relay_domains = replyco.email
relay_transport = {transport}
default_transport = discard:
message_size_limit = 41943040
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = permit_mynetworks, reject
maillog_file_prefixes = {folder}
maillog_file = {folder}/log
"""

# Mail goes on as it came: no missing header is added, no long line is broken.
_UNCHANGED = """\
local_header_rewrite_clients =
smtp_line_length_limit = 0
smtp_tls_security_level = {tls}
"""

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
smtp unix - - n - - smtp
tlsmgr unix - - n 1000? 1 tlsmgr
"""


def why_not() -> str | None:
    """Why the peer cannot run here, or None."""
    if shutil.which(_POSTFIX) is None:
        return "Postfix is not installed (Debian: apt-get install postfix)"
    if os.geteuid() != 0:
        return "Postfix starts as root only"
    return None


@contextmanager
def running_postfix(
    folder: Path, *, pass_on_to: int | None = None, tls: str = "none", more: str = ""
) -> Iterator[int]:
    """A running Postfix; gives its port. It passes mail on to a port of this machine, with `tls` (its own words: none, encrypt), or discards it.

    `more` are lines for its `main.cf`.
    """
    main = _MAIN.format(folder=folder, transport="discard:")
    if pass_on_to is not None:
        main = _MAIN.format(folder=folder, transport=f"smtp:[127.0.0.1]:{pass_on_to}") + _UNCHANGED.format(
            tls=tls
        )
    config = folder / "config"
    for made in (folder, config, folder / "queue", folder / "data"):
        made.mkdir(mode=0o755, exist_ok=True)
        # mkdir's mode passes the umask, and Postfix's processes run as a user of their own.
        made.chmod(0o755)
    shutil.chown(folder / "data", "postfix")
    (config / "main.cf").write_text(main + more)
    try:
        yield _started(folder)
    finally:
        _run(folder, "stop")


def _started(folder: Path) -> int:
    """The port on which it answers. Between looking for a free port and Postfix's taking it, somebody else may have it."""
    said: str | None = None
    for _ in range(_STARTS):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        (folder / "config" / "master.cf").write_text(_MASTER.format(port=port))
        said = _run(folder, "start")
        if said is None and _greets(port):
            return port
        _run(folder, "stop")
    log = folder / "log"
    words = log.read_text(errors="replace")[-4000:] if log.exists() else ""
    raise RuntimeError(f"Postfix did not start: {said or 'it does not greet'}\n{words}")


def _run(folder: Path, command: str) -> str | None:
    """Run `postfix COMMAND`; what it said if it failed. Its words go to a file: a process that it leaves behind would hold a pipe open.

    Where few datagrams may wait (net.unix.max_dgram_qlen), its postlogd can wait for itself, and everything that logs for postlogd: then
    all of it is killed.
    """
    words = folder / f"{command}.txt"
    with words.open("wb") as output:
        process = subprocess.Popen(
            [_POSTFIX, "-c", str(folder / "config"), command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        code = process.wait(_MOST_SECONDS)
    except subprocess.TimeoutExpired:
        _kill(process.pid)
        with suppress(OSError, ValueError):
            _kill(master_pid(folder))
        process.wait()
        return f"postfix {command} took too long"
    return None if code == 0 else words.read_text(errors="replace").strip()


def _kill(leader: int) -> None:
    """Whoever is of this process group: a command's, or that of Postfix's master, which leads its own."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def master_pid(folder: Path) -> int:
    """Of the running Postfix's process that starts all its others."""
    return int((folder / "queue" / "pid" / "master.pid").read_text())


def _greets(port: int) -> bool:
    """Whether an SMTP server says its greeting on this port before long."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            if connection.recv(3) == b"220":
                return True
        time.sleep(0.05)
    return False
