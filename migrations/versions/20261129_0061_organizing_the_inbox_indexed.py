"""What is somebody's to do, what is snoozed, tagged, failed or has files is found however many conversations there are."""

from migrations import online

revision = "20261129_0061"
down_revision = "20261129_0060"

_HAS_FILES = """
    UPDATE conversations SET has_files = true WHERE id > :first AND id <= :last AND NOT has_files
        AND EXISTS (SELECT FROM messages WHERE conversation_id = conversations.id AND attachment_count > 0)
"""


def upgrade() -> None:
    online.drop_constraint("conversations", "ck_conversations_status")
    online.add_check(
        "conversations", "ck_conversations_status", "status IN ('open', 'snoozed', 'closed', 'quarantine')"
    )
    online.add_check(
        "conversations",
        "ck_conversations_snoozed_until",
        "(status = 'snoozed') = (snoozed_until IS NOT NULL)",
    )
    online.add_foreign_key(
        "conversations",
        "fk_conversations_assignee_id_account_id",
        "assignee_id, account_id",
        "users",
        referred_columns="id, account_id",
    )
    online.create_index(
        "ix_conversations_open_of_assignee",
        "conversations",
        "account_id, assignee_id, last_message_at DESC, id DESC",
        where="status = 'open' AND merged_into IS NULL AND assignee_id IS NOT NULL",
    )
    online.create_index(
        "ix_conversations_open_of_nobody",
        "conversations",
        "account_id, last_message_at DESC, id DESC",
        where="status = 'open' AND merged_into IS NULL AND assignee_id IS NULL",
    )
    online.create_index(
        "ix_conversations_assignee", "conversations", "assignee_id", where="assignee_id IS NOT NULL"
    )
    online.create_index(
        "ix_conversations_snoozed",
        "conversations",
        "snoozed_until",
        where="snoozed_until IS NOT NULL AND merged_into IS NULL",
    )
    online.create_index(
        "ix_conversations_tags", "conversations", "tag_ids", using="gin", where="tag_ids <> '{}'"
    )
    online.create_index(
        "ix_outbound_messages_failed_of_conversation",
        "outbound_messages",
        "conversation_id",
        where="state IN ('failed', 'perhaps_sent') AND dismissed_at IS NULL",
    )
    online.in_batches("conversations", _HAS_FILES)
