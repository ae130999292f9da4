"""Invitations, and how the pages address somebody."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261129_0010"
down_revision = "20261128_2351"

_TIME = postgresql.TIMESTAMP(timezone=True)
_LEVELS = ("general_admin", "general_programs", "inbox_messages", "inbox_orders")


def upgrade() -> None:
    op.add_column("users", sa.Column("form_of_address", sa.Text()))
    op.create_table(
        "invitations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("language", sa.Text(), nullable=False),
        *(sa.Column(level, sa.Text(), nullable=False) for level in _LEVELS),
        sa.Column("invited_by", sa.Uuid()),
        sa.Column("token_hash", sa.LargeBinary()),
        sa.Column("created_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_invitations_account_id"),
        sa.ForeignKeyConstraint(
            ["invited_by", "account_id"],
            ["users.id", "users.account_id"],
            name="fk_invitations_invited_by_account_id",
        ),
        sa.UniqueConstraint("account_id", "email", name="uq_invitations_account_id_email"),
        sa.UniqueConstraint("token_hash", name="uq_invitations_token_hash"),
        *(
            sa.CheckConstraint(f"{level} IN ('none', 'view', 'edit')", name=f"ck_invitations_{level}")
            for level in _LEVELS
        ),
    )
    op.create_index("ix_invitations_invited_by", "invitations", ["invited_by"])
    op.create_index("ix_invitations_expires_at", "invitations", ["expires_at"])
