"""The alarms name what the processes really show, before anything has happened: from nothing to 1 would be no increase."""

import asyncio
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are one more dependency, for one test
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from services.connector.amazon.access import create_amazon
from services.connector.amazon.notice_queue import NoticeQueue
from services.connector.amazon.signing import AwsKey
from services.connector.amazon_credentials.secrets import ClientSecrets
from services.connector.amazon_notices.service import NoticeReader
from services.connector.amazon_pauses.service import PauseSwitch
from services.connector.audit.alarm_service import Alarms
from services.connector.events.hub import Hub
from services.connector.http.connections import ConnectionBounds, Connections
from services.connector.http.middleware import RequestObserver
from services.connector.integrations import jobs as integration_jobs
from services.connector.integrations.owner_mails import MailServer, NoticeMailer
from services.connector.integrations.service import recompute_lock
from services.connector.job_queue.runner import JobRunner
from services.connector.maintenance.jobs import HousekeepingMetrics
from services.connector.operations.backlog import Backlog
from services.connector.orders.sync_service import OrderSynchronizer
from services.connector.privacy.purger import Purger
from services.connector.tokens import jobs as token_jobs
from services.connector.tokens.service import Vault
from services.connector.webhooks.delivery import WebhookSender
from services.mailrelay.authenticity.metrics import DnsMetrics
from services.mailrelay.delivery.metrics import DeliveryMetrics
from services.mailrelay.metrics import RelayMetrics
from services.mailrelay.outbound.metrics import OutboundMetrics
from services.mailrelay.process.aggregated_status import ProcessAggregator
from shared.background_tasks import BackgroundTasks
from shared.blobs.folder import FolderBlobs
from shared.connection_metrics import show_connections
from shared.crypto.key_provider import KeyFile
from shared.database import Sessions
from shared.keyring import Keyring
from shared.metrics import process_registry, render
from shared.outgoing.connections import OutgoingConnections
from tests.conftest import Keys

RULES: Final = Path(__file__).parents[2] / "deploy" / "alerts" / "replyco.yaml"
SELECTOR: Final = re.compile(r"\b((?:replyco|lwa|process)_\w+)(?:\{([^}]*)\})?")
RUNBOOK: Final = "docs/operations/runbook"
ROOT: Final = Path(__file__).parents[2]
PROMTOOL: Final = shutil.which("promtool")
LABEL: Final = re.compile(r'(\w+)="([^"]*)"')


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


async def not_asked(*_request: object) -> None:
    raise AssertionError


@pytest.fixture
async def shown(sessions: Sessions, keyring: Keyring, keys: Keys, tmp_path: Path) -> str:
    """What the four processes show on `/metrics` as they start, together."""
    registry, relay, mail_worker = process_registry(), process_registry(), process_registry()
    provider = KeyFile.load(keys.key_file)
    Hub(str(sessions.kw["bind"].url), registry)
    secrets = ClientSecrets(sessions, provider, "client", SecretStr("secret"), registry=registry)
    amazon = create_amazon("client", secrets, amazon_base_url="http://127.0.0.1:9")
    PauseSwitch(sessions, "client", registry)
    vault = Vault(sessions, keyring, amazon, recompute_lock, registry)
    WebhookSender(sessions, keyring, OutgoingConnections(), registry)
    HousekeepingMetrics(registry)
    Alarms(sessions, registry, reads_an_hour=1, failed_sign_ins_an_hour=1)
    Purger(sessions, FolderBlobs(tmp_path), registry, messages_end_with_orders=False)
    Connections(ConnectionBounds(most=1, most_of_network=1), registry)
    server = MailServer("127.0.0.1", 25, "none", None, None, "no-reply@relay.example")
    mailer = NoticeMailer(sessions, server, "http://localhost:8000", registry, mail_domain="replyco.email")
    queue = NoticeQueue("http://127.0.0.1:9/1/notices", AwsKey("id", SecretStr("key"), "eu-central-1", "sqs"))
    NoticeReader(sessions, queue, {}, registry)
    runner = JobRunner(sessions, registry)
    token_jobs.register(runner, vault)
    OrderSynchronizer(sessions, keyring, vault, lambda: datetime.now(UTC), registry)
    blobs = FolderBlobs(tmp_path)
    integration_jobs.register(runner, sessions=sessions, vault=vault, blobs=blobs, notice_mailer=mailer)
    RelayMetrics(relay)
    DeliveryMetrics(mail_worker)
    OutboundMetrics(mail_worker)
    DnsMetrics(mail_worker)
    BackgroundTasks(asyncio.Event(), mail_worker)
    Backlog(sessions, registry)
    RequestObserver(not_asked, registry, lambda _scope: "none", lambda _scope: not_asked)
    bind = sessions.kw["bind"]
    show_connections(registry, bind)
    supervisor = (await ProcessAggregator([]).answer("/metrics")).body
    text = b"".join([*(render(each) for each in (registry, relay, mail_worker)), supervisor]).decode()
    await queue.close()
    blobs.close()
    await vault.close()
    await amazon.close()
    return text


