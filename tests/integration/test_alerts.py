"""The alarms name what the processes really show, before anything has happened: from nothing to 1 would be no increase."""

import asyncio
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are one more dependency, for one test
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.connector.amazon.access import create_amazon
from services.connector.amazon.notice_queue import NoticeQueue
from services.connector.amazon.signing import AwsKey
from services.connector.amazon_credentials.secrets import ClientSecrets
from services.connector.amazon_credentials.service import NoticeReader
from services.connector.events.hub import Hub
from services.connector.integrations.owner_mails import MailServer, NoticeMailer
from services.connector.integrations.service import recompute_lock
from services.connector.maintenance.jobs import HousekeepingMetrics
from services.connector.outgoing.connections import OutgoingConnections
from services.connector.tokens.service import Vault
from services.connector.webhooks.delivery import WebhookSender
from services.mailrelay.authenticity.metrics import DnsMetrics
from services.mailrelay.delivery.metrics import DeliveryMetrics
from services.mailrelay.metrics import RelayMetrics
from shared.background_tasks import BackgroundTasks
from shared.crypto.key_provider import KeyFile
from shared.database import Sessions
from shared.keyring import Keyring
from shared.metrics import render
from tests.conftest import Keys

RULES: Final = Path(__file__).parents[2] / "deploy" / "alerts" / "replyco.yaml"
SELECTOR: Final = re.compile(r"\b((?:replyco|lwa)_\w+)(\{[^}]*\})?")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture
async def shown(sessions: Sessions, keyring: Keyring, keys: Keys) -> str:
    """What the four processes show on `/metrics` as they start, together."""
    registry, relay, mail_worker = CollectorRegistry(), CollectorRegistry(), CollectorRegistry()
    provider = KeyFile.load(keys.key_file)
    Hub(str(sessions.kw["bind"].url), registry)
    secrets = ClientSecrets(sessions, provider, "client", SecretStr("secret"), registry=registry)
    amazon = create_amazon("client", secrets, amazon_base_url="http://127.0.0.1:9")
    vault = Vault(sessions, keyring, amazon, recompute_lock, registry)
    WebhookSender(sessions, keyring, OutgoingConnections(), registry)
    HousekeepingMetrics(registry)
    server = MailServer("127.0.0.1", 25, "none", None, None, "no-reply@relay.example")
    NoticeMailer(sessions, server, "http://localhost:8000", registry)
    queue = NoticeQueue("http://127.0.0.1:9/1/notices", AwsKey("id", SecretStr("key"), "eu-central-1", "sqs"))
    NoticeReader(sessions, provider, queue, "client", registry)
    RelayMetrics(relay)
    DeliveryMetrics(mail_worker)
    DnsMetrics(mail_worker)
    BackgroundTasks(asyncio.Event(), mail_worker)
    text = b"".join(render(each) for each in (registry, relay, mail_worker)).decode()
    await queue.close()
    await vault.close()
    await amazon.close()
    return text


async def test_each_metric_of_an_alarm_is_shown_from_the_start(shown: str) -> None:
    for rule in rules():
        selectors = SELECTOR.findall(rule["expr"])
        assert selectors, rule["alert"]
        for name, labels in selectors:
            assert f"\n# TYPE {name} " in shown, (rule["alert"], name)
            assert not labels or f"\n{name}{labels} " in shown, (rule["alert"], name, labels)


def test_each_alarm_says_what_is_wrong_what_to_do_and_how_urgent_it_is() -> None:
    names = [rule["alert"] for rule in rules()]

    assert len(names) == len(set(names)) >= 10
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description"}, rule["alert"]
