"""Connecting, refreshing and disconnecting the same store at once: whatever comes first, tokens and integration agree."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from services.connector.dependencies import AppState
from services.connector.integrations import service as integrations
from services.connector.tokens.service import GrantMissing
from shared.database import Sessions
from shared.tables import Grant, Integration
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


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.04])
async def test_reauthorizing_while_it_is_disconnected(signed_in: SignedIn, sessions: Sessions, delay: float):
    old = await connect_named(signed_in)
    attempt = await begin(signed_in.client)
    callback_url = await consent(attempt["consent_url"], LAMPENLADEN)

    async def disconnect() -> None:
        await asyncio.sleep(delay)  # the moment of the other one, not a wait for something
        assert (await signed_in.client.delete(f"/api/v1/integrations/{old}")).status_code == 200

    await asyncio.gather(arrive(signed_in.client, callback_url), disconnect())

    assert (await outcome(signed_in.client, attempt["id"]))["status"] in {"connected", "reauthorized"}
    assert await tokens_are_where_they_belong(sessions)


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.04])
async def test_refreshing_while_it_is_disconnected(
    signed_in: SignedIn, app: FastAPI, amazon: Amazon, sessions: Sessions, delay: float
):
    integration_id = UUID(await connect_named(signed_in))
    async with sessions.begin() as session:
        await session.execute(
            update(Grant).values(access_token_expires_at=datetime.now(UTC) - timedelta(hours=1))
        )
    state: AppState = app.state.connector

    async def refresh() -> None:
        # It may be disconnected after it was looked up.
        with contextlib.suppress(GrantMissing):
            await integrations.refresh_participations(
                state.sessions, state.vault, integration_id, datetime.now(UTC)
            )

    async def disconnect() -> None:
        await asyncio.sleep(delay)
        answer = await signed_in.client.delete(f"/api/v1/integrations/{integration_id}")
        assert answer.status_code == 200

    await asyncio.gather(refresh(), disconnect())

    assert amazon.state.counters.token["refresh_token"] <= 1
    assert await tokens_are_where_they_belong(sessions)
