"""Room for connections among the process's file descriptors, so that they never run out.

When they do all the same, asyncio pauses accepting for a second, but Python 3.11 first fails once for every place in its
batch, and reports each.
"""

import asyncio
import errno
import resource
import time
from collections.abc import Callable
from typing import Any, Final

import structlog

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

log = structlog.get_logger()

# So many connections are taken in one go, before any can be turned away.
ACCEPT_BATCH: Final = 100
# Listening sockets, the side port, connections to the database, files.
_OTHER_DESCRIPTORS: Final = 100


def raise_file_limit(connection_limit: int) -> int:
    """Raise the soft limit of open files to the hard one, and return how many of the wanted connections fit into it."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY:
        return connection_limit
    fitting = max(1, hard - ACCEPT_BATCH - _OTHER_DESCRIPTORS)
    if fitting < connection_limit:
        log.warning("few_file_descriptors", connections=fitting, wanted=connection_limit)
    return min(fitting, connection_limit)


def report_exhaustion(on_exhausted: Callable[[], None]) -> None:
    """Let the running event loop log once for each pause, not once a connection, that accepting pauses."""
    next_report = 0.0

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal next_report
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in _EXHAUSTED and "socket" in context):
            loop.default_exception_handler(context)
        elif time.monotonic() >= next_report:
            next_report = time.monotonic() + 1
            on_exhausted()
            log.error("accepting_paused", exc_info=error)

    asyncio.get_running_loop().set_exception_handler(handle)
