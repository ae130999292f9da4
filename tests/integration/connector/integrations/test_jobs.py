"""Background work of the integrations room, run by a real queue."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
from fastapi import FastAPI
from pgqueuer import PgQueuer
from pgqueuer.types import QueueExecutionMode
from sqlalchemy import func, select, text, update

from deploy.demo.postgres import OWNER
from services.connector.dependencies import AppState
from services.connector.integrations import service
from services.connector.integrations.jobs import register
from shared.database import Sessions, asyncpg_dsn, create_engine, create_sessions
from shared.jobs import Job, enqueue
from shared.tables import Grant, Integration, MarketplaceParticipation
from tests.conftest import Database
from tests.factories import make_integration
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import LAMPENLADEN, Amazon, connect, connect_named


@pytest.fixture
async def queue(database: Database, app: FastAPI) -> AsyncIterator[PgQueuer]:
    """A worker's queue with this room's jobs."""
    connection = await asyncpg.connect(asyncpg_dsn(database.url("replyco_connector")))
    made = PgQueuer.from_asyncpg_connection(connection)
    state: AppState = app.state.connector
    register(made, sessions=state.sessions, vault=state.vault, blobs=state.blobs, notice_mailer=None)
    yield made
    await connection.close()


async def run(queue: PgQueuer) -> None:
    """Work until nothing is due."""
    await queue.qm.run(mode=QueueExecutionMode.drain, dequeue_timeout=timedelta(seconds=1))


async def queued(sessions: Sessions) -> list[tuple[str, str]]:
    async with sessions.begin() as session:
        return [(row.entrypoint, row.status) for row in await session.execute(text("SELECT * FROM pgqueuer"))]


async def test_a_refresh_brings_what_has_changed_at_amazon(
    signed_in: SignedIn, queue: PgQueuer, amazon: Amazon, sessions: Sessions
):
    integration_id = await connect_named(signed_in)
    seller = amazon.state.sellers[LAMPENLADEN]
    seller.store_name, seller.countries, seller.suspended = "Lampenladen Neu", ("DE", "FR"), ("FR",)

    await run(queue)

    integration = (await signed_in.client.get(f"/api/v1/integrations/{integration_id}")).json()
    assert integration["account"]["store_name"] == "Lampenladen Neu"
    assert integration["sync"]["status"] == "ok"
    assert [(c["country"], c["has_suspended_listings"]) for c in integration["countries"]] == [
        ("DE", False),
        ("FR", True),
    ]
    assert await queued(sessions) == []


async def test_a_token_that_amazon_refuses_is_renewed_and_the_call_made_again(
    signed_in: SignedIn, queue: PgQueuer, amazon: Amazon
):
    await connect(signed_in.client)
    amazon.state.access_tokens.clear()

    await run(queue)

    assert amazon.state.counters.token["refresh_token"] == 1
    assert amazon.state.counters.participations[LAMPENLADEN] == 2


async def test_trouble_at_amazon_makes_the_sync_late_and_is_tried_again_later(
    signed_in: SignedIn, queue: PgQueuer, amazon: Amazon, sessions: Sessions
):
    integration_id = await connect_named(signed_in)
    before = (await signed_in.client.get(f"/api/v1/integrations/{integration_id}")).json()
    amazon.fail_api(503, "<html></html>", "text/html", count=10)

    # The queue stays open for the job that is to run again in two minutes.
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(run(queue), 4)

    after = (await signed_in.client.get(f"/api/v1/integrations/{integration_id}")).json()
    assert after["sync"] == {"status": "late", "at": before["sync"]["at"]}
    assert after["lock"] == before["lock"]
    assert await queued(sessions) == [("refresh_participations", "queued")]


@pytest.mark.parametrize("lock", ["pending", "green"])
async def test_a_withdrawn_grant_fails_the_sync_and_leaves_lock_and_grant(
    *, signed_in: SignedIn, queue: PgQueuer, amazon: Amazon, sessions: Sessions, lock: str
):
    integration_id = await connect_named(signed_in)
    if lock == "green":
        async with sessions.begin() as session:
            await session.execute(update(Integration).values(last_message_at=func.now(), lock="green"))
    amazon.state.revoke(LAMPENLADEN)

    await run(queue)

    after = (await signed_in.client.get(f"/api/v1/integrations/{integration_id}")).json()
    assert after["sync"]["status"] == "failed"
    assert after["lock"]["state"] == lock
    async with sessions.begin() as session:
        assert (await session.scalars(select(Grant))).one().refresh_token.ciphertext != b""


async def test_a_store_that_is_disconnected_meanwhile_is_passed_over(
    signed_in: SignedIn, queue: PgQueuer, amazon: Amazon, sessions: Sessions
):
    integration_id = await connect_named(signed_in)
    await signed_in.client.delete(f"/api/v1/integrations/{integration_id}")

    await run(queue)

    assert amazon.state.counters.participations[LAMPENLADEN] == 1
    assert await queued(sessions) == []


async def test_the_queue_keeps_no_value_of_a_job_that_fails(
    signed_in: SignedIn, queue: PgQueuer, amazon: Amazon, sessions: Sessions, database: Database
):
    await connect(signed_in.client)
    amazon.state.sellers[LAMPENLADEN].store_name = "canary store"
    owner = create_engine(database.url(OWNER), application_name="tests")
    async with owner.begin() as connection:
        # PostgreSQL's words about a broken check repeat the row.
        await connection.execute(text("ALTER TABLE integrations ADD CHECK (store_name <> 'canary store')"))
    await owner.dispose()

    await run(queue)

    assert [status for _, status in await queued(sessions)] == ["failed"]
    async with sessions.begin() as session:
        kept = "".join((await session.scalars(text("SELECT pgqueuer_log::text FROM pgqueuer_log"))).all())
    assert "IntegrityError" in kept
    assert "canary" not in kept


async def test_a_job_that_cannot_reach_its_database_is_tried_again_later(
    signed_in: SignedIn, app: FastAPI, database: Database, sessions: Sessions
):
    await connect(signed_in.client)
    nowhere = create_engine("postgresql://127.0.0.1:1/nowhere", application_name="tests")
    connection = await asyncpg.connect(asyncpg_dsn(database.url("replyco_connector")))
    queue = PgQueuer.from_asyncpg_connection(connection)
    state: AppState = app.state.connector
    register(
        queue, sessions=create_sessions(nowhere), vault=state.vault, blobs=state.blobs, notice_mailer=None
    )

    # The queue stays open for the job that is to run again in two minutes.
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(run(queue), 4)
    await connection.close()
    await nowhere.dispose()

    async with sessions.begin() as session:
        due = (await session.execute(text("SELECT status, execute_after > now() FROM pgqueuer"))).all()
    assert [tuple(row) for row in due] == [("queued", True)]


async def test_the_same_refresh_waits_only_once(signed_in: SignedIn, sessions: Sessions):
    attempt = await connect(signed_in.client)
    async with sessions.begin() as session:
        integration_id = (await session.scalars(select(Integration.id))).one()
        await enqueue(session, Job.REFRESH_PARTICIPATIONS, integration_id)

    assert str(integration_id) == attempt["integration_id"]
    assert len(await queued(sessions)) == 1


async def test_the_daily_refresh_takes_every_connected_store(signed_in: SignedIn, sessions: Sessions):
    async with sessions.begin() as session:
        for number in range(3):
            await make_integration(session, signed_in.account.id, name=f"Store {number}")
        gone = await make_integration(session, signed_in.account.id, name="Gone")
        await session.execute(
            update(Integration)
            .where(Integration.id == gone.id)
            .values(disconnected_at=func.now(), rests_until=func.now())
        )

    assert await service.refresh_all(sessions) == 3

    assert len(await queued(sessions)) == 3


async def test_an_empty_answer_leaves_no_country_behind(
    signed_in: SignedIn, queue: PgQueuer, amazon: Amazon, sessions: Sessions
):
    integration_id = await connect_named(signed_in)
    amazon.fail_api(200, '{"payload": []}')

    await run(queue)

    checks = (await signed_in.client.get(f"/api/v1/integrations/{integration_id}")).json()["checks"]
    assert "no_participation" in [check["code"] for check in checks]
    async with sessions.begin() as session:
        assert await session.scalar(select(func.count()).select_from(MarketplaceParticipation)) == 0


async def test_a_country_that_amazon_adds_opens_steps_and_leaves_a_green_lock(
    signed_in: SignedIn, queue: PgQueuer, amazon: Amazon, sessions: Sessions
):
    integration_id = await connect_named(signed_in)
    async with sessions.begin() as session:
        await session.execute(update(Integration).values(lock="green"))
    amazon.state.sellers[LAMPENLADEN].countries = ("DE", "FR", "IT", "NL")

    await run(queue)

    integration = (await signed_in.client.get(f"/api/v1/integrations/{integration_id}")).json()
    assert integration["lock"]["state"] == "green"
    assert "setup_incomplete" in [check["code"] for check in integration["checks"]]
