"""Housekeeping does each job by itself: what fails is seen, and the others and the worker go on."""

import asyncio
import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from deploy.demo.postgres import OWNER
from services.connector.maintenance.jobs import HousekeepingMetrics, keep_house, keep_house_forever
from shared.database import Sessions
from shared.driver import asyncpg_dsn
from tests.conftest import Database

NOW = datetime.now(UTC)


@pytest.fixture
async def owner(database: Database) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    yield connection
    await connection.close()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> HousekeepingMetrics:
    return HousekeepingMetrics(registry)


async def fail_to_sign_in(owner: "asyncpg.Connection[asyncpg.Record]", times: int) -> None:
    await owner.execute(
        "INSERT INTO sign_in_failures (key, failures, window_ends_at)"
        " SELECT uuid_send(uuidv7()), 1, $1 FROM generate_series(1, $2)",
        NOW - timedelta(minutes=1),
        times,
    )


def failures(registry: CollectorRegistry, job: str) -> float | None:
    return registry.get_sample_value("replyco_housekeeping_failures_total", {"job": job})


async def test_a_job_that_fails_is_counted_and_the_others_go_on(
    sessions: Sessions,
    owner: "asyncpg.Connection[asyncpg.Record]",
    registry: CollectorRegistry,
    metrics: HousekeepingMetrics,
):
    """The first table that is looked at has gone."""
    await owner.execute("ALTER TABLE login_requests RENAME TO away")
    await fail_to_sign_in(owner, 3)

    is_done = await keep_house(sessions, NOW, metrics)

    assert not is_done
    assert (failures(registry, "login_requests"), failures(registry, "sign_in_failures")) == (1, 0)
    assert await owner.fetchval("SELECT count(*) FROM sign_in_failures") == 0


async def test_partitions_that_must_wait_are_seen_and_hold_up_nothing(
    database: Database,
    sessions: Sessions,
    owner: "asyncpg.Connection[asyncpg.Record]",
    registry: CollectorRegistry,
    metrics: HousekeepingMetrics,
):
    later = NOW + timedelta(days=62)
    await fail_to_sign_in(owner, 1)
    reader = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    async with reader.transaction():
        await reader.fetchval("SELECT count(*) FROM accepted_mail")
        is_done = await keep_house(sessions, later, metrics)
        missing = registry.get_sample_value("replyco_partitions_missing")
    await reader.close()

    assert not is_done
    assert missing is not None
    assert missing > 0
    assert await owner.fetchval("SELECT count(*) FROM sign_in_failures") == 0
    assert await keep_house(sessions, later, metrics)
    assert registry.get_sample_value("replyco_partitions_missing") == 0


async def test_a_round_has_an_end_and_the_next_one_goes_on(
    sessions: Sessions, owner: "asyncpg.Connection[asyncpg.Record]"
):
    await fail_to_sign_in(owner, 5)

    left = []
    for _ in range(2):
        await keep_house(sessions, NOW, batch=2, batches=2)
        left.append(await owner.fetchval("SELECT count(*) FROM sign_in_failures"))

    assert left == [1, 0]


async def test_a_worker_keeps_house_from_its_start(
    sessions: Sessions, registry: CollectorRegistry, metrics: HousekeepingMetrics
):
    before = registry.get_sample_value("replyco_partitions_missing")

    keeping = asyncio.create_task(keep_house_forever(sessions, metrics))
    async with asyncio.timeout(30):
        while registry.get_sample_value("replyco_partitions_missing") != 0:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
    keeping.cancel()
    await asyncio.wait([keeping])

    assert before is not None
    assert math.isnan(before)
