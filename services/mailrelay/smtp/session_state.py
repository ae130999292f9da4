"""What is known of one session: who is there, what came of it, and how much time it has left."""

import secrets
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from services.mailrelay.settings import RelaySettings
from services.mailrelay.smtp import replies
from services.mailrelay.smtp.limits import Guest
from services.mailrelay.smtp.replies import Reply
from services.mailrelay.smtp.trace import Trace


@dataclass(slots=True)
class Visit:
    peer_address: IPv4Address | IPv6Address
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    # None: not admitted yet.
    guest: Guest | None = None
    helo: str | None = None
    tls_version: str | None = None
    # Why it ended, for log and metrics.
    reason: str = "disconnected"
    trace: Trace = field(default_factory=Trace)
    mails: int = 0
    mail_bytes: int = 0
    refusals: int = 0
    began: float = field(default_factory=time.monotonic)
    # When the client last said something.
    active: float = field(default_factory=time.monotonic)
    # While a mail arrives: since when, and how much of it has come.
    data_began: float | None = None
    data_bytes: int = 0

    def ends(self, settings: RelaySettings) -> tuple[float, Reply]:
        """When the session is over if nothing more comes, and what it is told then."""
        silent = self.active + settings.idle_timeout_seconds, replies.TIMED_OUT
        if self.data_began is None:
            long = self.began + settings.session_timeout_seconds, replies.SESSION_TOO_LONG
            return min(silent, long, key=_moment)
        late = self.data_began + settings.data_timeout_seconds, replies.TIMED_OUT
        # Each byte that has come buys time.
        bought = settings.data_grace_seconds + self.data_bytes / settings.data_rate_floor_bytes
        slow = self.data_began + bought, replies.TOO_SLOW
        return min(silent, late, slow, key=_moment)


def _moment(end: tuple[float, Reply]) -> float:
    return end[0]
