"""The one thread that a conversation had leads to it."""

from migrations import online

revision = "20261126_0301"
down_revision = "20261126_0300"


def upgrade() -> None:
    online.in_batches(
        "conversations",
        "INSERT INTO conversation_threads (integration_id, thread_key, account_id, conversation_id)"
        " SELECT integration_id, thread_key, account_id, id FROM conversations"
        " WHERE id > :first AND id <= :last AND thread_key IS NOT NULL ON CONFLICT DO NOTHING",
    )
