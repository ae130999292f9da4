"""Amazon's notices about the client secret, out of a queue of SQS."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import select
from structlog.testing import capture_logs

from services.connector.amazon.access import create_amazon
from services.connector.amazon.applications import rotate_client_secret
from services.connector.amazon_credentials.notices import EXPIRY_KIND, NEW_SECRET_KIND
from services.connector.amazon_credentials.secrets import ClientSecrets
from services.connector.amazon_credentials.service import SecretNotices
from services.connector.amazon_notices import jobs
from services.connector.amazon_notices.jobs import read_notices
from services.connector.amazon_notices.service import NoticeReader
from services.connector.doctor.checks import examine
from services.connector.settings import ConnectorSettings
from services.sandbox.sp_api.applications_api import announce_secret_expiry
from shared.availability import Dependency
from shared.crypto.key_provider import KeyFile
from shared.database import Sessions, create_engine, create_sessions
from shared.marketplaces import Region
from shared.tables import ApplicationSecret
from tests.conftest import Keys
from tests.integration.connector.connecting import CANARY_SECRET, Amazon, amazon, settings
from tests.s3 import S3, s3_server
from tests.sqs import REGION, Sqs, make_queue, open_queue

__all__ = ["amazon", "settings"]

GONE = create_engine("postgresql://127.0.0.1:1/nowhere", application_name="tests")


@pytest.fixture(scope="module")
def aws() -> Iterator[S3]:
    """moto's server plays SQS as it plays S3."""
    with s3_server() as server:
        yield server


@pytest.fixture
def sqs(aws: S3) -> Sqs:
    return make_queue(aws)


class Worker:
    """What a worker has of this room."""

    def __init__(self, sessions: Sessions, keys: Keys, sqs: Sqs, client_id: str) -> None:
        self.registry = CollectorRegistry()
        provider = KeyFile.load(keys.key_file)
        self.queue = open_queue(sqs.url)
        self.secrets = ClientSecrets(
            sessions, provider, client_id, SecretStr(CANARY_SECRET), registry=self.registry
        )
        take = SecretNotices(sessions, provider, client_id).take
        self.reader = NoticeReader(
            sessions, self.queue, {NEW_SECRET_KIND: take, EXPIRY_KIND: take}, self.registry
        )

    def count(self, outcome: str) -> float | None:
        return self.registry.get_sample_value("replyco_amazon_notices_total", {"outcome": outcome})


@pytest.fixture
async def worker(sessions: Sessions, keys: Keys, sqs: Sqs, amazon: Amazon) -> AsyncIterator[Worker]:
    made = Worker(sessions, keys, sqs, amazon.state.settings.client_id)
    yield made
    await made.queue.close()


async def rotated(amazon: Amazon) -> dict[str, Any]:
    """A rotation by Amazon's API; its notice."""
    ours = create_amazon(
        amazon.state.settings.client_id, SecretStr(CANARY_SECRET), amazon_base_url=amazon.url
    )
    await rotate_client_secret(ours, Region.EU)
    await ours.close()
    return amazon.state.notifications[-1]


async def test_a_rotation_is_taken_into_use_without_a_hand(
    worker: Worker, sqs: Sqs, amazon: Amazon, sessions: Sessions
):
    sqs.put(await rotated(amazon))

    await read_notices(worker.reader)

    new = amazon.state.client_secrets.current
    assert [each.get_secret_value() for each in await worker.secrets.newest_first()] == [new, CANARY_SECRET]
    left = worker.registry.get_sample_value("lwa_client_secret_expires_in_seconds")
    assert left is not None
    assert 179 < left / 86400 <= 180
    async with sessions.begin() as session:
        assert new.encode() not in (await session.scalars(select(ApplicationSecret.wrapped))).one()
    assert (sqs.count(), worker.count("new_secret")) == (0, 1)


async def test_after_the_old_secret_has_ended_tokens_still_come(worker: Worker, sqs: Sqs, amazon: Amazon):
    sqs.put(await rotated(amazon))
    await read_notices(worker.reader)
    amazon.state.client_secrets.old.clear()
    ours = create_amazon(amazon.state.settings.client_id, worker.secrets, amazon_base_url=amazon.url)

    assert await ours.lwa.grantless("sellingpartnerapi::notifications")

    await ours.close()