def family_of(name: str) -> str:
    """The metric that a sample of a histogram belongs to."""
    return re.sub(r"_(bucket|count|sum)$", "", name)


def is_shown(name: str, labels: str, shown: str) -> bool:
    """Whether a selector of an alarm finds anything. One that names some labels only finds every value of the others."""
    wanted = dict(LABEL.findall(labels))
    assert ",".join(f'{label}="{value}"' for label, value in wanted.items()) == labels, labels
    samples = [
        s for family in text_string_to_metric_families(shown) for s in family.samples if s.name == name
    ]
    return any(wanted.items() <= sample.labels.items() for sample in samples)


async def test_each_metric_of_an_alarm_is_shown_from_the_start(shown: str) -> None:
    for rule in rules():
        selectors = SELECTOR.findall(rule["expr"])
        assert selectors, rule["alert"]
        for name, labels in selectors:
            assert f"\n# TYPE {family_of(name)} " in shown, (rule["alert"], name)
            assert not labels or is_shown(name, labels, shown), (rule["alert"], name, labels)


def test_a_label_that_no_code_shows_is_found() -> None:
    shown = '# TYPE replyco_jobs_total counter\nreplyco_jobs_total{kind="refresh",outcome="held"} 0\n'

    for labels in ('outcome="held"', 'kind="refresh"', 'outcome="held",kind="refresh"'):
        assert is_shown("replyco_jobs_total", labels, shown)
    for labels in ('outcome="stuck"', 'outcome="held",kind="mail"', 'state="held"'):
        assert not is_shown("replyco_jobs_total", labels, shown)
    assert not is_shown("replyco_runs_total", 'outcome="held"', shown)


def test_each_alarm_says_what_is_wrong_what_to_do_and_how_urgent_it_is() -> None:
    names = [rule["alert"] for rule in rules()]

    assert len(names) == len(set(names)) >= 10
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}, rule["alert"]


def test_each_alarm_has_its_page_and_each_page_its_alarm() -> None:
    assert {f"{rule['alert']}.md" for rule in rules()} == {page.name for page in (ROOT / RUNBOOK).iterdir()}
    for rule in rules():
        address = rule["annotations"]["runbook_url"]
        assert address == f"{RUNBOOK}/{rule['alert']}.md"
        title, *sections = (ROOT / address).read_text("utf-8").split("\n## ")
        assert title.strip() == f"# {rule['alert']}"
        headings, texts = zip(*(section.split("\n", 1) for section in sections), strict=True)
        assert headings == ("Meaning", "First look", "Cure", "Who"), address
        assert all(len(text.strip()) > 15 for text in texts), address


@pytest.mark.skipif(
    PROMTOOL is None, reason="promtool (Debian's package prometheus, 19 MB, 96 installed) is not here"
)
@pytest.mark.parametrize("command", ["check", "test"])
def test_prometheus_itself_reads_the_alarms_and_they_fire_when_they_should(command: str) -> None:
    files = [RULES] if command == "check" else sorted(RULES.parent.glob("*.test.yaml"))

    ended = subprocess.run(
        [str(PROMTOOL), command, "rules", *files], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
