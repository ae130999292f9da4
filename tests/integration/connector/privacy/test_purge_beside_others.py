"""A purge beside whoever else works: it waits for nobody, takes nobody's new mail, ends each thing once, and costs what ends."""

import asyncio

import asyncpg
import pytest
from sqlalchemy import select, text, update

from deploy.demo.postgres import CONNECTOR, OWNER
from services.connector.integrations.erasure import erase_removed
from services.connector.privacy import deletion
from services.connector.privacy.over import Ending
from services.connector.privacy.purge_service import purge
from shared.database import create_engine, create_sessions
from shared.driver import asyncpg_dsn
from shared.tables import Conversation, Integration, Message, Order, OrderItem, OutboundMessage, ReplyFile
from tests.conftest import Database
from tests.counted_rows import everything_counted
from tests.integration.connector.privacy.conftest import DAY, Shop

# As many are over, whatever stays.
_OVER = 300
_FILL = """
    INSERT INTO orders (id, account_id, integration_id, order_id, status, purchased_at, last_updated_at, personal_ends_at, changed_at)
        SELECT gen_random_uuid(), $1, $2, n::text, 'SHIPPED', now(), now(), now() + make_interval(days => CASE WHEN n <= $3 THEN -1 ELSE 30 END), now()
        FROM generate_series(1, $3 + $4::int) n;
"""
_CONVERSATIONS = """
    INSERT INTO conversations (id, account_id, integration_id, message_count, last_message_at)
        SELECT uuidv7(), $1, $2, 1, now() - make_interval(days => CASE WHEN n <= $3 THEN 600 ELSE 0 END)
        FROM generate_series(1, $3 + $4::int) n
"""
_MESSAGES = """
    INSERT INTO messages (id, account_id, integration_id, conversation_id, accepted_mail_id, raw_key, kind, from_amazon_domain, truncated,
            received_at, body_text, size, attachment_count)
        SELECT uuidv7(last_message_at - now()), account_id, integration_id, id, uuidv7(), '\\x00', 'buyer_message', true, false,
            last_message_at, '\\x00', 1000, 0
        FROM conversations
"""
_READ = """
    SELECT coalesce(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), 0)::bigint FROM pg_stat_user_tables
    WHERE relname ~ '^(orders|order_items|conversations|messages|notes|outbound_messages|accepted_mail)'
"""


async def test_an_order_that_somebody_has_in_hand_is_left_for_the_next_round_and_nobody_waits(
    shop: Shop, database: Database
):
    held = await shop.order(personal_ends_at=shop.now)
    await shop.order("anton", "303-7654321-7654321", personal_ends_at=shop.now)
    connection = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    async with connection.transaction():
        await connection.fetch("SELECT FROM orders WHERE id = $1 FOR UPDATE", held.id)
        assert await shop.purge(DAY) == {Ending.ORDER_PERSONAL: 1}
    await connection.close()

    assert await shop.purge(DAY) == {Ending.ORDER_PERSONAL: 1}


async def test_purges_that_run_at_once_end_each_thing_once(shop: Shop):
    for number in range(20):
        await shop.order(f"buyer{number}", f"303-00000{number:02}-1234567", personal_ends_at=shop.now)

    ended = await asyncio.gather(*(shop.purge(DAY) for _ in range(3)))

    assert sum(each.get(Ending.ORDER_PERSONAL, 0) for each in ended) == 20


async def test_mail_that_comes_while_its_conversation_ends_stays_with_it(shop: Shop):
    conversation = await shop.conversation(message_count=2)
    await shop.message(conversation)
    new = await shop.message(conversation, at=shop.now + 2 * DAY)

    gone = await deletion.delete_conversations(
        shop.sessions, shop.blobs, [conversation.id], before=shop.now + DAY
    )

    async with shop.sessions.begin() as session:
        assert (await session.scalars(select(Message.id))).all() == [new.id]
        kept = await session.get_one(Conversation, conversation.id)
        assert (gone, kept.message_count, kept.last_message_at) == (0, 1, new.received_at)


async def test_an_answer_that_is_written_while_its_conversation_ends_is_sent(shop: Shop):
    conversation = await shop.conversation(message_count=1)
    message = await shop.message(conversation)
    old = await shop.reply(message)
    new = await shop.reply(message, state="queued", created_at=shop.now + 2 * DAY)

    gone = await deletion.delete_conversations(
        shop.sessions, shop.blobs, [conversation.id], before=shop.now + DAY
    )

    async with shop.sessions.begin() as session:
        assert old != new
        assert (await session.scalars(select(OutboundMessage.id))).all() == [new]
        assert (await session.scalars(select(ReplyFile.outbound_message_id))).all() == [new]
        assert (gone, await session.get(Conversation, conversation.id) is None) == (0, False)


async def test_a_purge_that_is_cut_off_goes_on_where_it_was(shop: Shop):
    for number in range(30):
        await shop.message(await shop.conversation(f"buyer{number}"), f"buyer{number}")
    purging = asyncio.create_task(shop.purge(549 * DAY))
    async with asyncio.timeout(20):
        while await _left(shop) == 30:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.002)
    purging.cancel()
    await asyncio.wait([purging])

    await shop.purge(549 * DAY)

    assert await _left(shop) == 0
    assert await shop.blob_count() == 0


async def _left(shop: Shop) -> int:
    async with shop.sessions.begin() as session:
        return await session.scalar(text("SELECT count(*) FROM messages")) or 0


async def test_the_orders_of_an_erased_store_are_erased(shop: Shop):
    await shop.order()
    async with shop.owner_sessions.begin() as session:
        gone = {"disconnected_at": shop.now - 40 * DAY, "rests_until": shop.now - 10 * DAY}
        await session.execute(
            update(Integration).values(removed_at=shop.now - 10 * DAY, data_after_rest="delete", **gone)
        )

    assert await erase_removed(shop.sessions, shop.blobs, shop.now) == 1

    async with shop.sessions.begin() as session:
        for table in (Order, OrderItem):
            assert (await session.scalars(select(table.id))).all() == []


@pytest.mark.usefixtures("short_tables")
async def test_a_purge_costs_what_ends_however_much_stays(shop: Shop, database: Database):
    owner = await asyncpg.connect(asyncpg_dsn(database.url(OWNER)))
    read = []
    for staying in (_OVER, 20 * _OVER):
        await owner.execute(
            "SET session_replication_role = replica; DELETE FROM messages; DELETE FROM conversations; DELETE FROM orders"
        )
        numbers = shop.account.id, shop.integration.id, _OVER, staying
        await owner.execute(_FILL, *numbers)
        await owner.execute(_CONVERSATIONS, *numbers)
        await owner.execute(_MESSAGES)
        await owner.execute("RESET session_replication_role")
        for table in ("orders", "conversations", "messages"):
            await owner.execute(f"VACUUM (ANALYZE) {table}")
        await everything_counted(owner)
        before: int = await owner.fetchval(_READ)
        engine = create_engine(database.url(CONNECTOR), application_name="tests")
        ended = await purge(create_sessions(engine), shop.blobs, shop.now, messages_end_with_orders=False)
        await engine.dispose()
        assert ended == {Ending.ORDER_PERSONAL: _OVER, Ending.CONVERSATIONS: _OVER}
        await everything_counted(owner)
        read.append(await owner.fetchval(_READ) - before)
    await owner.close()

    few, many = read
    assert many < 1.5 * few, read
