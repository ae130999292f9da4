"""What has ended is found by its age, in the account that it belongs to, without looking at what stays."""

from migrations import online

revision = "20261128_2051"
down_revision = "20261128_2050"


def upgrade() -> None:
    online.create_index("ix_messages_account", "messages", "account_id, id")
    online.create_index("ix_message_digests_message", "message_digests", "message_id")
    online.create_index("ix_notes_account", "notes", "account_id, id")
    online.create_index("ix_order_snapshots_order", "order_snapshots", "account_id, order_id")
