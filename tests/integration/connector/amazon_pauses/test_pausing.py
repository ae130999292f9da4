"""The stop switch: no call to Amazon leaves any process any more, and nothing that is known of a store changes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import select

from deploy.demo.postgres import CONNECTOR
from services.connector.accounts.passwords import Passwords
from services.connector.amazon.access import create_amazon
from services.connector.amazon.applications import rotate_client_secret
from services.connector.amazon.client import SellerApi
from services.connector.amazon.errors import AmazonPaused
from services.connector.amazon.orders import get_order
from services.connector.amazon.reports import ReportDocument, create_report, open_document
from services.connector.amazon_pauses import service
from services.connector.amazon_pauses.service import PauseSwitch
from services.connector.app import create_app
from services.connector.dependencies import CSRF_HEADER, SESSION_COOKIE
from services.connector.doctor.checks import examine
from services.connector.integrations import jobs as integration_jobs
from services.connector.integrations.service import recompute_lock
from services.connector.job_queue.runner import JobRunner
from services.connector.order_reports import jobs as order_report_jobs
from services.connector.order_reports.service import Follower
from services.connector.orders import hints
from services.connector.orders.fetch_service import OrderFetcher
from services.connector.orders.hint_service import HintedOrders
from services.connector.orders.sync_service import OrderSynchronizer
from services.connector.settings import ConnectorSettings
from services.connector.tokens import jobs as token_jobs
from services.connector.tokens.service import Vault
from shared.blobs.folder import FolderBlobs
from shared.crypto.key_provider import KeyFile
from shared.database import Sessions, create_engine, create_sessions
from shared.jobs import Job, enqueue
from shared.keyring import Keyring
from shared.marketplaces import Region
from shared.tables import Grant, Integration, JobRow, OrderHint, OrderReport, OrderSync, ServiceTrouble
from tests.commands import run_here
from tests.conftest import Database, Keys
from tests.integration.connector.conftest import CHEAP_HASHER, SignedIn, open_client
from tests.integration.connector.connecting import Amazon, amazon, arrive, begin, consent, outcome, settings
from tests.integration.connector.tokens.conftest import Store, age, make_due, store
from tests.kept_database import KeptDatabase
from tests.sqs import open_queue

__all__ = ["amazon", "settings", "store"]

# An operator waits no longer than this until the last process has stopped.
SECONDS = 10.0


@pytest.fixture
def environment(database: Database, settings: ConnectorSettings) -> dict[str, str]:
    """What an operator's command needs."""
    return {
        "REPLYCO_DATABASE_URL": database.url(CONNECTOR),
        "REPLYCO_AMAZON_CLIENT_ID": settings.amazon_client_id,
    }


@dataclass
class Worker:
    """The parts of a worker process that call Amazon."""

    registry: CollectorRegistry
    switch: PauseSwitch
    runner: JobRunner
    vault: Vault

    def count(self, kind: str, outcome: str) -> float | None:
        return self.registry.get_sample_value("replyco_jobs_total", {"kind": kind, "outcome": outcome})


@pytest.fixture
async def worker(
    kept_database: KeptDatabase, keys: Keys, amazon: Amazon, settings: ConnectorSettings
) -> AsyncIterator[Worker]:
    sessions, registry = create_sessions(kept_database.process_engine(CONNECTOR)), CollectorRegistry()
    switch = PauseSwitch(sessions, settings.amazon_client_id, registry)
    ours = create_amazon(
        settings.amazon_client_id, settings.amazon_client_secret, amazon_base_url=amazon.url, switch=switch
    )
    vault = Vault(sessions, Keyring(KeyFile.load(keys.key_file)), ours, recompute_lock, registry)
    runner = JobRunner(sessions, registry)
    token_jobs.register(runner, vault)
    integration_jobs.register(
        runner,
        sessions=sessions,
        vault=vault,
        blobs=FolderBlobs(keys.key_file.parent / "blobs"),
        notice_mailer=None,
    )
    yield Worker(registry, switch, runner, vault)
    await vault.close()
    await ours.close()


