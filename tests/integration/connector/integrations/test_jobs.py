"""Background work of the integrations room, run by a real worker's runner."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select, text, update

from deploy.demo.postgres import OWNER
from services.connector.dependencies import AppState
from services.connector.integrations import service
from services.connector.integrations.health import CONSENT_LIFETIME, WARN_OF_CONSENT
from services.connector.integrations.jobs import register
from services.connector.job_queue.runner import JobRunner
from shared.database import Sessions, create_engine, create_sessions
from shared.jobs import Job, enqueue
from shared.tables import Grant, Integration, JobRow, MarketplaceParticipation
from tests.conftest import Database
from tests.factories import make_integration
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import LAMPENLADEN, Amazon, connect, connect_named, tick_all


@pytest.fixture
def runner(app: FastAPI) -> JobRunner:
    """A worker's runner with this room's work."""
    return runner_with(app.state.connector, app.state.connector.sessions)


def runner_with(state: AppState, sessions: Sessions) -> JobRunner:
    made = JobRunner(state.sessions, CollectorRegistry())
    register(made, sessions=sessions, vault=state.vault, blobs=state.blobs, notice_mailer=None)
    return made


async def refreshes(sessions: Sessions) -> list[JobRow]:
    async with sessions.begin() as session:
        statement = select(JobRow).where(JobRow.kind == Job.REFRESH_PARTICIPATIONS)
        return list((await session.scalars(statement)).all())


async def test_a_refresh_brings_what_has_changed_at_amazon(
    signed_in: SignedIn, runner: JobRunner, amazon: Amazon, sessions: Sessions
):
    integration_id = await connect_named(signed_in)
    seller = amazon.state.sellers[LAMPENLADEN]
    seller.store_name, seller.countries, seller.suspended = "Lampenladen Neu", ("DE", "FR"), ("FR",)

    await runner.run_due()

    integration = (await signed_in.client.get(f"/api/v1/integrations/{integration_id}")).json()
    assert integration["account"]["store_name"] == "Lampenladen Neu"
    # Its orders have not been asked for yet.
    assert integration["sync"]["status"] == "running"
    assert [(c["country"], c["has_suspended_listings"]) for c in integration["countries"]] == [
        ("DE", False),
        ("FR", True),
    ]
    assert await refreshes(sessions) == []


async def test_a_token_that_amazon_refuses_is_renewed_and_the_call_made_again(
    signed_in: SignedIn, runner: JobRunner, amazon: Amazon
):
    await connect(signed_in.client)
    amazon.state.access_tokens.clear()

    await runner.run_due()

    assert amazon.state.counters.token["refresh_token"] == 1
    assert amazon.state.counters.participations[LAMPENLADEN] == 2


async def test_trouble_at_amazon_makes_the_sync_late_and_is_tried_again_later(
    signed_in: SignedIn, runner: JobRunner, amazon: Amazon, sessions: Sessions
):
    integration_id = await connect_named(signed_in)
    before = (await signed_in.client.get(f"/api/v1/integrations/{integration_id}")).json()
    amazon.fail_api(503, "<html></html>", "text/html", count=10)

    await runner.run_due()

    after = (await signed_in.client.get(f"/api/v1/integrations/{integration_id}")).json()
    assert after["sync"] == before["sync"] | {"status": "late"}
    assert after["lock"] == before["lock"]
    (job,) = await refreshes(sessions)
    assert (job.attempts, job.held_at, job.lease_holder) == (1, None, None)
    assert job.due_at > datetime.now(UTC)


@pytest.mark.parametrize("lock", ["pending", "green"])
async def test_a_withdrawn_grant_fails_the_sync_and_leaves_lock_and_grant(
    *, signed_in: SignedIn, runner: JobRunner, amazon: Amazon, sessions: Sessions, lock: str
):
    integration_id = await connect_named(signed_in)
    if lock == "green":
        await set_up(signed_in, sessions, integration_id)
    amazon.state.revoke(LAMPENLADEN)

    await runner.run_due()

    after = (await signed_in.client.get(f"/api/v1/integrations/{integration_id}")).json()
    assert after["sync"]["status"] == "failed"
    assert after["lock"]["state"] == lock
    async with sessions.begin() as session:
        assert (await session.scalars(select(Grant))).one().refresh_token.ciphertext != b""


async def test_a_store_that_is_disconnected_meanwhile_is_passed_over(
    signed_in: SignedIn, runner: JobRunner, amazon: Amazon, sessions: Sessions
):
    integration_id = await connect_named(signed_in)
    await signed_in.client.delete(f"/api/v1/integrations/{integration_id}")

    await runner.run_due()

    assert amazon.state.counters.participations[LAMPENLADEN] == 1
    assert await refreshes(sessions) == []


async def test_the_queue_keeps_no_value_of_a_job_that_fails(
    signed_in: SignedIn, runner: JobRunner, amazon: Amazon, sessions: Sessions, database: Database
):
    await connect(signed_in.client)
    amazon.state.sellers[LAMPENLADEN].store_name = "canary store"
    owner = create_engine(database.url(OWNER), application_name="tests")
    async with owner.begin() as connection:
        # PostgreSQL's words about a broken check repeat the row.
        await connection.execute(text("ALTER TABLE integrations ADD CHECK (store_name <> 'canary store')"))
    await owner.dispose()

    await runner.run_due()

    (job,) = await refreshes(sessions)
    assert job.held_at is not None
    assert job.failure == "IntegrityError"
    async with sessions.begin() as session:
        assert "canary" not in "".join((await session.scalars(text("SELECT jobs::text FROM jobs"))).all())


async def test_a_job_that_cannot_reach_its_database_is_tried_again_later(
    signed_in: SignedIn, app: FastAPI, sessions: Sessions
):
    await connect(signed_in.client)
    nowhere = create_engine("postgresql://127.0.0.1:1/nowhere", application_name="tests")

    await runner_with(app.state.connector, create_sessions(nowhere)).run_due()
    await nowhere.dispose()

    (job,) = await refreshes(sessions)
    assert (job.attempts, job.held_at, job.lease_holder) == (1, None, None)
    assert job.due_at > datetime.now(UTC)


async def test_the_same_refresh_waits_only_once(signed_in: SignedIn, sessions: Sessions):
    attempt = await connect(signed_in.client)
    async with sessions.begin() as session:
        integration_id = (await session.scalars(select(Integration.id))).one()
        await enqueue(session, Job.REFRESH_PARTICIPATIONS, integration_id)

    assert str(integration_id) == attempt["integration_id"]
    assert len(await refreshes(sessions)) == 1


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

    assert await service.enqueue_for_all(sessions, Job.REFRESH_PARTICIPATIONS) == 3

    assert len(await refreshes(sessions)) == 3


async def test_an_empty_answer_leaves_no_country_behind(
    signed_in: SignedIn, runner: JobRunner, amazon: Amazon, sessions: Sessions
):
    integration_id = await connect_named(signed_in)
    amazon.fail_api(200, '{"payload": []}')

    await runner.run_due()

    checks = (await signed_in.client.get(f"/api/v1/integrations/{integration_id}")).json()["checks"]
    assert "no_participation" in [check["code"] for check in checks]
    async with sessions.begin() as session:
        assert await session.scalar(select(func.count()).select_from(MarketplaceParticipation)) == 0


async def test_a_country_that_amazon_adds_is_said_to_be_missing(
    signed_in: SignedIn, runner: JobRunner, amazon: Amazon, sessions: Sessions
):
    integration_id = await connect_named(signed_in)
    await set_up(signed_in, sessions, integration_id)
    assert await lock(signed_in, integration_id) == "green"
    amazon.state.sellers[LAMPENLADEN].countries = ("DE", "FR", "IT", "NL")

    await runner.run_due()

    integration = (await signed_in.client.get(f"/api/v1/integrations/{integration_id}")).json()
    assert integration["lock"]["state"] == "pending"
    assert integration["summary"]["code"] == "countries_open"
    assert integration["summary"]["countries"] == ["NL"]
    assert "setup_incomplete" in [check["code"] for check in integration["checks"]]


async def set_up(signed_in: SignedIn, sessions: Sessions, integration_id: str) -> None:
    """Every box is ticked, and a buyer's message has come."""
    async with sessions.begin() as session:
        await session.execute(update(Integration).values(last_message_at=func.now()))
    await tick_all(signed_in.client, f"/api/v1/integrations/{integration_id}")


