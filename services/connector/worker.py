"""The connector's worker: runs the rooms' jobs and schedules, and goes on through everything that PostgreSQL does meanwhile."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog
from pgqueuer import PgQueuer
from prometheus_client import CollectorRegistry, Counter

from services.connector.amazon.access import create_amazon
from services.connector.amazon.notice_queue import open_notice_queue
from services.connector.amazon_credentials import jobs as application_jobs
from services.connector.amazon_credentials.secrets import ClientSecrets
from services.connector.amazon_credentials.service import NoticeReader
from services.connector.integrations import jobs as integration_jobs
from services.connector.integrations.owner_mails import MailServer, NoticeMailer
from services.connector.integrations.service import recompute_lock
from services.connector.maintenance.jobs import HousekeepingMetrics, keep_house_forever
from services.connector.outgoing.addresses import networks
from services.connector.outgoing.connections import OutgoingConnections
from services.connector.settings import ConnectorSettings
from services.connector.throttling.buckets import DatabaseBuckets
from services.connector.tokens import jobs as token_jobs
from services.connector.tokens.service import Vault
from services.connector.webhooks.delivery import WebhookSender
from shared.background_tasks import BackgroundTasks
from shared.blobs import open_blobs
from shared.crypto.key_provider import KeyFile
from shared.database import (
    DRIVER_UNAVAILABLE,
    Sessions,
    connect,
    create_engine,
    create_sessions,
    database_answers,
    is_unavailable,
)
from shared.keyring import Keyring
from shared.side_port import side_port

log = structlog.get_logger()

# A job that nobody announced is found at the latest after this.
_POLL: Final = timedelta(seconds=5)
_RETRY_SECONDS: Final = 1.0
# Jobs under way at a stop get this long; what is cut off runs again.
_STOP_SECONDS: Final = 10.0


async def run_worker(settings: ConnectorSettings, stop: asyncio.Event) -> None:
    """Work until `stop` is set. Raises KeyFileUnusable or PortTaken before anything has begun."""
    provider = KeyFile.load(settings.key_file)
    keyring = Keyring(provider)
    registry = CollectorRegistry()
    restarts = Counter("replyco_worker_restarts", "Times the job queue was restarted", registry=registry)
    database_url = settings.database_url.get_secret_value()
    engine = create_engine(database_url, application_name="replyco-connector-worker", pool_size=10)
    sessions = create_sessions(engine)
    secrets = ClientSecrets(
        sessions,
        provider,
        settings.amazon_client_id,
        settings.amazon_client_secret,
        settings.amazon_client_secret_previous,
        registry=registry,
    )
    amazon = create_amazon(
        settings.amazon_client_id,
        secrets,
        amazon_base_url=settings.amazon_base_url,
        buckets=DatabaseBuckets(sessions),
    )
    vault = Vault(sessions, keyring, amazon, recompute_lock, registry)
    outgoing = OutgoingConnections(
        allowed=networks(settings.outgoing_allowed_networks),
        refused=networks(settings.outgoing_refused_networks),
    )
    webhook_sender = WebhookSender(sessions, keyring, outgoing, registry)
    blobs = open_blobs(settings)
    notice_mailer = _create_notice_mailer(settings, sessions, registry)
    house_metrics = HousekeepingMetrics(registry)
    notice_queue = open_notice_queue(settings)
    reader = (
        NoticeReader(sessions, provider, notice_queue, settings.amazon_client_id, registry)
        if notice_queue is not None
        else None
    )

    def register(queue: PgQueuer) -> None:
        token_jobs.register(queue, vault)
        application_jobs.register(queue, secrets, reader)
        integration_jobs.register(
            queue, sessions=sessions, vault=vault, blobs=blobs, notice_mailer=notice_mailer
        )

    background = BackgroundTasks(stop, registry)
    try:
        async with (
            side_port(
                settings.side_host,
                settings.worker_port,
                setting="REPLYCO_WORKER_PORT",
                registry=registry,
                is_ready=lambda: database_answers(sessions),
                problem=background.problem,
            ),
            background,
        ):
            log.info("worker_started")
            background.start("webhook_sender", lambda: webhook_sender.run(stop), ends_at_stop=True)
            background.start("housekeeping", lambda: keep_house_forever(sessions, house_metrics))
            while not stop.is_set():
                try:
                    await _work(database_url, register, stop)
                except Exception as error:
                    if is_unavailable(error):
                        log.warning("database_unavailable", exc_info=error)
                    else:
                        # A worker that has ended helps nobody: tell the operators and go on.
                        log.exception("worker_failed")
                restarts.inc()
                await _wait(_RETRY_SECONDS, stop)
    finally:
        await vault.close()
        await amazon.close()
        if notice_queue is not None:
            await notice_queue.close()
        blobs.close()
        await engine.dispose()
        log.info("worker_stopped")


def _create_notice_mailer(
    settings: ConnectorSettings, sessions: Sessions, registry: CollectorRegistry
) -> NoticeMailer | None:
    if settings.notice_smtp_host is None:
        return None
    server = MailServer(
        settings.notice_smtp_host,
        settings.notice_smtp_port,
        settings.notice_smtp_tls,
        settings.notice_smtp_username,
        settings.notice_smtp_password,
        settings.notice_from or f"no-reply@{settings.mail_domain}",
    )
    return NoticeMailer(sessions, server, settings.public_url, registry)


async def _work(database_url: str, register: Callable[[PgQueuer], None], stop: asyncio.Event) -> None:
    """One connection's life: ends when `stop` is set or the connection is lost."""
    connection = await connect(database_url, application_name="replyco-connector-queue")
    lost = asyncio.Event()
    try:
        connection.add_termination_listener(lambda _connection: lost.set())
        queue = PgQueuer.from_asyncpg_connection(connection)
        register(queue)
        running = asyncio.create_task(queue.run(dequeue_timeout=_POLL))
        endings = [asyncio.create_task(stop.wait()), asyncio.create_task(lost.wait())]
        await asyncio.wait([running, *endings], return_when=asyncio.FIRST_COMPLETED)
        for ending in endings:
            ending.cancel()
        queue.shutdown.set()
        done, _ = await asyncio.wait([running], timeout=_STOP_SECONDS if stop.is_set() else 1.0)
        if not done:
            running.cancel()
            await asyncio.wait([running])
        if not running.cancelled() and (error := running.exception()) is not None:
            log.warning("queue_ended", exc_info=error)
    finally:
        if not connection.is_closed():
            with suppress(*DRIVER_UNAVAILABLE):
                await connection.close(timeout=5)


async def _wait(seconds: float, stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
