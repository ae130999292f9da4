"""What is known of one session: who the client is, what came of it, and when its time is over."""

import secrets
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from services.mailrelay.settings import RelaySettings
from services.mailrelay.smtp import replies
from services.mailrelay.smtp.limits import ClientQuota
from services.mailrelay.smtp.replies import Reply
from services.mailrelay.smtp.trace import Trace


@dataclass(slots=True)
class SessionState:
    """Moments are those of `time.monotonic`."""

    peer_address: IPv4Address | IPv6Address
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    # None: not admitted yet.
    quota: ClientQuota | None = None
    helo: str | None = None
    tls_version: str | None = None
    # Why it ended, for log and metrics.
    end_reason: str = "disconnected"
    trace: Trace = field(default_factory=Trace)
    mails: int = 0
    mail_bytes: int = 0
    refusals: int = 0
    has_begun_mail: bool = False
    began_at: float = field(default_factory=time.monotonic)
    # When the client last sent something.
    active_at: float = field(default_factory=time.monotonic)
    # While a mail arrives: since when, and how much of it has come.
    data_began_at: float | None = None
    data_bytes: int = 0

    def deadline(self, settings: RelaySettings) -> tuple[float, Reply]:
        """When the session is over if nothing more comes, and the reply that it gets then."""
        patience = settings.idle_timeout_seconds
        if not self.has_begun_mail:
            patience = min(patience, settings.first_mail_timeout_seconds)
        idle = self.active_at + patience, replies.TIMED_OUT
        if self.data_began_at is None:
            session = self.began_at + settings.session_timeout_seconds, replies.SESSION_TOO_LONG
            return min(idle, session, key=_moment)
        data = self.data_began_at + settings.data_timeout_seconds, replies.TIMED_OUT
        # Each byte that has come buys time.
        bought_seconds = settings.data_grace_seconds + self.data_bytes / settings.data_rate_floor_bytes
        slow = self.data_began_at + bought_seconds, replies.TOO_SLOW
        return min(idle, data, slow, key=_moment)


def _moment(deadline: tuple[float, Reply]) -> float:
    return deadline[0]