async def prove_by_mail(sessions: Sessions, integration_id: str) -> None:
    """What the mail worker does with the first message of a buyer."""
    async with sessions.begin() as session:
        await session.execute(
            update(Integration).values(first_authentic_mail_at=func.now(), last_message_at=func.now())
        )
        await enqueue(session, Job.RECOMPUTE_LOCK, UUID(integration_id))


async def lock(signed_in: SignedIn, integration_id: str) -> str:
    integration = (await signed_in.client.get(f"/api/v1/integrations/{integration_id}")).json()
    return str(integration["lock"]["state"])


async def test_patience_that_ends_shows_in_the_list_although_no_fact_has_changed(
    signed_in: SignedIn, runner: JobRunner, sessions: Sessions
):
    integration_id = await connect_named(signed_in)
    await set_up(signed_in, sessions, integration_id)

    async def listed() -> tuple[str, object]:
        [item] = (await signed_in.client.get("/api/v1/integrations")).json()["items"]
        return item["summary"]["text"], item["reason"] and item["reason"]["code"]

    assert await listed() == ("Messages arrive.", None)
    async with sessions.begin() as session:
        await session.execute(
            update(Grant).values(consented_at=datetime.now(UTC) - CONSENT_LIFETIME + WARN_OF_CONSENT)
        )
        await session.execute(update(Integration).values(health_due_at=func.now()))

    assert await service.recompute_due(sessions, datetime.now(UTC)) == 1

    assert await listed() == ("Messages arrive. Note: Consent expires soon.", "consent_expiring")
    assert await service.recompute_due(sessions, datetime.now(UTC)) == 0


