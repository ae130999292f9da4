"""A removed store with any number of conversations whose data are to go, and how much a worker has looked at to erase it."""

from typing import Final
from uuid import UUID

import asyncpg

from tests.counted_rows import everything_counted

MESSAGES_EACH: Final = 3
_STORE: Final = """
    CREATE TEMP TABLE gone AS SELECT uuidv7() AS id, $1::uuid AS account_id, uuidv7() AS address_id;
"""
_ROWS: Final = """
    INSERT INTO integrations (id, account_id, region, home_country, seller_id, name, name_key, disconnected_at, rests_until,
            removed_at, data_after_rest)
        SELECT id, account_id, 'eu', 'DE', id, id, id, now() - interval '40 days', now() - interval '10 days',
            now() - interval '10 days', 'delete'
        FROM gone;
    INSERT INTO relay_addresses (id, account_id, integration_id, local_part) SELECT address_id, account_id, id, address_id FROM gone;
    CREATE TEMP TABLE talks AS SELECT uuidv7() AS id, n FROM generate_series(1, {conversations}) n;
    INSERT INTO conversations (id, account_id, integration_id, order_id, message_count, last_message_at)
        SELECT talks.id, account_id, gone.id, '303-' || lpad(n::text, 7, '0') || '-1234567', {messages_each}, now() FROM talks, gone;
    INSERT INTO conversation_orders SELECT account_id, order_id, conversations.id
        FROM conversations JOIN gone USING (account_id) WHERE integration_id = gone.id;
    INSERT INTO conversation_threads (integration_id, thread_key, account_id, conversation_id)
        SELECT gone.id, uuid_send(talks.id), account_id, talks.id FROM talks, gone;
    INSERT INTO messages (id, account_id, integration_id, conversation_id, accepted_mail_id, raw_key, kind, from_amazon_domain,
            truncated, received_at, body_text, size, attachment_count)
        SELECT uuidv7(), account_id, gone.id, talks.id, uuidv7(), '\\x00', 'buyer_message', true, false, now(), '\\x00', 1000, 1
        FROM talks, gone, generate_series(1, {messages_each});
    INSERT INTO message_digests (relay_address_id, digest, account_id, message_id)
        SELECT address_id, uuid_send(messages.id), gone.account_id, messages.id FROM gone JOIN messages ON integration_id = gone.id;
    INSERT INTO accepted_mail (id, account_id, relay_address_id, session_id, peer_address, size, mail_key_id, content_key,
            envelope, raw, state)
        SELECT accepted_mail_id, gone.account_id, address_id, '', '::1', 1000, '', '\\x00', '\\x00', '\\x00', 'delivered'
        FROM gone JOIN messages ON integration_id = gone.id;
    INSERT INTO attachments (id, account_id, message_id, position, filename, content_type, size, content)
        SELECT uuidv7(), gone.account_id, messages.id, 0, '\\x00', 'image/png', 1, '\\x00'
        FROM gone JOIN messages ON integration_id = gone.id;
    INSERT INTO outbound_messages (id, account_id, integration_id, conversation_id, answers_message_id, body_text, due_at)
        SELECT uuidv7(), gone.account_id, gone.id, talks.id, uuidv7(), '\\x00', now() FROM gone, talks;
    INSERT INTO reply_files (id, account_id, conversation_id, outbound_message_id, filename, content_type, size, content)
        SELECT uuidv7(), account_id, conversation_id, id, '\\x00', 'image/png', 1, '\\x00' FROM outbound_messages;
    INSERT INTO reply_drafts (id, account_id, conversation_id, user_id, body_text)
        SELECT uuidv7(), gone.account_id, talks.id, uuidv7(), '\\x00' FROM gone, talks;
    INSERT INTO notes (id, account_id, conversation_id, body_text)
        SELECT uuidv7(), gone.account_id, talks.id, '\\x00' FROM gone, talks;
    DROP TABLE talks;
"""
_TABLES: Final = (
    "conversations", "messages", "attachments", "accepted_mail", "message_digests", "conversation_orders",
    "conversation_threads", "outbound_messages", "reply_files", "reply_drafts", "notes",
)  # fmt: skip


async def make_removed_store(
    owner: "asyncpg.Connection[asyncpg.Record]", account_id: UUID, conversations: int
) -> UUID:
    """Foreign keys hold as it is made."""
    await owner.execute("SET session_replication_role = replica")
    await owner.execute(_STORE, account_id)
    await owner.execute(_ROWS.format(conversations=conversations, messages_each=MESSAGES_EACH), timeout=None)
    integration_id: UUID = await owner.fetchval("SELECT id FROM gone")
    await owner.execute("DROP TABLE gone; RESET session_replication_role; ANALYZE", timeout=None)
    return integration_id


async def rows_left(owner: "asyncpg.Connection[asyncpg.Record]") -> int:
    """Of all tables that are erased."""
    return sum([await owner.fetchval(f"SELECT count(*) FROM {table}", timeout=None) for table in _TABLES])


async def rows_read(owner: "asyncpg.Connection[asyncpg.Record]") -> int:
    """By this connection and by those of the tests, which have been closed, since the database was made."""
    await everything_counted(owner)
    read: int = await owner.fetchval(
        "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables"
        " WHERE relname ~ $1",
        f"^({'|'.join(_TABLES)})",
    )
    return read
