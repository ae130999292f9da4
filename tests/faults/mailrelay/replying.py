"""`python -m tests.faults.mailrelay.replying`: what a mail worker does to send replies, alone, with a lease that suits tests of kills."""

import asyncio
import signal
import sys
from datetime import timedelta
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from services.mailrelay.delivery.authentication import readable_as_decided
from services.mailrelay.outbound.metrics import OutboundMetrics
from services.mailrelay.outbound.preparing import Preparation
from services.mailrelay.outbound.sending import ReplySender, Ways
from services.mailrelay.outbound.transports import Bounds
from shared.blobs import FolderBlobs
from shared.crypto.key_provider import KeyFile
from shared.database import create_engine, create_sessions
from shared.keyring import Keyring
from shared.outgoing.connections import OutgoingConnections
from shared.outgoing.smtp import SmtpServer

# What a killed worker had in hand is somebody else's after this.
LEASE = timedelta(seconds=1.5)


async def main(database_url: str, key_file: Path, port: int) -> None:
    engine = create_engine(database_url, application_name="tests-replying")
    outgoing, stop = OutgoingConnections(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    sessions = create_sessions(engine)
    sender = ReplySender(
        Preparation(
            sessions,
            Keyring(KeyFile.load(key_file)),
            FolderBlobs(key_file.parent / "blobs"),
            None,
            "replyco.email",
            readable_as_decided,
        ),
        Ways(
            "mx1.replyco.email",
            outgoing,
            SmtpServer("127.0.0.1", port, "none"),
            outgoing.smtp_tls,
            Bounds(4, 10_000),
        ),
        OutboundMetrics(CollectorRegistry()),
        sessions.clock.now,
        lease=LEASE,
    )
    recovering = asyncio.create_task(sender.recover_forever())
    await sender.run(stop)
    recovering.cancel()
    await engine.dispose()


if __name__ == "__main__":
    # Only what is a fault of ours is worth a line where PostgreSQL is killed.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
