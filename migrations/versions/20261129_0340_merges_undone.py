"""What merging two conversations has moved and changed, so that it can be undone."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261129_0340"
down_revision = "20261129_0330"


def _ids(name: str) -> sa.Column[object]:
    return sa.Column(name, postgresql.ARRAY(sa.Uuid()), nullable=False)


def _keys(name: str) -> sa.Column[object]:
    return sa.Column(name, postgresql.ARRAY(sa.LargeBinary()), nullable=False)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, postgresql.JSONB(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "conversation_merges",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=False),
        sa.Column("merged_by", sa.Uuid(), nullable=False),
        sa.Column(
            "merged_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("undone_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        _ids("message_ids"),
        _ids("placed_by"),
        _ids("target_message_ids"),
        _keys("source_threads"),
        _keys("target_threads"),
        _ids("note_ids"),
        _ids("reply_ids"),
        _ids("file_ids"),
        _ids("draft_ids"),
        _ids("merged_ids"),
        _json("source_orders"),
        _json("target_orders"),
        sa.Column("was_source_unread", sa.Boolean(), nullable=False),
        _json("target_before"),
        _json("target_after"),
        sa.Column("is_renamed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("target_buyer_key", sa.LargeBinary(), nullable=True),
        sa.Column("target_buyer_name", sa.LargeBinary(), nullable=True),
        sa.Column("target_buyer_address", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_conversation_merges_account_id"),
        *(
            sa.ForeignKeyConstraint(
                [column, "account_id"],
                ["conversations.id", "conversations.account_id"],
                name=f"fk_conversation_merges_{column}_account_id",
                ondelete="CASCADE",
            )
            for column in ("source_id", "target_id")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_conversation_merges"),
    )
    op.create_index("ix_conversation_merges_target", "conversation_merges", ["target_id", sa.text("id DESC")])
    op.create_index("ix_conversation_merges_source", "conversation_merges", ["source_id"])
    op.create_index("ix_conversation_merges_merged_at", "conversation_merges", ["merged_at"])
