"""What all sessions of a process share."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from services.mailrelay.journal import Journal
from services.mailrelay.limits import Limits
from services.mailrelay.metrics import RelayMetrics
from services.mailrelay.recipients import Recipients
from services.mailrelay.settings import RelaySettings
from services.mailrelay.tls import Certificate
from services.mailrelay.trace import Traces
from shared.blobs import BlobStore
from shared.crypto.raw_mail import MailPublicKey


class OpenSession(Protocol):
    """A session, as far as whoever stops the relay has to know it."""

    def stop(self) -> None: ...
    def stop_now(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Accepting:
    settings: RelaySettings
    mail_key: MailPublicKey
    recipients: Recipients
    journal: Journal
    metrics: RelayMetrics
    limits: Limits
    blobs: BlobStore
    # None: TLS is not set up.
    certificate: Certificate | None
    traces: Traces = field(default_factory=Traces)
    sessions: set[OpenSession] = field(default_factory=set)
    session_ended: asyncio.Event = field(default_factory=asyncio.Event)
