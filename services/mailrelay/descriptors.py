"""Room for connections among the process's file descriptors, so that they never run out.

When they do, Python 3.11 pauses accepting for a second, but first fails once for every place in its batch, loudly.
"""

import resource
from typing import Final

import structlog

log = structlog.get_logger()

# So many connections are taken in one go, before any can be turned away.
ACCEPT_BATCH: Final = 100
# Listening sockets, the side port, connections to the database, files.
_OTHER_DESCRIPTORS: Final = 100


def connections_within(connection_limit: int) -> int:
    """Raise the soft limit to the hard one; how many of the wanted connections fit in."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY:
        return connection_limit
    fitting = max(1, hard - ACCEPT_BATCH - _OTHER_DESCRIPTORS)
    if fitting < connection_limit:
        log.warning("few_file_descriptors", connections=fitting, wanted=connection_limit)
    return min(fitting, connection_limit)
