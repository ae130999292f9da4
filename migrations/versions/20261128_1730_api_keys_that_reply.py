"""API keys say by themselves whether they may write to buyers. Those that are there may not."""

import sqlalchemy as sa
from alembic import op

revision = "20261128_1730"
down_revision = "20261128_1701"


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("inbox_replies", sa.Text(), server_default="none", nullable=False))
