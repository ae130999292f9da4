"""Erasing an account, and asking who still refers to a row that goes, looks through no table."""

from migrations import online

revision = "20261129_0370"
down_revision = "20261129_0360"

_TABLES = (
    "account_keys",
    "conversation_merges",
    "conversations_changes",
    "forwarded_mailboxes",
    "integrations",
    "notices",
    "relay_addresses",
    "reply_files",
    "seen_signatures",
    "setup_steps",
    "sign_in_challenges",
)


def upgrade() -> None:
    for table in _TABLES:
        online.create_index(f"ix_{table}_account_id", table, "account_id")
    for table in ("order_lookups", "relay_addresses"):
        online.create_index(f"ix_{table}_integration_id", table, "integration_id")
    online.create_index(
        "ix_reply_files_reply",
        "reply_files",
        "outbound_message_id",
        where="outbound_message_id IS NOT NULL",
    )
