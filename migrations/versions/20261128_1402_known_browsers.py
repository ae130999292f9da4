"""Browsers that have signed in before, whose users no stranger's failures keep out."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_1402"
down_revision = "20261128_1401"


def upgrade() -> None:
    op.create_table(
        "known_browsers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_known_browsers_account_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_known_browsers_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_known_browsers"),
        sa.UniqueConstraint("token_hash", "user_id", name="uq_known_browsers_token_hash_user_id"),
    )
    op.create_index("ix_known_browsers_user_id", "known_browsers", ["user_id"])
    op.create_index("ix_known_browsers_expires_at", "known_browsers", ["expires_at"])
