"""What is in quarantine lies outside of the indexes of the inbox: a flood of forged mail costs its lists nothing."""

from migrations import online

revision = "20261126_0320"
down_revision = "20261126_0310"

_NEWEST = "last_message_at DESC, id DESC"
_SHOWN = "merged_into IS NULL AND status <> 'quarantine'"


def upgrade() -> None:
    for name, columns, where in (
        ("newest", f"account_id, {_NEWEST}", _SHOWN),
        ("newest_of_integration", f"integration_id, {_NEWEST}", _SHOWN),
        ("unread", f"account_id, {_NEWEST}", f"is_unread AND {_SHOWN}"),
    ):
        online.drop_index(f"ix_conversations_{name}")
        online.create_index(f"ix_conversations_{name}", "conversations", columns, where=where)