async def test_the_first_message_of_a_buyer_turns_the_lock_of_a_store_green_that_is_set_up(
    signed_in: SignedIn, runner: JobRunner, sessions: Sessions
):
    integration_id = await connect_named(signed_in)
    await tick_all(signed_in.client, f"/api/v1/integrations/{integration_id}")
    assert await lock(signed_in, integration_id) == "pending"

    await prove_by_mail(sessions, integration_id)
    await runner.run_due()

    assert await lock(signed_in, integration_id) == "green"


async def test_a_mail_that_came_while_the_lock_was_red_counts_when_it_is_no_longer(
    signed_in: SignedIn, runner: JobRunner, sessions: Sessions
):
    integration_id = await connect_named(signed_in)
    await tick_all(signed_in.client, f"/api/v1/integrations/{integration_id}")
    # The first refresh, whose success would end what stands against the grant.
    await runner.run_due()
    async with sessions.begin() as session:
        await session.execute(update(Grant).values(refused_at=func.now(), revoked_at=func.now()))
        await enqueue(session, Job.RECOMPUTE_LOCK, UUID(integration_id))
    await runner.run_due()
    assert await lock(signed_in, integration_id) == "red"

    await prove_by_mail(sessions, integration_id)
    await runner.run_due()
    assert await lock(signed_in, integration_id) == "red"
    async with sessions.begin() as session:
        await session.execute(update(Grant).values(refused_at=None, revoked_at=None))
        await enqueue(session, Job.RECOMPUTE_LOCK, UUID(integration_id))
    await runner.run_due()

    assert await lock(signed_in, integration_id) == "green"
