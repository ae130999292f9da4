"""Whether a mail is Amazon's, what was understood of it, when an answer is due, and how it is found."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.tables import SealedColumn

revision = "20261126_0240"
down_revision = "20261124_0100"

_TIME = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    _conversations()
    _messages()
    op.add_column("attachments", sa.Column("sniffed_type", sa.Text(), nullable=True))
    op.add_column("attachments", sa.Column("content_id", SealedColumn(), nullable=True))
    op.add_column("attachments", sa.Column("scan", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_attachments_scan"), "attachments", "scan IN ('clean', 'infected', 'failed')"
    )


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
    op.execute(
        "INSERT INTO conversation_orders SELECT account_id, order_id, id FROM conversations WHERE order_id IS NOT NULL"
    )
    op.add_column("conversations", sa.Column("status", sa.Text(), server_default="open", nullable=False))
    op.add_column("conversations", sa.Column("kind", sa.Text(), server_default="other", nullable=False))
    op.add_column("conversations", sa.Column("asin", sa.Text(), nullable=True))
    op.add_column(
        "conversations", sa.Column("is_unread", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    op.add_column("conversations", sa.Column("answer_due_at", _TIME, nullable=True))
    op.add_column("conversations", sa.Column("merged_into", sa.Uuid(), nullable=True))
    # What was there before has been seen, and is of the kind of its newest message.
    op.execute(
        "UPDATE conversations SET is_unread = false, kind = coalesce("
        "(SELECT kind FROM messages WHERE conversation_id = conversations.id ORDER BY id DESC LIMIT 1), 'other')"
    )
    op.create_foreign_key(
        op.f("fk_conversations_merged_into"), "conversations", "conversations", ["merged_into"], ["id"]
    )
    op.create_check_constraint(
        op.f("ck_conversations_status"), "conversations", "status IN ('open', 'closed', 'quarantine')"
    )
    op.create_check_constraint(
        op.f("ck_conversations_merged_into"), "conversations", "merged_into IS NULL OR answer_due_at IS NULL"
    )
    _conversation_indexes()


def _conversation_indexes() -> None:
    newest: list[Any] = [sa.literal_column("last_message_at DESC"), sa.literal_column("id DESC")]
    listed = sa.text("merged_into IS NULL")
    op.drop_index("ix_conversations_newest", table_name="conversations")
    op.drop_index("ix_conversations_newest_of_integration", table_name="conversations")
    for name, columns, where in (
        ("newest", ["account_id", *newest], listed),
        ("newest_of_status", ["account_id", "status", *newest], listed),
        ("newest_of_integration", ["integration_id", *newest], listed),
        ("unread", ["account_id", *newest], sa.text("is_unread AND merged_into IS NULL")),
        ("due", ["account_id", "answer_due_at", "id"], sa.text("answer_due_at IS NOT NULL")),
        ("buyer", ["account_id", "buyer_key"], sa.text("buyer_key IS NOT NULL")),
        ("merged", ["merged_into"], sa.text("merged_into IS NOT NULL")),
    ):
        op.create_index(f"ix_conversations_{name}", "conversations", columns, postgresql_where=where)


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
    op.create_check_constraint(
        op.f("ck_messages_authenticity"),
        "messages",
        "authenticity IN ('authentic', 'forged', 'uncheckable', 'stranger', 'not_checked')",
    )
    op.create_index("ix_messages_words", "messages", ["word_keys"], postgresql_using="gin")
    op.create_index(
        "ix_messages_recheck", "messages", ["recheck_at"], postgresql_where=sa.text("recheck_at IS NOT NULL")
    )
    op.create_index(
        "ix_messages_verification",
        "messages",
        ["integration_id", sa.literal_column("id DESC")],
        postgresql_where=sa.text("kind = 'verification'"),
    )
