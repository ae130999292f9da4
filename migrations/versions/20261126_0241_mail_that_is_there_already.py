"""Conversations that were there before are found and listed as the new ones are; the rules hold for them, too."""

from migrations import online

revision = "20261126_0241"
down_revision = "20261126_0240"

_NEWEST = "last_message_at DESC, id DESC"


def upgrade() -> None:
    online.in_batches(
        "conversations",
        "INSERT INTO conversation_orders SELECT account_id, order_id, id FROM conversations"
        " WHERE id > :first AND id <= :last AND order_id IS NOT NULL ON CONFLICT DO NOTHING",
    )
    # What was there before has been seen, and is of the kind of its newest message.
    online.in_batches(
        "conversations",
        "UPDATE conversations SET is_unread = false, kind = coalesce("
        "(SELECT kind FROM messages WHERE conversation_id = conversations.id ORDER BY id DESC LIMIT 1), 'other')"
        " WHERE id > :first AND id <= :last",
    )
    online.add_foreign_key("conversations", "fk_conversations_merged_into", "merged_into", "conversations")
    for table, name, condition in (
        ("conversations", "status", "status IN ('open', 'closed', 'quarantine')"),
        ("conversations", "merged_into", "merged_into IS NULL OR answer_due_at IS NULL"),
        ("attachments", "scan", "scan IN ('clean', 'infected', 'failed')"),
        (
            "messages",
            "authenticity",
            "authenticity IN ('authentic', 'forged', 'uncheckable', 'stranger', 'not_checked')",
        ),
    ):
        online.add_check(table, f"ck_{table}_{name}", condition)
    _indexes_of_conversations()
    _indexes_of_messages()


def _indexes_of_conversations() -> None:
    listed = "merged_into IS NULL"
    online.drop_index("ix_conversations_newest")
    online.drop_index("ix_conversations_newest_of_integration")
    for name, columns, where in (
        ("newest", f"account_id, {_NEWEST}", listed),
        ("newest_of_status", f"account_id, status, {_NEWEST}", listed),
        ("newest_of_integration", f"integration_id, {_NEWEST}", listed),
        ("unread", f"account_id, {_NEWEST}", f"is_unread AND {listed}"),
        ("due", "account_id, answer_due_at, id", "answer_due_at IS NOT NULL"),
        ("buyer", "account_id, buyer_key", "buyer_key IS NOT NULL"),
        ("merged", "merged_into", "merged_into IS NOT NULL"),
    ):
        online.create_index(f"ix_conversations_{name}", "conversations", columns, where=where)


def _indexes_of_messages() -> None:
    online.create_index("ix_messages_words", "messages", "word_keys", using="gin")
    online.create_index("ix_messages_recheck", "messages", "recheck_at", where="recheck_at IS NOT NULL")
    online.create_index(
        "ix_messages_verification", "messages", "integration_id, id DESC", where="kind = 'verification'"
    )
