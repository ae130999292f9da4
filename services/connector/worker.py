"""The connector's worker: runs the rooms' jobs and schedules, and goes on through everything that PostgreSQL does meanwhile."""

import asyncio
from functools import partial

import structlog
from prometheus_client import CollectorRegistry

from services.connector.account_closing import jobs as account_closing_jobs
from services.connector.account_closing.mails import AccountMails
from services.connector.accounts.letters import Compose
from services.connector.amazon.access import create_amazon
from services.connector.amazon.notice_queue import open_notice_queue
from services.connector.amazon_credentials import jobs as application_jobs
from services.connector.amazon_credentials.notices import EXPIRY_KIND, NEW_SECRET_KIND
from services.connector.amazon_credentials.secrets import ClientSecrets
from services.connector.amazon_credentials.service import SecretNotices
from services.connector.amazon_notices import jobs as notice_jobs
from services.connector.amazon_notices.service import NoticeReader
from services.connector.amazon_notices.subscription_service import Subscriber
from services.connector.amazon_pauses.service import PauseSwitch
from services.connector.audit import jobs as audit_jobs
from services.connector.audit.alarm_mails import AlarmMails
from services.connector.audit.alarm_service import Alarms
from services.connector.forwarding import jobs as forwarding_jobs
from services.connector.integrations import jobs as integration_jobs
from services.connector.integrations.owner_mails import MailServer, NoticeMailer
from services.connector.integrations.service import recompute_lock
from services.connector.job_queue.runner import JobRunner
from services.connector.maintenance.jobs import HousekeepingMetrics, keep_house_forever
from services.connector.operations.backlog import Backlog
from services.connector.order_reports import jobs as order_report_jobs
from services.connector.order_reports.service import Follower
from services.connector.orders import jobs as order_jobs
from services.connector.orders.fetch_service import OrderFetcher
from services.connector.orders.hint_service import HintedOrders
from services.connector.orders.sync_service import OrderSynchronizer
from services.connector.organizing import jobs as organizing_jobs
from services.connector.organizing.waking import wake_forever
from services.connector.privacy import jobs as privacy_jobs
from services.connector.privacy.purger import Purger
from services.connector.settings import ConnectorSettings
from services.connector.sign_in.mails import SignInMails
from services.connector.throttling.buckets import DatabaseBuckets
from services.connector.tokens import jobs as token_jobs
from services.connector.tokens.service import Vault
from services.connector.users.mails import InvitationMails
from services.connector.webhooks.delivery import WebhookSender
from services.connector.webhooks.pausing import end_pauses_forever
from shared.background_tasks import BackgroundTasks, wait_for_tables
from shared.blobs import BlobStore, open_blobs, watch_rights
from shared.connection_metrics import show_database
from shared.crypto.key_source import KeySource
from shared.database import (
    Sessions,
    create_engine,
    create_sessions,
    database_problem,
    require_version,
)
from shared.keyring import Keyring
from shared.metrics import process_registry
from shared.outgoing.addresses import networks
from shared.outgoing.connections import OutgoingConnections
from shared.side_port import side_port
from shared.status.of_sessions import status_of
from shared.status.queries import EVERYTHING
from shared.tables import NoticeKind

log = structlog.get_logger()


