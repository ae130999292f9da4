"""What the processes of all roles show on `/metrics` as they start, and which labels their metrics have."""

import ast
import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx2
from pydantic import SecretStr

from deploy.demo.postgres import CONNECTOR
from services.connector.amazon.access import create_amazon
from services.connector.amazon.notice_queue import NoticeQueue
from services.connector.amazon_credentials.secrets import ClientSecrets
from services.connector.amazon_notices.service import NoticeReader
from services.connector.amazon_notices.subscription_service import Subscriber
from services.connector.amazon_pauses.service import PauseSwitch
from services.connector.app import create_app
from services.connector.audit.alarm_service import Alarms
from services.connector.http.connection_bounds import ConnectionBounds
from services.connector.http.connections import Connections
from services.connector.integrations import jobs as integration_jobs
from services.connector.integrations.owner_mails import MailServer, NoticeMailer
from services.connector.integrations.service import recompute_lock
from services.connector.job_queue.runner import JobRunner
from services.connector.maintenance.jobs import HousekeepingMetrics
from services.connector.operations.backlog import Backlog
from services.connector.order_reports.service import Follower
from services.connector.orders.sync_service import OrderSynchronizer
from services.connector.privacy.purger import Purger
from services.connector.settings import ConnectorSettings
from services.connector.tokens import jobs as token_jobs
from services.connector.tokens.service import Vault
from services.connector.webhooks.delivery import WebhookSender
from services.mailrelay.authenticity.metrics import DnsMetrics
from services.mailrelay.delivery.metrics import DeliveryMetrics
from services.mailrelay.metrics import RelayMetrics
from services.mailrelay.outbound.metrics import OutboundMetrics
from services.mailrelay.process.aggregated_status import ProcessAggregator
from shared.aws_signing import AwsKey
from shared.background_tasks import BackgroundTasks
from shared.blobs import FolderBlobs, watch_rights
from shared.connection_metrics import show_database
from shared.crypto.key_provider import KeyFile
from shared.database import Sessions
from shared.keyring import Keyring
from shared.metrics import process_registry, render
from shared.outgoing.connections import OutgoingConnections
from tests.conftest import Database, Keys

_ROOT: Final = Path(__file__).parents[1]
_MADE_BY: Final = {"Counter", "Gauge", "Histogram", "CounterMetricFamily", "GaugeMetricFamily"}


async def exposed_metrics(
    sessions: Sessions, keyring: Keyring, keys: Keys, database: Database, folder: Path
) -> str:
    """What the four processes show as they start, together."""
    relay, mail_worker = process_registry(), process_registry()
    RelayMetrics(relay)
    DeliveryMetrics(mail_worker)
    OutboundMetrics(mail_worker)
    DnsMetrics(mail_worker)
    BackgroundTasks(asyncio.Event(), mail_worker)
    watch_rights(FolderBlobs(folder), mail_worker)
    supervisor = (await ProcessAggregator([], asyncio.Event()).answer("/metrics")).body
    connector = await _connector(keys, database)
    worker = await _connector_worker(sessions, keyring, keys, folder)
    return b"".join([connector, worker, render(relay), render(mail_worker), supervisor]).decode()


async def _connector(keys: Keys, database: Database) -> bytes:
    settings = ConnectorSettings(
        database_url=SecretStr(database.url(CONNECTOR)),
        key_file=keys.key_file,
        blob_url=keys.blob_url,
        amazon_application_id="application",
        amazon_client_id="client",
        amazon_client_secret=SecretStr("secret"),
    )
    app = create_app(settings)
    registry = app.state.connector.registry
    Connections(ConnectionBounds(most=1, most_of_network=1), registry)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="https://testserver") as client,
    ):
        await client.get("/livez")
        return render(registry)


async def _connector_worker(sessions: Sessions, keyring: Keyring, keys: Keys, folder: Path) -> bytes:
    registry = process_registry()
    secrets = ClientSecrets(
        sessions, KeyFile.load(keys.key_file), "client", SecretStr("secret"), registry=registry
    )
    amazon = create_amazon("client", secrets, amazon_base_url="http://127.0.0.1:9")
    PauseSwitch(sessions, "client", registry)
    vault = Vault(sessions, keyring, amazon, recompute_lock, registry)
    WebhookSender(sessions, keyring, OutgoingConnections(), registry)
    HousekeepingMetrics(registry)
    Alarms(sessions, registry, reads_an_hour=1, failed_sign_ins_an_hour=1)
    blobs = FolderBlobs(folder)
    Purger(sessions, blobs, registry, messages_end_with_orders=False)
    server = MailServer("127.0.0.1", 25, "none", None, None, "no-reply@relay.example")
    mailer = NoticeMailer(sessions, server, "http://localhost:8000", registry, mail_domain="replyco.email")
    queue = NoticeQueue("http://127.0.0.1:9/1/notices", AwsKey("id", SecretStr("key"), "eu-central-1", "sqs"))
    NoticeReader(sessions, queue, {}, registry)
    Subscriber(sessions, amazon, vault, queue.arn, registry)
    Follower.create(sessions, vault, keyring, registry)
    runner = JobRunner(sessions, registry)
    token_jobs.register(runner, vault)
    OrderSynchronizer(sessions, keyring, vault, lambda: datetime.now(UTC), registry)
    integration_jobs.register(runner, sessions=sessions, vault=vault, blobs=blobs, notice_mailer=mailer)
    Backlog(sessions, registry)
    show_database(registry, sessions.kw["bind"], sessions.clock)
    text = render(registry)
    await queue.close()
    blobs.close()
    await vault.close()
    await amazon.close()
    return text


def labels_of_metrics() -> dict[str, frozenset[str]]:
    """Each metric of ours, as a sample is called, and its labels, as the code that makes it says."""
    found: dict[str, frozenset[str]] = {}
    for folder in ("services", "shared"):
        for file in (_ROOT / folder).rglob("*.py"):
            code = file.read_text("utf-8")
            if "prometheus_client" not in code:
                continue
            for node in ast.walk(ast.parse(code)):
                if (made := _metric(node)) is not None:
                    found[made[0]] = made[1]
    return found


def _metric(node: ast.AST) -> tuple[str, frozenset[str]] | None:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _MADE_BY):
        return None
    name, labels = (node.args + [None] * 3)[0:3:2]
    if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
        return None
    is_counter = node.func.id.startswith("Counter") and not name.value.endswith("_total")
    values = labels.elts if isinstance(labels, ast.List | ast.Tuple) else []
    return name.value + "_total" * is_counter, frozenset(
        value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)
    )
