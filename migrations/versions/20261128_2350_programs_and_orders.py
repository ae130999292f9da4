"""Webhooks, API keys and orders have permissions of their own; users may be removed, and need no password.

Until what is there already is filled in, a process of the version before goes by the old permissions, and writes none of the new ones.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_2350"
down_revision = "20261128_2341"


def upgrade() -> None:
    for table in ("users", "api_keys"):
        for column in ("general_programs", "inbox_orders"):
            op.add_column(table, sa.Column(column, sa.Text(), server_default="none", nullable=False))
    op.add_column("users", sa.Column("removed_at", postgresql.TIMESTAMP(timezone=True)))
    op.alter_column("users", "password_hash", nullable=True)
