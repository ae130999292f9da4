"""Whether a mail is Amazon's, what was understood of it, when an answer is due, and how it is found."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.tables import SealedColumn

revision = "20261126_0240"
down_revision = "20261124_0110"

_TIME = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    _conversations()
    _messages()
    op.add_column("attachments", sa.Column("sniffed_type", sa.Text(), nullable=True))
    op.add_column("attachments", sa.Column("content_id", SealedColumn(), nullable=True))
    op.add_column("attachments", sa.Column("scan", sa.Text(), nullable=True))


def _conversations() -> None:
    op.create_table(
        "conversation_orders",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_conversation_orders_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("fk_conversation_orders_conversation_id")
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "order_id", "conversation_id", name=op.f("pk_conversation_orders")
        ),
    )
    op.create_index("ix_conversation_orders_conversation", "conversation_orders", ["conversation_id"])
    op.add_column("conversations", sa.Column("status", sa.Text(), server_default="open", nullable=False))
    op.add_column("conversations", sa.Column("kind", sa.Text(), server_default="other", nullable=False))
    op.add_column("conversations", sa.Column("asin", sa.Text(), nullable=True))
    op.add_column(
        "conversations", sa.Column("is_unread", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    op.add_column("conversations", sa.Column("answer_due_at", _TIME, nullable=True))
    op.add_column("conversations", sa.Column("merged_into", sa.Uuid(), nullable=True))


def _messages() -> None:
    columns: list[sa.Column[Any]] = [
        sa.Column("thread_key", sa.LargeBinary(), nullable=True),
        sa.Column("placed_by", sa.Uuid(), nullable=True),
        sa.Column("authenticity", sa.Text(), server_default="not_checked", nullable=False),
        sa.Column("authenticity_reason", sa.Text(), nullable=True),
        sa.Column("authentication_results", SealedColumn(), nullable=True),
        sa.Column("recheck_at", _TIME, nullable=True),
        sa.Column("order_ids", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("asin", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("failure_reason", sa.Text(), nullable=True),
        sa.Column("verification_code", SealedColumn(), nullable=True),
        sa.Column("quoted_text", SealedColumn(), nullable=True),
        sa.Column("is_excerpt", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("word_keys", postgresql.ARRAY(sa.BigInteger()), server_default="{}", nullable=False),
        sa.Column("parser_version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("answer_due_at", _TIME, nullable=True),
        sa.Column("answer_settled_at", _TIME, nullable=True),
    ]
    for column in columns:
        op.add_column("messages", column)
