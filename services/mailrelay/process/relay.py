"""Composes what accepts mail in one process, and takes it apart without losing a mail."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from services.mailrelay.intake.journal import Journal, overlook_lost_copies
from services.mailrelay.intake.proven_networks import ProvenNetworks
from services.mailrelay.intake.recipients import Recipients
from services.mailrelay.metrics import RelayMetrics
from services.mailrelay.process.listeners import Listeners
from services.mailrelay.process.malloc import give_large_blocks_back
from services.mailrelay.settings import RelaySettings
from services.mailrelay.smtp.context import RelayContext
from services.mailrelay.smtp.limits import LimitHit, Limits
from services.mailrelay.smtp.protocol import RelaySession
from services.mailrelay.smtp.starttls import Certificate
from shared.blobs import open_blobs
from shared.crypto.mail_key_files import MailPublicKeyFile
from shared.file_limits import ACCEPT_BATCH, raise_file_limit, report_exhaustion
from shared.metrics import process_registry
from shared.side_port import Answering, health
from shared.status.report import StatusReport

log = structlog.get_logger()

# Connections that the kernel holds for us while we are busy.
_BACKLOG: Final = 1024
# asyncio takes the task that makes the transport, the transport's own start, and one to spare.
_LOOP_STEPS_TO_A_SESSION: Final = 3


async def accept_mail(
    settings: RelaySettings,
    listeners: Listeners,
    stop: asyncio.Event,
    *,
    on_ready: Callable[[Answering], None],
) -> None:
    """Accept mail on these sockets until `stop`. `on_ready` is given what answers for the process on the side port.

    Raises KeyFileUnusable, CertificateUnusable and DatabaseUnfit before anything is accepted.
    """
    give_large_blocks_back()
    mail_keys = MailPublicKeyFile.load(settings.mail_public_key_file)
    registry = process_registry()
    metrics = RelayMetrics(registry)
    database_url = settings.database_url.get_secret_value()
    certificate = Certificate.configured(settings, metrics)
    recipients = await Recipients.open(
        database_url,
        domain=settings.mail_domain,
        postmaster_local_part=settings.postmaster_local_part,
        metrics=metrics,
    )
    journal = Journal(
        database_url,
        mail_key=lambda: mail_keys.current,
        commit_timeout_seconds=settings.commit_timeout_seconds,
        queue_bytes=settings.journal_queue_bytes,
        metrics=metrics,
    )
    proven_networks = ProvenNetworks(recipients.pool)
    limits = Limits(
        settings,
        connection_limit=raise_file_limit(settings.connection_limit),
        on_hit=lambda hit: metrics.limits.labels(hit).inc(),
        proven_networks=lambda: proven_networks.networks,
    )
    metrics.memory_bytes.set_function(lambda: limits.memory_bytes)
    blobs = open_blobs(settings)
    context = RelayContext(settings, recipients, journal, metrics, limits, blobs, certificate)
    await journal.connect()
    writing = asyncio.create_task(journal.run())
    watching = [asyncio.create_task(recipients.run()), asyncio.create_task(proven_networks.run())]
    if certificate is not None:
        watching.append(asyncio.create_task(certificate.run()))
    try:
        servers = await _listen(context, listeners)
        on_ready(
            health(
                registry,
                recipients.database_problem,
                context.traces.page,
                status=StatusReport("mailrelay", database_problem=recipients.database_problem),
            )
        )
        await _until_stopped(stop, writing, *watching)
        for server in servers:
            server.close()
        await _finish_sessions(context)
    finally:
        journal.close()
        blobs.close()
        for task in watching:
            task.cancel()
        await asyncio.gather(writing, *watching, return_exceptions=True)
        await recipients.close()


async def _listen(context: RelayContext, listeners: Listeners) -> list[asyncio.Server]:
    report_exhaustion(lambda: context.limits.on_hit(LimitHit.FILE_DESCRIPTORS))
    overlook_lost_copies()
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda: RelaySession(context), sock=listener, backlog=ACCEPT_BATCH)
        for listener in listeners
    ]
    # asyncio uses one number for the kernel's backlog and for the connections accepted at once; we need two.
    for listener in listeners:
        listener.listen(_BACKLOG)
    return servers


async def _until_stopped(stop: asyncio.Event, *tasks: asyncio.Task[None]) -> None:
    """None of the tasks ever ends by itself: if one does, that is a bug, and the process must not go on without it."""
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    for task in tasks:
        if task.done():
            task.result()


async def _finish_sessions(context: RelayContext) -> None:
    """Sessions between two mails end at once; one within a mail has `shutdown_seconds` for it."""
    # A connection taken from the listener a moment ago becomes a session only some steps of the loop later.
    for _ in range(_LOOP_STEPS_TO_A_SESSION):
        await asyncio.sleep(0)
    for session in list(context.sessions):
        session.stop()
    try:
        async with asyncio.timeout(context.settings.shutdown_seconds):
            while context.sessions:
                context.session_ended.clear()
                await context.session_ended.wait()
    except TimeoutError:
        log.warning("sessions_broken_off", sessions=len(context.sessions))
    for session in list(context.sessions):
        session.stop_now()
    await asyncio.sleep(0)
