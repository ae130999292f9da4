"""Assignees, tags, snoozed conversations, saved views, muted kinds of notices, and changes that can be undone."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261129_0060"
down_revision = "20261129_0051"

_KINDS = "kind IN ('order_notice', 'claim_notice', 'return_notice', 'auto_reply')"


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    server_default = None if nullable else sa.text("now()")
    return sa.Column(
        name, postgresql.TIMESTAMP(timezone=True), server_default=server_default, nullable=nullable
    )


def _of_account(table: str) -> list[sa.Constraint]:
    return [
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=f"fk_{table}_account_id"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    ]


def upgrade() -> None:
    op.add_column("conversations", sa.Column("assignee_id", sa.Uuid(), nullable=True))
    op.add_column("conversations", _time("snoozed_until", nullable=True))
    op.add_column(
        "conversations",
        sa.Column("tag_ids", postgresql.ARRAY(sa.Uuid()), server_default="{}", nullable=False),
    )
    op.add_column(
        "conversations", sa.Column("has_files", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_table(
        "tags",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        _time("created_at"),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 60", name="ck_tags_name"),
        *_of_account("tags"),
        sa.UniqueConstraint("account_id", "name_key", name="uq_tags_account_id_name_key"),
    )
    op.create_table(
        "saved_views",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("filters", postgresql.JSONB(), nullable=False),
        _time("created_at"),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 60", name="ck_saved_views_name"),
        sa.ForeignKeyConstraint(
            ["user_id", "account_id"],
            ["users.id", "users.account_id"],
            name="fk_saved_views_user_id_account_id",
        ),
        *_of_account("saved_views"),
    )
    op.create_index("ix_saved_views_user_id", "saved_views", ["user_id", "id"])
    op.create_table(
        "muted_kinds",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        _time("created_at"),
        sa.CheckConstraint(_KINDS, name="ck_muted_kinds_kind"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_muted_kinds_account_id"),
        sa.PrimaryKeyConstraint("account_id", "kind", name="pk_muted_kinds"),
    )
    op.create_table(
        "conversations_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        _time("made_at"),
        _time("undone_at", nullable=True),
        sa.Column("parts", postgresql.JSONB(), nullable=False),
        *_of_account("conversations_changes"),
    )
    op.create_index("ix_conversations_changes_made_at", "conversations_changes", ["made_at"])