@asynccontextmanager
async def second_replica(settings: ConnectorSettings, kept_database: KeptDatabase) -> AsyncIterator[FastAPI]:
    application = create_app(
        settings, Passwords(CHEAP_HASHER), engine=kept_database.application_engine(CONNECTOR)
    )
    async with application.router.lifespan_context(application):
        yield application


async def until(happens: Callable[[], Awaitable[bool]]) -> None:
    """There is no event to await across processes."""
    async with asyncio.timeout(SECONDS):
        while True:
            if await happens():
                return
            await asyncio.sleep(0.05)


async def known_of(sessions: Sessions, store: Store) -> tuple[object, ...]:
    """All that a call to Amazon could have changed."""
    async with sessions.begin() as session:
        grant = (await session.scalars(select(Grant))).one()
        integration = await session.get_one(Integration, store.integration_id)
        troubles = (await session.scalars(select(ServiceTrouble.scope))).all()
        return (
            {column.name: getattr(grant, column.name) for column in Grant.__table__.columns},
            (integration.lock, integration.synced_at, integration.sync_status),
            tuple(troubles),
        )


def calls(amazon: Amazon) -> int:
    counters = amazon.state.counters
    return sum(counters.token.values()) + sum(counters.operations.values())


async def is_paused(client: httpx2.AsyncClient) -> bool:
    answer = await client.get("/api/v1/status")
    assert answer.status_code == 200
    return answer.json()["amazon_paused_since"] is not None


async def test_within_seconds_no_process_calls_amazon_and_afterwards_all_goes_on(
    *,
    signed_in: SignedIn,
    settings: ConnectorSettings,
    kept_database: KeptDatabase,
    sessions: Sessions,
    amazon: Amazon,
    worker: Worker,
    store: Store,
    environment: dict[str, str],
):
    await worker.runner.run_due()
    async with second_replica(settings, kept_database) as other:
        other_client = open_client(other, **{CSRF_HEADER: signed_in.client.headers[CSRF_HEADER]})
        other_client.cookies.set(SESSION_COOKIE, signed_in.token)
        replicas = (signed_in.client, other_client)
        for client in replicas:
            assert not await is_paused(client)
        await age(sessions)
        await make_due(sessions)
        before, asked = await known_of(sessions, store), calls(amazon)
        done = worker.count(Job.REFRESH_PARTICIPATIONS, "done")

        code, output = await run_here(environment, "amazon", "pause", "--reason", "canary-reason")
        assert (code, "canary-reason" in output) == (0, True)
        await until(lambda: are_paused(replicas))
        await until(lambda: is_worker_paused(worker))

        for client in replicas:
            answer = await client.post("/api/v1/authorizations", json={"country": "DE"})
            assert (answer.status_code, answer.json()["code"]) == (503, "amazon_paused")
            assert (await client.get("/readyz")).status_code == 200
            assert "canary-reason" not in (await client.get("/api/v1/status")).text
        async with sessions.begin() as session:
            await enqueue(session, Job.REFRESH_PARTICIPATIONS, store.integration_id)
        await worker.runner.run_due()
        with pytest.raises(AmazonPaused):
            await worker.vault.access_token(store.account_id, store.integration_id)

        assert calls(amazon) == asked
        assert await known_of(sessions, store) == before
        assert worker.count(Job.REFRESH_PARTICIPATIONS, "put_off") == 1
        assert worker.registry.get_sample_value("replyco_amazon_paused") == 1
        shown = (await signed_in.client.get(f"/api/v1/integrations/{store.integration_id}")).json()
        assert ("amazon_paused", "notice") in {(c["code"], c["state"]) for c in shown["checks"]}

        assert (await run_here(environment, "amazon", "resume"))[0] == 0
        await until(lambda: are_not_paused(replicas))
        await until(lambda: is_worker_resumed(worker))
        await make_jobs_due(sessions)
        await worker.runner.run_due()

        assert calls(amazon) > asked
        assert (worker.count(Job.REFRESH_PARTICIPATIONS, "done") or 0) > (done or 0)
        async with sessions.begin() as session:
            waiting = (await session.scalars(select(JobRow.kind))).all()
        assert Job.REFRESH_PARTICIPATIONS.value not in waiting
        await other_client.aclose()


async def are_paused(clients: Sequence[httpx2.AsyncClient]) -> bool:
    return all([await is_paused(client) for client in clients])


