"""What is in quarantine lies outside of the indexes of the inbox: a flood of forged mail costs its lists nothing."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "20261126_0320"
down_revision = "20261126_0310"

_NEWEST: list[Any] = [sa.literal_column("last_message_at DESC"), sa.literal_column("id DESC")]
_SHOWN = "merged_into IS NULL AND status <> 'quarantine'"


def upgrade() -> None:
    for name, columns, where in (
        ("newest", ["account_id", *_NEWEST], _SHOWN),
        ("newest_of_integration", ["integration_id", *_NEWEST], _SHOWN),
        ("unread", ["account_id", *_NEWEST], f"is_unread AND {_SHOWN}"),
    ):
        op.drop_index(f"ix_conversations_{name}", table_name="conversations")
        op.create_index(f"ix_conversations_{name}", "conversations", columns, postgresql_where=sa.text(where))
