"""How many streams there are, and how long one may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamBounds:
    """The bounds of one process."""

    # About 10 kB of memory each. A process with none does not listen to PostgreSQL either.
    most_streams: int = 5_000
    # Proxies give up on a silent connection after 30 to 60 s. A stream outlives its session by this at most.
    keep_alive_seconds: float = 15.0
    # A listener who takes nothing for so long is gone.
    send_seconds: float = 30.0
    # More is cheaper to read anew.
    most_replayed: int = 1_000
    # Events that were heard of and not yet read. No transaction of ours tells of so many.
    most_heard: int = 10_000
