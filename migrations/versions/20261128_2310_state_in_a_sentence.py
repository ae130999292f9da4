"""A store's state in one sentence, stored beside its lock, and when Amazon had its address confirmed. Every lock is decided anew."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_2310"
down_revision = "20261128_2301"

_TIME = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.add_column("integrations", sa.Column("verification_mail_at", _TIME, nullable=True))
    op.add_column("integrations", sa.Column("summary", sa.Text(), server_default="unnamed", nullable=False))
    op.add_column(
        "integrations",
        sa.Column("summary_countries", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )
    op.add_column("integrations", sa.Column("worst_check", sa.Text(), nullable=True))
    # All that are there are due now: the worker decides them by the new rule.
    op.add_column(
        "integrations", sa.Column("health_due_at", _TIME, server_default=sa.func.now(), nullable=True)
    )
