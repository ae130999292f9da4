"""A conversation has any number of threads, and a message keeps all of its own."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261126_0300"
down_revision = "20261126_0250"


def upgrade() -> None:
    op.create_table(
        "conversation_threads",
        sa.Column("integration_id", sa.Uuid(), nullable=False),
        sa.Column("thread_key", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_conversation_threads_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["integration_id"], ["integrations.id"], name=op.f("fk_conversation_threads_integration_id")
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("fk_conversation_threads_conversation_id"),
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.PrimaryKeyConstraint("integration_id", "thread_key", name=op.f("pk_conversation_threads")),
    )
    op.create_index("ix_conversation_threads_conversation", "conversation_threads", ["conversation_id"])
    op.alter_column("conversations", "thread_key", nullable=True)
    op.add_column(
        "messages",
        sa.Column("thread_keys", postgresql.ARRAY(sa.LargeBinary()), server_default="{}", nullable=False),
    )
    # No release has ever written it.
    op.drop_column("messages", "thread_key")