async def are_not_paused(clients: Sequence[httpx2.AsyncClient]) -> bool:
    return not any([await is_paused(client) for client in clients])


async def is_worker_paused(worker: Worker) -> bool:
    return await worker.switch.paused_since() is not None


async def is_worker_resumed(worker: Worker) -> bool:
    return await worker.switch.paused_since() is None


async def make_jobs_due(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        for job in await session.scalars(select(JobRow)):
            job.due_at = datetime.now(UTC)


async def test_a_seller_who_comes_back_from_amazon_meanwhile_can_open_the_same_address_again(
    signed_in: SignedIn, sessions: Sessions, settings: ConnectorSettings, amazon: Amazon
):
    attempt = await begin(signed_in.client)
    back = await consent(attempt["consent_url"], "A1LAMPENLADEN7")
    asked = calls(amazon)
    await service.pause(sessions, settings.amazon_client_id, reason=None, paused_by=None)
    await until(lambda: is_paused(signed_in.client))

    answer = await signed_in.client.get(back, headers={"Accept": "text/html", "Accept-Language": "en"})
    assert answer.status_code == 503
    assert "Calls to Amazon are paused" in answer.text
    assert "spapi_oauth_code" not in answer.text
    assert (await outcome(signed_in.client, attempt["id"]))["status"] == "waiting"
    assert calls(amazon) == asked

    await service.resume(sessions, settings.amazon_client_id)
    await until(lambda: are_not_paused([signed_in.client]))
    await arrive(signed_in.client, back)

    assert (await outcome(signed_in.client, attempt["id"]))["status"] == "connected"


async def test_every_way_to_amazon_asks_the_switch_first(amazon: Amazon):
    class Paused:
        async def refuse_if_paused(self) -> None:
            raise AmazonPaused

    state = amazon.state.settings
    ours = create_amazon(state.client_id, state.client_secret, amazon_base_url=amazon.url, switch=Paused())
    api = SellerApi(ours.sp_api, Region.EU, "A1LAMPENLADEN7", SecretStr("Atza|a"))
    document = ReportDocument(
        reportDocumentId="x",
        compressionAlgorithm=None,
        url=SecretStr(f"{amazon.url}/tortuga-prod-eu.s3.eu-west-1.amazonaws.com/x"),
    )
    queue = open_queue("http://127.0.0.1:1/123456789012/notices", Paused())

    async def read_document() -> None:
        async with open_document(api, document, most_bytes=1, seconds=1):
            pass

    for ask in (
        get_order(api, "303-1234567-1234567"),
        create_report(api, "GET_X", marketplace_ids=["A1PA6795UKMFR9"]),
        read_document(),
        rotate_client_secret(ours, Region.EU),
        ours.lwa.refresh(SecretStr("Atzr|r")),
        ours.lwa.exchange_code(SecretStr("code"), "https://app.example/cb"),
        ours.lwa.grantless("sellingpartnerapi::notifications"),
        queue.receive(),
        queue.look(),
    ):
        with pytest.raises(AmazonPaused):
            await ask
    await queue.close()
    await ours.close()

    assert calls(amazon) == 0


async def test_a_process_that_loses_the_database_keeps_what_it_knew(
    sessions: Sessions, settings: ConnectorSettings
):
    await service.pause(sessions, settings.amazon_client_id, reason=None, paused_by=None)
    engine = create_engine("postgresql://127.0.0.1:1/nowhere", application_name="tests")
    reaching = {"now": sessions, "later": create_sessions(engine)}
    switch = PauseSwitch(reaching["now"], settings.amazon_client_id, kept_seconds=0)
    assert await switch.paused_since() is not None

    switch._sessions = reaching["later"]

    assert await switch.paused_since() is not None
    await engine.dispose()


async def test_a_pause_is_of_one_application_and_its_beginning_does_not_move(
    sessions: Sessions, settings: ConnectorSettings, environment: dict[str, str]
):
    first = await service.pause(sessions, settings.amazon_client_id, reason="first", paused_by="a")
    again = await service.pause(sessions, settings.amazon_client_id, reason="second", paused_by="b")

    assert again == first
    assert await service.read_pause(sessions, "another-client") is None
    assert "first" in (await run_here(environment, "amazon", "status"))[1]
    assert "go on" in (await run_here(environment, "amazon", "resume"))[1]
    assert "were not paused" in (await run_here(environment, "amazon", "resume"))[1]
    assert "go out" in (await run_here(environment, "amazon", "status"))[1]


async def test_operators_commands_say_that_calls_are_paused_and_make_none(
    sessions: Sessions,
    settings: ConnectorSettings,
    amazon: Amazon,
    environment: dict[str, str],
):
    await service.pause(sessions, settings.amazon_client_id, reason=None, paused_by=None)
    secret = settings.amazon_client_secret.get_secret_value()
    given = environment | {
        "REPLYCO_KEY_FILE": str(settings.key_file),
        "REPLYCO_AMAZON_CLIENT_SECRET": secret,
        "REPLYCO_AMAZON_BASE_URL": amazon.url,
        "REPLYCO_DEVELOPMENT": "true",
    }
    queue = {
        "amazon_notice_queue_url": f"{amazon.url}/123456789012/notices",
        "amazon_notice_queue_region": "eu-west-1",
        "amazon_notice_access_key_id": "key",
        "amazon_notice_secret_access_key": SecretStr("secret"),
    }

    code, output = await run_here(given, "keys", "rotate-client-secret")
    found = [finding.text for finding in await examine(settings.model_copy(update=queue))]

    assert (code, "amazon resume" in output) == (1, True)
    assert any("All calls to Amazon are paused" in text for text in found)
    assert not any("queue of Amazon's notices" in text or "can be reached" in text for text in found)
    assert calls(amazon) == 0


async def test_orders_that_are_due_wait_as_they_are_while_calls_are_paused(
    *,
    sessions: Sessions,
    settings: ConnectorSettings,
    keyring: Keyring,
    amazon: Amazon,
    worker: Worker,
    store: Store,
):
    synchronizer = OrderSynchronizer(
        sessions, keyring, worker.vault, lambda: datetime.now(UTC), CollectorRegistry()
    )
    fetcher = OrderFetcher(sessions, keyring, worker.vault)
    async with sessions.begin() as session:
        await hints.note(
            session,
            store.account_id,
            store.integration_id,
            "303-1234567-1234567",
            told_at=datetime.now(UTC),
            now=datetime.now(UTC),
        )
    await service.pause(sessions, settings.amazon_client_id, reason=None, paused_by=None)
    before, asked = await due_orders(sessions), calls(amazon)

    assert await synchronizer.run_due() == 0
    with pytest.raises(AmazonPaused):
        await HintedOrders(sessions, fetcher).fetch_due(datetime.now(UTC))

    assert await due_orders(sessions) == before
    assert calls(amazon) == asked


async def test_order_reports_wait_as_they_are_while_calls_are_paused(
    *,
    sessions: Sessions,
    settings: ConnectorSettings,
    keyring: Keyring,
    amazon: Amazon,
    worker: Worker,
    store: Store,
):
    order_report_jobs.register(
        worker.runner, sessions, Follower.create(sessions, worker.vault, keyring, CollectorRegistry())
    )
    async with sessions.begin() as session:
        await enqueue(session, Job.FOLLOW_ORDER_REPORTS, store.integration_id)
    await service.pause(sessions, settings.amazon_client_id, reason=None, paused_by=None)
    asked = calls(amazon)

    await worker.runner.run_due()

    async with sessions.begin() as session:
        assert (await session.scalars(select(OrderReport))).all() == []
        job = await session.scalar(select(JobRow).where(JobRow.kind == Job.FOLLOW_ORDER_REPORTS))
        assert job is not None
        assert (job.held_at, job.due_at - datetime.now(UTC) <= timedelta(minutes=1)) == (None, True)
    assert worker.count(Job.FOLLOW_ORDER_REPORTS, "put_off") == 1
    assert calls(amazon) == asked


async def due_orders(sessions: Sessions) -> list[dict[str, object]]:
    async with sessions.begin() as session:
        found = [*await session.scalars(select(OrderSync)), *await session.scalars(select(OrderHint))]
        return [{column.name: getattr(row, column.name) for column in row.__table__.columns} for row in found]
