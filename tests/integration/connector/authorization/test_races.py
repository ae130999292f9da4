"""Connecting, refreshing and disconnecting the same store at once: whatever comes first, tokens and integration agree."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from deploy.demo.postgres import OWNER
from services.connector.dependencies import AppState
from services.connector.integrations import service as integrations
from services.connector.tokens.service import GrantMissing
from shared.database import Sessions
from shared.driver import asyncpg_dsn
from shared.tables import Grant, Integration
from tests.conftest import Database
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import (
    LAMPENLADEN,
    Amazon,
    arrive,
    begin,
    connect_named,
    consent,
    outcome,
)

TOKEN_PATH = "/auth/o2/token"
PARTICIPATIONS_PATH = "/sellers/v1/marketplaceParticipations"
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


async def tokens_are_where_they_belong(sessions: Sessions) -> bool:
    """A connected store has its refresh token, a disconnected one has none left."""
    async with sessions.begin() as session:
        rows = await session.execute(
            select(Integration.disconnected_at, Grant.refresh_token, Grant.access_token).join(Grant)
        )
        found = rows.all()
    return bool(found) and all(
        bool(row.refresh_token.ciphertext) == (row.disconnected_at is None)
        and (row.access_token is None or row.disconnected_at is None)
        for row in found
    )


async def disconnect(client: httpx2.AsyncClient, integration_id: str) -> None:
    assert (await client.delete(f"/api/v1/integrations/{integration_id}")).status_code == 200


@asynccontextmanager
async def row_locked(
    database: Database, integration_id: str
) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Nobody else can change the integration. What is yielded waits until so many wait to do so."""
    owner, watcher = [await asyncpg.connect(asyncpg_dsn(database.url(OWNER))) for _ in range(2)]

    async def waiting(count: int) -> None:
        async with asyncio.timeout(20):
            while await watcher.fetchval(WAITING) < count:
                pass

    try:
        async with owner.transaction():
            await owner.execute("SELECT FROM integrations WHERE id = $1 FOR UPDATE", UUID(integration_id))
            yield waiting
    finally:
        await owner.close()
        await watcher.close()


@pytest.mark.parametrize("call", [TOKEN_PATH, PARTICIPATIONS_PATH])
async def test_it_is_disconnected_while_amazon_is_asked_for_a_new_authorization(
    signed_in: SignedIn, amazon: Amazon, sessions: Sessions, call: str
):
    old = await connect_named(signed_in)
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)

    async with amazon.gate.holding(call):
        arriving = asyncio.create_task(arrive(signed_in.client, callback_url))
        await amazon.gate.arrived.wait()
        await disconnect(signed_in.client, old)
    await arriving

    assert (await outcome(signed_in.client, attempt["id"]))["status"] in {"connected", "reauthorized"}
    assert await tokens_are_where_they_belong(sessions)


@pytest.mark.parametrize("is_disconnected_first", [True, False])
async def test_a_new_authorization_and_the_end_of_the_old_one_are_written_at_once(
    *,
    signed_in: SignedIn,
    amazon: Amazon,
    database: Database,
    sessions: Sessions,
    is_disconnected_first: bool,
):
    old = await connect_named(signed_in)
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)

    async with amazon.gate.holding(PARTICIPATIONS_PATH):
        arriving = asyncio.create_task(arrive(signed_in.client, callback_url))
        await amazon.gate.arrived.wait()
        async with row_locked(database, old) as waiting:
            if is_disconnected_first:
                disconnecting = asyncio.create_task(disconnect(signed_in.client, old))
                await waiting(1)
                amazon.gate.opened.set()
            else:
                amazon.gate.opened.set()
                await waiting(1)
                disconnecting = asyncio.create_task(disconnect(signed_in.client, old))
            await waiting(2)
        await asyncio.gather(arriving, disconnecting)

    assert (await outcome(signed_in.client, attempt["id"]))["status"] in {"connected", "reauthorized"}
    assert await tokens_are_where_they_belong(sessions)


@pytest.mark.parametrize("call", [TOKEN_PATH, PARTICIPATIONS_PATH])
async def test_it_is_disconnected_while_it_is_refreshed(
    signed_in: SignedIn, app: FastAPI, amazon: Amazon, sessions: Sessions, call: str
):
    integration_id = await connect_named(signed_in)
    async with sessions.begin() as session:
        await session.execute(
            update(Grant).values(access_token_expires_at=datetime.now(UTC) - timedelta(hours=1))
        )
    state: AppState = app.state.connector

    async def refresh() -> None:
        # Its grant ends meanwhile.
        with contextlib.suppress(GrantMissing):
            await integrations.refresh_participations(
                state.sessions, state.vault, UUID(integration_id), datetime.now(UTC)
            )

    async with amazon.gate.holding(call):
        refreshing = asyncio.create_task(refresh())
        await amazon.gate.arrived.wait()
        await disconnect(signed_in.client, integration_id)
    await refreshing

    assert amazon.state.counters.token["refresh_token"] == 1
    assert await tokens_are_where_they_belong(sessions)
