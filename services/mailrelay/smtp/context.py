"""What all sessions of a process share."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from services.mailrelay.intake.journal import Journal
from services.mailrelay.intake.recipients import Recipients
from services.mailrelay.metrics import RelayMetrics
from services.mailrelay.settings import RelaySettings
from services.mailrelay.smtp.limits import Limits
from services.mailrelay.smtp.starttls import Certificate
from services.mailrelay.smtp.trace import Traces
from shared.blobs import BlobStore


class OpenSession(Protocol):
    """The part of a session that stopping the relay uses."""

    def stop(self) -> None: ...
    def stop_now(self) -> None: ...


@dataclass(frozen=True, slots=True)
class RelayContext:
    settings: RelaySettings
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