async def test_a_notice_that_comes_twice_counts_once(
    worker: Worker, sqs: Sqs, amazon: Amazon, sessions: Sessions
):
    notice = await rotated(amazon)
    sqs.put(notice)
    sqs.put(notice)

    await read_notices(worker.reader)

    async with sessions.begin() as session:
        assert len((await session.scalars(select(ApplicationSecret.id))).all()) == 1
    assert (sqs.count(), worker.count("new_secret"), worker.count("repeated")) == (0, 1, 1)


async def test_without_a_commit_the_notice_stays_in_the_queue(
    keys: Keys, sqs: Sqs, amazon: Amazon, monkeypatch: pytest.MonkeyPatch
):
    # Another test of this process may have told already that its database is away.
    monkeypatch.setattr(jobs, "DATABASE", Dependency("database"))
    sqs.put(await rotated(amazon))
    worker = Worker(create_sessions(GONE), keys, sqs, amazon.state.settings.client_id)

    with capture_logs() as logged:
        await read_notices(worker.reader)
    await worker.queue.close()

    assert sqs.count() == 1
    assert [line["event"] for line in logged] == ["database_unavailable"]


@pytest.mark.parametrize(
    "changes",
    [
        {"payload": {"applicationOAuthClientNewSecret": {"clientId": "amzn1.other", "newClientSecret": "x"}}},
        {"payload": {"applicationOAuthClientNewSecret": None}},
        {"notificationMetadata": {}},
    ],
)
async def test_what_is_not_for_us_stays_and_its_contents_are_not_told(
    worker: Worker, sqs: Sqs, amazon: Amazon, changes: dict[str, Any]
):
    notice = await rotated(amazon) | changes
    sqs.put(notice)

    with capture_logs() as logged:
        await read_notices(worker.reader)

    assert (sqs.count(), worker.count("left")) == (1, 1)
    assert {line["event"] for line in logged} == {"notice_left_in_queue"}
    assert amazon.state.client_secrets.current not in str(logged)
    assert "canary" not in str(logged)
    assert [each.get_secret_value() for each in await worker.secrets.newest_first()] == [CANARY_SECRET]


async def test_the_coming_end_of_the_secret_is_a_metric_a_warning_and_a_finding(
    worker: Worker, sqs: Sqs, amazon: Amazon, settings: ConnectorSettings
):
    announce_secret_expiry(amazon.state, datetime.now(UTC) + timedelta(days=10.5))
    sqs.put(amazon.state.notifications[-1])

    with capture_logs() as logged:
        await read_notices(worker.reader)

    await worker.secrets.newest_first()
    left = worker.registry.get_sample_value("lwa_client_secret_expires_in_seconds")
    assert left is not None
    assert 10 < left / 86400 <= 10.5
    assert [(line["event"], line["log_level"]) for line in logged] == [("client_secret_ends", "warning")]
    assert any("The client secret ends on" in finding.text for finding in await examine(settings))


async def test_a_queue_that_is_not_there_alarms_and_the_doctor_names_the_cure(
    keys: Keys, sessions: Sessions, sqs: Sqs, amazon: Amazon, settings: ConnectorSettings
):
    nowhere = Sqs(f"{sqs.url}-misspelt")
    worker = Worker(sessions, keys, nowhere, amazon.state.settings.client_id)
    named = {
        "amazon_notice_queue_region": REGION,
        "amazon_notice_access_key_id": "key",
        "amazon_notice_secret_access_key": SecretStr("canary-aws-secret"),
    }

    await read_notices(worker.reader)
    await worker.queue.close()
    found = await examine(settings.model_copy(update={**named, "amazon_notice_queue_url": nowhere.url}))
    right = await examine(settings.model_copy(update={**named, "amazon_notice_queue_url": sqs.url}))

    assert worker.count("queue_failed") == 1
    assert any("refuses us (QueueDoesNotExist)" in finding.text for finding in found)
    assert not any("canary" in finding.text for finding in found)
    assert any("notices can be read" in finding.text for finding in right)