async def run_worker(settings: ConnectorSettings, stop: asyncio.Event) -> None:
    """Work until `stop` is set. Raises KeyFileUnusable, CannotStart or PortTaken before anything has begun."""
    provider = KeySource.open(settings)
    keyring = Keyring(provider)
    registry = process_registry()
    engine = create_engine(
        settings.database_url.get_secret_value(), application_name="replyco-connector-worker", pool_size=10
    )
    sessions = await require_version(create_sessions(engine))
    show_database(registry, engine, sessions.clock)
    secrets = ClientSecrets(
        sessions,
        provider,
        settings.amazon_client_id,
        settings.amazon_client_secret,
        settings.amazon_client_secret_previous,
        registry=registry,
    )
    pause_switch = PauseSwitch(sessions, settings.amazon_client_id, registry)
    amazon = create_amazon(
        settings.amazon_client_id,
        secrets,
        amazon_base_url=settings.amazon_base_url,
        buckets=DatabaseBuckets(sessions),
        switch=pause_switch,
    )
    vault = Vault(sessions, keyring, amazon, recompute_lock, registry)
    webhook_sender = WebhookSender(
        sessions,
        keyring,
        OutgoingConnections(
            allowed=networks(settings.outgoing_allowed_networks),
            refused=networks(settings.outgoing_refused_networks),
            webhook_ports=settings.webhook_ports,
        ),
        registry,
    )
    blobs = open_blobs(settings)
    purger = Purger(sessions, blobs, registry, messages_end_with_orders=settings.messages_end_with_orders)
    notice_queue = open_notice_queue(settings, pause_switch)
    reader = subscriber = None
    if notice_queue is not None:
        take_secret = SecretNotices(sessions, provider, settings.amazon_client_id).take
        of_application = {NEW_SECRET_KIND: take_secret, EXPIRY_KIND: take_secret}
        reader = NoticeReader(sessions, notice_queue, of_application, registry)
        subscriber = Subscriber(sessions, amazon, vault, notice_queue.arn, registry)

    runner = JobRunner(sessions, registry)
    token_jobs.register(runner, vault)
    application_jobs.register(runner, secrets)
    notice_jobs.register(runner, sessions, reader, subscriber)
    _register_inbox(runner, sessions)
    fetcher = OrderFetcher(sessions, keyring, vault)
    order_jobs.register(
        runner,
        sessions,
        fetcher,
        OrderSynchronizer(sessions, keyring, vault, sessions.clock.now, registry),
        HintedOrders(sessions, fetcher),
    )
    integration_jobs.register(
        runner,
        sessions=sessions,
        vault=vault,
        blobs=blobs,
        notice_mailer=_create_notice_mailer(settings, sessions, registry),
    )

    order_report_jobs.register(runner, sessions, Follower.create(sessions, vault, keyring, registry))
    _register_ends(runner, sessions, blobs, purger)
    audit_jobs.register(runner, sessions, _create_alarms(settings, sessions, registry))

    background = BackgroundTasks(stop, registry)
    try:
        async with (
            side_port(
                settings.side_host,
                settings.worker_port,
                setting="REPLYCO_WORKER_PORT",
                registry=registry,
                database_problem=lambda: database_problem(sessions),
                problem=background.problem,
                status=status_of("connector-worker", sessions, EVERYTHING, background.problem),
            ),
            background,
        ):
            await wait_for_tables(sessions, stop)
            log.info("worker_started")
            background.start("webhook_sender", lambda: webhook_sender.run(stop), ends_at_stop=True)
            for name, run in (
                ("pause_switch", pause_switch.watch),
                ("housekeeping", partial(keep_house_forever, sessions, HousekeepingMetrics(registry))),
                ("snoozed_conversations", partial(wake_forever, sessions)),
                ("webhook_pauses", partial(end_pauses_forever, sessions)),
                ("privacy_watch", purger.watch_forever),
                ("backlog", Backlog(sessions, registry).watch_forever),
                ("blob_rights", watch_rights(blobs, registry)),
            ):
                background.start(name, run)
            background.start("jobs", lambda: runner.run(stop), ends_at_stop=True)
            await stop.wait()
    finally:
        await asyncio.gather(provider.close(), vault.close())
        await amazon.close()
        if notice_queue is not None:
            await notice_queue.close()
        blobs.close()
        await engine.dispose()
        log.info("worker_stopped")


def _register_inbox(runner: JobRunner, sessions: Sessions) -> None:
    forwarding_jobs.register(runner, sessions)
    organizing_jobs.register(runner, sessions)


def _register_ends(runner: JobRunner, sessions: Sessions, blobs: BlobStore, purger: Purger) -> None:
    """What is deleted because its time is over."""
    privacy_jobs.register(runner, sessions, purger)
    account_closing_jobs.register(runner, sessions, blobs)


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
    composers: dict[NoticeKind, Compose] = {}
    for mails in (SignInMails, InvitationMails, AccountMails, AlarmMails):
        composers |= mails(
            sessions, settings.public_url, support_contact=settings.support_contact
        ).composers()
    return NoticeMailer(
        sessions,
        server,
        settings.public_url,
        registry,
        mail_domain=settings.mail_domain,
        composers=composers,
        support_contact=settings.support_contact,
    )


def _create_alarms(settings: ConnectorSettings, sessions: Sessions, registry: CollectorRegistry) -> Alarms:
    return Alarms(
        sessions,
        registry,
        reads_an_hour=settings.alarm_reads_per_hour,
        failed_sign_ins_an_hour=settings.alarm_failed_sign_ins_per_hour,
    )
