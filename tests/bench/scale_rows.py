"""Rows for `scale`: made by PostgreSQL itself, because five million are to be there within minutes.

A year of conversations, five messages each on average. Every second conversation belongs to the account that is measured, the
others to any. Messages and conversations get the ids of their time, so that they lie in their months' partitions. What is not
read is a constant in place of sealed bytes; `scale` seals anew what the lists open.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything. There are as many stores as addresses, and five times as many messages as conversations."""

    accounts: int
    addresses: int
    conversations: int
    delivered_mails: int
    months_of_mail: int


_PARTITIONS: Final = """
    SELECT ensure_partitions(now() - make_interval(months => month)) FROM unnest(ARRAY[12, 8, 4]) month
"""
_SELLERS: Final = """
    CREATE TEMP TABLE sellers AS
    SELECT n, CASE n WHEN 0 THEN '{account_id}'::uuid ELSE uuidv7() END AS id FROM generate_series(0, {accounts} - 1) n
"""
_ACCOUNTS: Final = "INSERT INTO accounts (id, name) SELECT id, 'Seller ' || n FROM sellers WHERE n > 0"
_STORES: Final = """
    CREATE TEMP TABLE stores AS
    SELECT store.n, uuidv7() AS id, sellers.id AS account_id
    FROM generate_series(0, {addresses} - 1) store (n) JOIN sellers ON sellers.n = store.n % {accounts}
"""
_INTEGRATIONS: Final = """
    INSERT INTO integrations (id, account_id, region, home_country, seller_id, name, name_key)
    SELECT id, account_id, 'eu', 'DE', 'S' || lpad(n::text, 13, '0'), 'Store ' || n, 'store ' || n FROM stores
"""
# Multiplied by an odd number modulo 2^32: all different, and in no order.
_ADDRESSES: Final = """
    INSERT INTO relay_addresses (id, account_id, integration_id, local_part)
    SELECT uuidv7(), account_id, id,
        'b' || translate(lpad(to_hex(n * 2654435761 % 4294967296), 8, '0'), '0123456789abcdef', 'bcdfghjkmnprstvw')
    FROM stores
"""
_PLAN: Final = """
    CREATE TEMP TABLE planned AS
    SELECT plan.n, uuidv7(-plan.age) AS id, stores.id AS integration_id, stores.account_id, plan.age, 1 + plan.n % 9 AS messages
    FROM (
        SELECT n, interval '1 day' + interval '364 days' * (1 - n / {conversations}::float8) AS age
        FROM generate_series(0, {conversations} - 1) n
    ) plan
    JOIN stores ON stores.n = CASE plan.n % 2
        WHEN 0 THEN plan.n / 2 % ({addresses} / {accounts}) * {accounts}
        ELSE plan.n * 7919::bigint % {addresses}
    END
"""
_CONVERSATIONS: Final = """
    INSERT INTO conversations (id, account_id, integration_id, order_id, country, buyer_name, buyer_address, subject,
        message_count, last_message_at, created_at, is_unread)
    SELECT id, account_id, integration_id, '303-' || lpad(n::text, 7, '0') || '-1234567', 'DE', '\\x00', '\\x00', '\\x00',
        messages, now() - age + interval '1 hour' * messages, now() - age, n % 10 = 0
    FROM planned ORDER BY n
"""
_MESSAGES: Final = """
    INSERT INTO messages (id, account_id, integration_id, conversation_id, accepted_mail_id, raw_key, kind, from_amazon_domain,
        truncated, received_at, subject, sender_name, sender_address, body_text, size, attachment_count)
    SELECT uuidv7(interval '1 hour' * position - age), account_id, integration_id, id, uuidv7(), sealed, 'buyer_message', true,
        false, now() - age + interval '1 hour' * position, sealed, sealed, sealed, body, 4096, 0
    FROM planned, generate_series(1, messages) position,
        (SELECT convert_to(repeat('x', 60), 'UTF8') AS sealed, convert_to(repeat('x', 300), 'UTF8') AS body) constant
    ORDER BY n, position
"""
_LOAD: Final = (
    _PARTITIONS, _SELLERS, _ACCOUNTS, _STORES, _INTEGRATIONS, _ADDRESSES, _PLAN, _CONVERSATIONS, _MESSAGES,
)  # fmt: skip


async def load(owner: "asyncpg.Connection[asyncpg.Record]", account_id: UUID, size: Size) -> int:
    """Fill the tables; how many messages there are then. Foreign keys are not checked meanwhile: they hold as it is made."""
    await owner.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    for statement in _LOAD:
        await owner.execute(
            statement.format(
                account_id=account_id,
                accounts=size.accounts,
                addresses=size.addresses,
                conversations=size.conversations,
            ),
            timeout=None,
        )
    await owner.execute("DROP TABLE planned, stores, sellers; RESET session_replication_role")
    for table in ("integrations", "relay_addresses", "conversations", "messages"):
        await owner.execute(f"VACUUM (ANALYZE) {table}", timeout=None)
    await owner.execute("CHECKPOINT")
    messages: int = await owner.fetchval("SELECT count(*) FROM messages", timeout=None)
    return messages
