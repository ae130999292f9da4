"""Replies are listed and counted along indexes, however many others there are: nobody's menu reads the table through."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.integrations import queries as integration_queries
from services.connector.replies import queries
from services.connector.replies.queries import ReplyFilters
from shared.tables import ReplyState
from tests.factories import make_account
from tests.integration.connector.inbox.test_plans import plan_of
from tests.integration.connector.replies.conftest import Thread, make_thread

pytestmark = pytest.mark.usefixtures("short_tables")

# Of one account all have arrived but one in twenty, which somebody has left at that; of the other all are for later.
_MANY = text(
    "INSERT INTO outbound_messages (id, account_id, integration_id, conversation_id, answers_message_id, body_text, state, due_at,"
    " failure, dismissed_at)"
    " SELECT uuidv7(), :account_id, :integration_id, :conversation_id, :message_id, '', s, now(),"
    " CASE WHEN s = 'failed' THEN 'unknown' END, CASE WHEN s = 'failed' THEN now() END"
    " FROM (SELECT CASE WHEN n % 20 = 3 THEN 'failed' ELSE CAST(:state AS text) END AS s FROM generate_series(1, 9000) n) rows"
)


@pytest.fixture
async def many(thread: Thread, owner_sessions, keyring) -> Thread:
    async with owner_sessions.begin() as session:
        other = await make_account(session, keyring, name="Somebody else")
    foreign = await make_thread(owner_sessions, keyring, other)
    async with owner_sessions.begin() as session:
        for one, state in ((thread, "confirmed"), (foreign, "scheduled")):
            ids = {
                "account_id": one.account.id,
                "integration_id": one.integration.id,
                "conversation_id": one.conversation.id,
                "message_id": one.message.id,
            }
            await session.execute(_MANY, {**ids, "state": state})
        await session.execute(text("ANALYZE outbound_messages"))
    return thread


async def test_no_count_and_no_list_reads_all_replies(many: Thread, sessions):
    account_id = many.account.id
    lists = [
        ReplyFilters(),
        ReplyFilters(integration_id=many.integration.id),
        ReplyFilters(conversation_id=many.conversation.id),
        *(ReplyFilters(state=state) for state in ReplyState),
        *(ReplyFilters(state=state, is_undismissed=True) for state in ReplyState),
    ]
    asked: list[Callable[[AsyncSession], Awaitable[Any]]] = [
        partial(queries.count_replies, account_id=account_id),
        *(
            partial(queries.replies_of, account_id=account_id, filters=each, limit=20, after=None)
            for each in lists
        ),
    ]
    for ask in asked:
        plan = await plan_of(sessions, ask)

        assert "Seq Scan on outbound_messages" not in plan, (ask, plan)


async def test_where_a_stores_sender_was_refused_is_found_without_reading_its_replies(many: Thread, sessions):
    since = datetime(2026, 1, 1, tzinfo=UTC)
    ask = partial(integration_queries._refused_in, integration_id=many.integration.id, since=since)

    assert "ix_outbound_messages_refused" in await plan_of(sessions, ask)
