"""Commands of ours as forks of a process that has loaded them: nearly all that a start takes of the processor are imports.

In a run with several workers each has such a process, the fork server. It loads a role when one is first started, and what is started until that
is done executes Python, as ever; so does whatever a fork cannot be like, and what asks for it. A fork is started by `subprocess` and is a child of
the worker, not of the server (CLONE_PARENT, clone(2)): its id, signals, exit code and files are those of a program that was executed.
"""

import atexit
import ctypes
import errno
import importlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from shared.loading import loading

# What is started so often that it pays to load it once more, and what that is.
_LOADS: Final[Mapping[tuple[str, ...], str]] = {
    ("services.connector", "serve"): "services.connector.serving",
    ("services.connector", "worker"): "services.connector.worker",
    ("services.mailrelay", "serve"): "services.mailrelay.process.supervisor",
    ("services.mailrelay", "worker"): "services.mailrelay.worker",
    ("tests.integration.forked", "never"): "shared.loading",
    ("tests.integration.forked", "signal"): "shared.loading",
    ("tests.integration.forked", "7"): "shared.loading",
}
# Variables that Python, C or the system read when a program is executed.
_READ_AT_START: Final = re.compile(r"(PYTHON|LC_|LD_|MALLOC_|GLIBC_).*|LANG|TZ")
# subprocess's defaults, from restore_signals to preexec_fn: nothing that a fork would have to do for the caller.
_NOTHING_ELSE: Final = (True, False, -1, None, None, None, -1, None)
_MOST_BYTES: Final = 100_000
_ROOT: Final = Path(__file__).parents[1]

# clone(2), prctl(2).
_SYS_CLONE3: Final = 435
_CLONE_PARENT: Final = 0x00008000
_CLONE_CHILD_SETTID: Final = 0x01000000
_PR_GET_TID_ADDRESS: Final = 40


class Forkable(str):
    """The text of a program that runs the module which its arguments name (`tests.processes.command`)."""

    __slots__ = ()


class _Server:
    """The worker's end. Whatever is wrong with the other end, Python is executed."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                cwd=_ROOT,
                env={"PATH": os.defpath},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self._loaded: set[str] = set()
        self._loading: str | None = None
        atexit.register(self.close)

    def close(self) -> None:
        self._channel.close()
        self._process.wait()

    def fork(self, module: str, wish: "_Wish", files: Sequence[int]) -> int | None:
        """The id of the new process, or None: the server is still loading, or there is none."""
        try:
            if self._loading is not None and self._channel.recv(_MOST_BYTES, socket.MSG_DONTWAIT):
                self._loaded.add(self._loading)
                self._loading = None
            if module in self._loaded:
                socket.send_fds(self._channel, [json.dumps(wish).encode()], files)
                return int(self._channel.recv(_MOST_BYTES) or 0) or None
            if self._loading is None:
                self._channel.send(json.dumps(module).encode())
                self._loading = module
        except OSError:  # it is still loading (BlockingIOError), or has ended
            pass
        except BaseException:
            # An answer that nobody has waited for would be taken for the next one's.
            self._channel.close()
            raise
        return None


# The program's text, its words, the folder, and the environment.
_Wish = tuple[str, Sequence[str], str, Mapping[str, str]]


class _Forking:
    """What `subprocess` calls to start a program, once this worker forks."""

    def __init__(self) -> None:
        self._execute: Any = vars(subprocess)["_fork_exec"]
        self._server: _Server | None = None
        self._asking = threading.Lock()

    def __call__(self, *arguments: Any) -> int:
        """The process's id."""
        words, pass_fds, folder, environment = arguments[0], *arguments[3:6]
        if (
            words[0] == sys.executable
            and isinstance(words[min(2, len(words) - 1)], Forkable)
            # The one through which `subprocess` would hear that there is no such program.
            and len(pass_fds) == 1
            and folder is None
            and environment is not None
            and arguments[14:22] == _NOTHING_ELSE
        ):
            loads = _LOADS.get(tuple(words[3:5]))
            variables = dict(os.fsdecode(each).split("=", 1) for each in environment)
            if loads is not None and not any(map(_READ_AT_START.fullmatch, variables)):
                files = [
                    number if file == -1 else file
                    for number, file in enumerate((arguments[6], arguments[9], arguments[11]))
                ]
                with self._asking:
                    self._server = self._server or _Server()
                    pid = self._server.fork(loads, (words[2], words[3:], str(Path.cwd()), variables), files)
                if pid is not None:
                    return pid
        return int(self._execute(*arguments))


def are_possible() -> bool:
    """Whether this system has what it takes: not where a container forbids it, nor in a Python that starts programs in another way."""
    libc = ctypes.CDLL(None, use_errno=True)
    # Of a structure that is too short it says so, if it would do it otherwise.
    return (
        libc.syscall(_SYS_CLONE3, None, 0) == -1
        and ctypes.get_errno() == errno.EINVAL
        and "_fork_exec" in vars(subprocess)
    )


def allow_forks() -> None:
    """From now on what `subprocess` starts may be a fork."""
    if are_possible() and not isinstance(vars(subprocess)["_fork_exec"], _Forking):
        vars(subprocess).update(
            _fork_exec=_Forking(),
            # Newer versions of Python would start many programs without it.
            _USE_POSIX_SPAWN=False,
        )


def _serve(channel: socket.socket) -> tuple[_Wish, list[int]] | None:
    """Load and fork until the worker has ended. In a fork, comes back with what it is to become, and its files."""
    while True:
        message, files, _flags, _address = socket.recv_fds(channel, _MOST_BYTES, 3)
        if not message:
            return None
        wish = json.loads(message)
        if isinstance(wish, str):
            with loading():
                importlib.import_module(wish)
            # A fork would wait for ever for what another thread holds.
            assert len(list(Path("/proc/self/task").iterdir())) == 1, wish
            channel.send(b"loaded")
            continue
        pid = _clone()
        if pid == 0:
            channel.detach()
            return wish, files
        for file in files:
            os.close(file)
        channel.send(str(max(pid, 0)).encode())


def _clone() -> int:
    """As os.fork(), but the new process is a child of this one's parent. Negative if the system does not allow it."""
    libc = ctypes.PyDLL(None)
    thread_id = ctypes.c_uint64()
    flags = _CLONE_PARENT
    if libc.prctl(_PR_GET_TID_ADDRESS, ctypes.byref(thread_id)) == 0:
        # As glibc's fork() does: it keeps the number of each thread.
        flags |= _CLONE_CHILD_SETTID
    # struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls.
    arguments = (ctypes.c_uint64 * 8)(flags, 0, thread_id.value)
    ctypes.pythonapi.PyOS_BeforeFork()
    pid: int = libc.syscall(_SYS_CLONE3, arguments, ctypes.sizeof(arguments))
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    return pid


def _become(wish: _Wish, files: Sequence[int]) -> None:
    """Run the program as if Python had been executed with it."""
    text, words, folder, variables = wish
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(folder)
    environment = os.environ  # noqa: TID251 - another program's
    # But not what Python sets itself where nothing names a language.
    for name in environment.keys() - {"LC_CTYPE"}:
        del environment[name]
    environment.update(variables)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["-c", *words]
    exec(text, {"__name__": "__main__"})


def _main() -> None:
    # Ctrl-C is for the worker, with whom this ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wished = _serve(socket.socket(fileno=int(sys.argv[1])))
    if wished is not None:
        _become(*wished)


if __name__ == "__main__":
    _main()
