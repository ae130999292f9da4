"""Replies: their queue, files, drafts, templates, and internal notes; what they prove of stores, and which messages they answer."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_1620"
down_revision = "20261128_1415"


def upgrade() -> None:
    # In the order in which the mail worker locks them.
    op.add_column(
        "conversations", sa.Column("last_reply_at", postgresql.TIMESTAMP(timezone=True), nullable=True)
    )
    op.add_column("messages", sa.Column("answered_by", sa.Uuid(), nullable=True))
    op.add_column(
        "integrations", sa.Column("sender_refused_at", postgresql.TIMESTAMP(timezone=True), nullable=True)
    )
    op.add_column(
        "integrations", sa.Column("reply_confirmed_at", postgresql.TIMESTAMP(timezone=True), nullable=True)
    )
    op.add_column(
        "smtp_configurations", sa.Column("refused_since", postgresql.TIMESTAMP(timezone=True), nullable=True)
    )
    op.add_column(
        "smtp_configurations", sa.Column("refused_at", postgresql.TIMESTAMP(timezone=True), nullable=True)
    )
    op.create_table(
        "outbound_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("integration_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("answers_message_id", sa.Uuid(), nullable=False),
        sa.Column("written_by", sa.Uuid(), nullable=True),
        sa.Column("body_text", sa.LargeBinary(), nullable=False),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("closes_conversation", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column(
            "state_since",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("due_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("round", sa.Integer(), server_default="1", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("first_attempt_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("claimed_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("data_sent_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("handed_over_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("confirmed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("transport", sa.Text(), nullable=True),
        sa.Column("sent_from", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("server_words", sa.LargeBinary(), nullable=True),
        sa.Column("dismissed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column(
            "created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("(state = 'failed') = (failure IS NOT NULL)", name="ck_outbound_messages_failed"),
        sa.CheckConstraint(
            "(state = 'sending') = (claimed_until IS NOT NULL)", name="ck_outbound_messages_claimed"
        ),
        sa.CheckConstraint(
            "failure IN ('sender_not_approved', 'attachment_refused', 'buyer_opted_out', 'sender_restricted', 'guideline_blocked', 'message_limit', 'conversation_closed', 'address_unknown', 'too_large', 'temporary', 'smtp_refused', 'not_answerable', 'attachment_infected', 'unknown')",
            name="ck_outbound_messages_failure",
        ),
        sa.CheckConstraint(
            "state IN ('scheduled', 'queued', 'sending', 'handed_over', 'confirmed', 'delayed', 'perhaps_sent', 'failed', 'canceled')",
            name="ck_outbound_messages_state",
        ),
        sa.CheckConstraint("transport IN ('platform', 'own')", name="ck_outbound_messages_transport"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_outbound_messages_account_id"),
        sa.ForeignKeyConstraint(
            ["conversation_id", "account_id"],
            ["conversations.id", "conversations.account_id"],
            name="fk_outbound_messages_conversation_id_account_id",
        ),
        sa.ForeignKeyConstraint(
            ["integration_id", "account_id"],
            ["integrations.id", "integrations.account_id"],
            name="fk_outbound_messages_integration_id_account_id",
        ),
        sa.ForeignKeyConstraint(
            ["written_by", "account_id"],
            ["users.id", "users.account_id"],
            name="fk_outbound_messages_written_by_account_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_outbound_messages"),
    )
    op.create_index("ix_outbound_messages_account", "outbound_messages", ["account_id", "id"])
    op.create_index("ix_outbound_messages_conversation", "outbound_messages", ["conversation_id", "id"])
    op.create_index(
        "ix_outbound_messages_due",
        "outbound_messages",
        ["due_at", "id"],
        postgresql_where=sa.text("state IN ('scheduled', 'queued', 'delayed')"),
    )
    op.create_index(
        "ix_outbound_messages_failed",
        "outbound_messages",
        ["account_id", "id"],
        postgresql_where=sa.text("state IN ('failed', 'perhaps_sent') AND dismissed_at IS NULL"),
    )
    op.create_index(
        "ix_outbound_messages_sending",
        "outbound_messages",
        ["claimed_until"],
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_index(
        "ix_outbound_messages_unconfirmed",
        "outbound_messages",
        ["integration_id", "handed_over_at"],
        postgresql_where=sa.text("state = 'handed_over'"),
    )
    op.create_index(
        "uq_outbound_messages_id_account_id", "outbound_messages", ["id", "account_id"], unique=True
    )
    op.create_table(
        "reply_files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("uploaded_by", sa.Uuid(), nullable=True),
        sa.Column("outbound_message_id", sa.Uuid(), nullable=True),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("filename", sa.LargeBinary(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("blob_key", sa.Text(), nullable=True),
        sa.Column("blob_digest", sa.LargeBinary(), nullable=True),
        sa.Column("scan", sa.Text(), nullable=True),
        sa.Column(
            "created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("scan IN ('clean', 'infected', 'failed')", name="ck_reply_files_scan"),
        sa.CheckConstraint(
            "num_nonnulls(content, blob_key) = 1 AND num_nonnulls(blob_key, blob_digest) <> 1",
            name="ck_reply_files_content_or_blob",
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_reply_files_account_id"),
        sa.ForeignKeyConstraint(
            ["conversation_id", "account_id"],
            ["conversations.id", "conversations.account_id"],
            name="fk_reply_files_conversation_id_account_id",
        ),
        sa.ForeignKeyConstraint(
            ["outbound_message_id", "account_id"],
            ["outbound_messages.id", "outbound_messages.account_id"],
            name="fk_reply_files_outbound_message_id_account_id",
        ),
        sa.ForeignKeyConstraint(
            ["uploaded_by", "account_id"],
            ["users.id", "users.account_id"],
            name="fk_reply_files_uploaded_by_account_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_reply_files"),
    )
    op.create_index(
        "ix_reply_files_blob", "reply_files", ["blob_key"], postgresql_where=sa.text("blob_key IS NOT NULL")
    )
    op.create_index("ix_reply_files_conversation", "reply_files", ["conversation_id", "uploaded_by"])
    op.create_index(
        "ix_reply_files_of_drafts",
        "reply_files",
        ["created_at"],
        postgresql_where=sa.text("outbound_message_id IS NULL"),
    )
    op.create_index(
        "ix_reply_files_outbound_message",
        "reply_files",
        ["outbound_message_id"],
        postgresql_where=sa.text("outbound_message_id IS NOT NULL"),
    )
    op.create_table(
        "reply_drafts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("body_text", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "typed_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_reply_drafts_account_id"),
        sa.ForeignKeyConstraint(
            ["conversation_id", "account_id"],
            ["conversations.id", "conversations.account_id"],
            name="fk_reply_drafts_conversation_id_account_id",
        ),
        sa.ForeignKeyConstraint(
            ["user_id", "account_id"],
            ["users.id", "users.account_id"],
            name="fk_reply_drafts_user_id_account_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_reply_drafts"),
        sa.UniqueConstraint("conversation_id", "user_id", name="uq_reply_drafts_conversation_id_user_id"),
    )
    op.create_index("ix_reply_drafts_updated_at", "reply_drafts", ["updated_at"])
    op.create_index("ix_reply_drafts_user", "reply_drafts", ["user_id"])
    op.create_table(
        "reply_templates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("body_text", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("changed_by", sa.Uuid(), nullable=True),
        sa.Column(
            "created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 100", name="ck_reply_templates_name"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_reply_templates_account_id"),
        sa.ForeignKeyConstraint(
            ["changed_by", "account_id"],
            ["users.id", "users.account_id"],
            name="fk_reply_templates_changed_by_account_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_reply_templates"),
        sa.UniqueConstraint(
            "account_id", "language", "name_key", name="uq_reply_templates_account_id_language_name_key"
        ),
    )
    op.create_table(
        "notes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("written_by", sa.Uuid(), nullable=True),
        sa.Column("body_text", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_notes_account_id"),
        sa.ForeignKeyConstraint(
            ["conversation_id", "account_id"],
            ["conversations.id", "conversations.account_id"],
            name="fk_notes_conversation_id_account_id",
        ),
        sa.ForeignKeyConstraint(
            ["written_by", "account_id"],
            ["users.id", "users.account_id"],
            name="fk_notes_written_by_account_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_notes"),
    )
    op.create_index("ix_notes_conversation", "notes", ["conversation_id", "id"])
