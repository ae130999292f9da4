"""No state, code, token or secret in a log line, an answer, a job or a row that anybody could read."""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import text, update

from services.connector.authorization.api import BROWSER_COOKIE
from services.connector.dependencies import AppState
from services.connector.integrations import service as integrations
from shared.database import Sessions
from shared.tables import Grant
from tests.integration.connector.conftest import SignedIn
from tests.integration.connector.connecting import (
    BRIGHT_PORCH,
    CANARY_SECRET,
    LAMPENLADEN,
    Amazon,
    arrive,
    begin,
    consent,
    outcome,
    query_of,
)
from tests.logs import WrittenLog, log_written


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[WrittenLog]:
    """Everything that is logged, in the form and with the levels of a real process, at its most talkative."""
    with log_written(monkeypatch, level="DEBUG") as written:
        yield written


async def test_canaries_appear_nowhere(
    signed_in: SignedIn, app: FastAPI, amazon: Amazon, sessions: Sessions, logged: WrittenLog
):
    """# S: tokens, codes and states never in a log, job, answer or plain column"""
    canaries = {CANARY_SECRET}
    shown: list[str] = []
    for seller_id, break_it in [(LAMPENLADEN, False), (BRIGHT_PORCH, False), (LAMPENLADEN, True)]:
        attempt = await begin(signed_in.client)
        callback_url = await consent(attempt["consent_url"], seller_id)
        parameters = query_of(callback_url)
        canaries |= {parameters["state"], parameters["spapi_oauth_code"]}
        if break_it:
            amazon.fail_tokens(
                400, f'{{"error": "{parameters["spapi_oauth_code"]}", "error_description": "canary"}}'
            )
        answer = await arrive(signed_in.client, callback_url)
        again = await arrive(signed_in.client, callback_url)
        shown += [answer.text, str(answer.headers), str(again.headers)]
        shown.append(str(await outcome(signed_in.client, attempt["id"])))
        canaries.add(signed_in.client.cookies[BROWSER_COOKIE])
    async with sessions.begin() as session:
        integration_id: UUID = await session.scalar(text("SELECT id FROM integrations"))
        await session.execute(update(Grant).values(access_token_expires_at=None))
    state: AppState = app.state.connector
    await integrations.refresh_participations(state.sessions, state.vault, integration_id, datetime.now(UTC))
    canaries |= set(amazon.state.access_tokens) | set(amazon.state.refresh_tokens)

    lines = logged.getvalue()
    assert "integration_connected" in lines
    assert "authorization_failed" in lines
    assert len(canaries) >= 10
    stored = await everything_stored(sessions)
    for canary in canaries:
        assert canary not in lines
        assert canary not in stored
        assert all(canary not in text_shown for text_shown in shown)


async def everything_stored(sessions: Sessions) -> str:
    """All rows of all tables, as text; bytes also as the text that they might be."""
    dump = []
    async with sessions.begin() as session:
        tables = await session.scalars(
            text(
                "SELECT table_name FROM information_schema.table_privileges WHERE privilege_type = 'SELECT' "
                "AND table_schema = 'public' AND grantee = 'replyco_connector'"
            )
        )
        for table in tables.all():
            rows = await session.execute(text(f'SELECT * FROM "{table}"'))
            dump += [
                " ".join(v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in row)
                for row in rows
            ]
    return "\n".join(dump)
