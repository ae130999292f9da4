"""Stores that nobody authorizes us for at Amazon, and how the store is called that belongs to another region."""

import sqlalchemy as sa
from alembic import op

revision = "20261128_2340"
down_revision = "20261128_2331"


def upgrade() -> None:
    op.add_column(
        "integrations", sa.Column("uses_api", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    op.alter_column("integrations", "seller_id", nullable=True)
    op.add_column("authorization_attempts", sa.Column("right_store", sa.Text(), nullable=True))
