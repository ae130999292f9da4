"""How PostgreSQL finds what is listed: along an index that ends with the page, however much else there is."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.inbox import listing
from services.connector.inbox.listing import ConversationFilters, Sort
from services.connector.inbox.search import Search
from shared.database import Sessions
from shared.tables import ConversationStatus, User
from tests.factories import make_user
from tests.integration.connector.inbox.conftest import Inbox

pytestmark = pytest.mark.usefixtures("short_tables")

# A third is forged, and one in a hundred is unread, open, and waits for an answer; of these, half are one agent's, and one in ten nobody's.
_MANY = text(
    "INSERT INTO conversations (id, account_id, integration_id, country, message_count, last_message_at, status, kind,"
    " is_unread, answer_due_at, assignee_id, tag_ids)"
    " SELECT gen_random_uuid(), :account_id, :integration_id, 'DE', 1, now() - make_interval(secs => n),"
    " CASE WHEN n % 3 = 0 THEN 'quarantine' WHEN n % 100 = 1 THEN 'open' ELSE 'closed' END, 'buyer_message',"
    " n % 100 = 1, CASE WHEN n % 100 = 1 THEN now() + make_interval(secs => n) END,"
    " CASE WHEN n % 200 = 101 THEN CAST(:agent_id AS uuid) WHEN n % 1000 <> 1 THEN CAST(:other_agent_id AS uuid) END,"
    " CASE WHEN n % 1000 = 1 THEN ARRAY[CAST(:agent_id AS uuid)] ELSE '{}' END"
    " FROM generate_series(1, 9000) n"
)
# Each with words of its own.
_MANY_MESSAGES = text(
    "INSERT INTO messages (id, account_id, integration_id, conversation_id, accepted_mail_id, raw_key, kind, from_amazon_domain,"
    " truncated, received_at, body_text, size, attachment_count, word_keys)"
    " SELECT uuidv7(), account_id, integration_id, id, uuidv7(), '', 'buyer_message', true, false, now(), '', 1, 0, ARRAY[n, n + 1]"
    " FROM conversations, generate_series(1, CAST(5000 AS bigint)) n WHERE id = :conversation_id"
)
_SHOWN = "ix_conversations_newest on"
# What asyncpg asks by itself when it meets a type for the first time.
_OF_THE_DRIVER = ("set_config", "typeinfo")


@pytest.fixture
async def agent(inbox, owner_sessions):
    async with owner_sessions.begin() as session:
        return await make_user(session, inbox.account.id)


@pytest.fixture
async def many(inbox, foreign_inbox, owner_sessions, agent):
    async with owner_sessions.begin() as session:
        foreign_agent = await make_user(session, foreign_inbox.account.id)
        for one, its_agent in ((inbox, agent), (foreign_inbox, foreign_agent)):
            other_agent = await make_user(session, one.account.id)
            ids = {
                "account_id": one.account.id,
                "integration_id": one.integration.id,
                "agent_id": its_agent.id,
                "other_agent_id": other_agent.id,
            }
            await session.execute(_MANY, ids)
            await session.execute(_MANY_MESSAGES, {"conversation_id": one.conversation.id})
        await session.execute(text("ANALYZE conversations, messages"))
    return inbox


async def plan_of(
    sessions: Sessions, ask: Callable[[AsyncSession], Awaitable[Any]], *, small: bool = False
) -> str:
    """How the last statement that `ask` sends is carried out. `small`: too little is there for an index to be worth it."""
    engine: Engine = sessions.kw["bind"].sync_engine
    sent: list[tuple[str, Any]] = []

    def keep(_connection: object, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        sent.append((statement, parameters))

    def keep_asked(query: asyncpg.connection.LoggedQuery) -> None:
        if not query.query.startswith("BEGIN") and not any(own in query.query for own in _OF_THE_DRIVER):
            sent.append((query.query, query.args))

    async with sessions.begin() as session:
        if small:
            await session.execute(text("SET LOCAL enable_seqscan = off"))
        driver = (await (await session.connection()).get_raw_connection()).driver_connection
        assert driver is not None
        event.listen(engine, "before_cursor_execute", keep)
        driver.add_query_logger(keep_asked)
        try:
            await ask(session)
            # The driver tells of a statement in the loop's next turn.
            await asyncio.sleep(0)
        finally:
            driver.remove_query_logger(keep_asked)
            event.remove(engine, "before_cursor_execute", keep)
        statement, parameters = sent[-1]
        rows = await driver.fetch(f"EXPLAIN {statement}", *parameters)
    return "\n".join(row[0] for row in rows)


async def test_a_page_is_read_from_its_index_without_sorting(many: Inbox, agent: User, sessions: Sessions):
    now = datetime.now(UTC)
    for filters, sort, index in (
        (ConversationFilters(), Sort.NEWEST, _SHOWN),
        (
            ConversationFilters(status=ConversationStatus.OPEN),
            Sort.NEWEST,
            "ix_conversations_newest_of_status on",
        ),
        (
            ConversationFilters(status=ConversationStatus.QUARANTINE),
            Sort.NEWEST,
            "ix_conversations_newest_of_status on",
        ),
        (ConversationFilters(is_unread=True), Sort.NEWEST, "ix_conversations_unread on"),
        (ConversationFilters(), Sort.DUE, "ix_conversations_due on"),
        (ConversationFilters(is_overdue=True), Sort.DUE, "ix_conversations_due on"),
        (
            ConversationFilters(status=ConversationStatus.SNOOZED),
            Sort.NEWEST,
            "ix_conversations_newest_of_status on",
        ),
        (
            ConversationFilters(status=ConversationStatus.OPEN, assignee_id=agent.id),
            Sort.NEWEST,
            "ix_conversations_open_of_assignee on",
        ),
        (
            ConversationFilters(status=ConversationStatus.OPEN, is_unassigned=True),
            Sort.NEWEST,
            "ix_conversations_open_of_nobody on",
        ),
        (ConversationFilters(kind="buyer_message", country="DE"), Sort.NEWEST, _SHOWN),
    ):
        at = now + timedelta(hours=1) if sort is Sort.DUE else now - timedelta(hours=1)
        for after in (None, (at, many.conversation.id)):
            plan = await plan_of(sessions, partial(_page, many, filters, sort, after))

            assert index in plan, plan
            assert "Sort" not in plan, plan


async def _page(
    many: Inbox,
    filters: ConversationFilters,
    sort: Sort,
    after: tuple[datetime, UUID] | None,
    session: AsyncSession,
) -> None:
    await listing.list_conversations(
        session, many.account.id, filters, sort, limit=20, after=after, now=datetime.now(UTC)
    )


async def test_a_search_or_a_count_reads_no_table_through(many: Inbox, agent: User, sessions: Sessions):
    searches = [
        (Search(order_id="303-1234567-1234567"), "pk_conversation_orders"),
        (Search(local_part="mabtekrud"), "relay_addresses_local_part"),
        (Search(buyer_key=b"x" * 32, word_keys=(1,)), "ix_conversations_buyer"),
        (Search(buyer_key=b"x" * 32, word_keys=(1,)), "_word_keys_idx"),
        (Search(word_keys=(1, 2)), "_word_keys_idx"),
        (Search(word_keys=(1, 2), former_word_keys=(3, 2)), "BitmapOr"),
    ]
    for search, index in searches:
        plan = await plan_of(
            sessions, partial(_page, many, ConversationFilters(search=search), Sort.NEWEST, None), small=True
        )
        assert index in plan, plan
        assert "Seq Scan on conversations" not in plan, plan

    tagged = ConversationFilters(tag_id=agent.id)
    plan = await plan_of(sessions, partial(_page, many, tagged, Sort.NEWEST, None))
    assert "ix_conversations_tags" in plan, plan

    counted = await plan_of(sessions, partial(_counts, many), small=True)
    assert "Seq Scan" not in counted, counted
    assert "ix_conversations_unread" in counted, counted


async def _counts(many: Inbox, session: AsyncSession) -> None:
    await listing.count_conversations(session, many.account.id, many.account.id, datetime.now(UTC))
