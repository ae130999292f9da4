"""What of an order report could not be read, and how many of its lines are no row of an order."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_2010"
down_revision = "20261128_1956"


def upgrade() -> None:
    op.add_column(
        "order_reports",
        sa.Column("problems", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )
    op.add_column(
        "order_reports",
        sa.Column("lines_left_out", sa.Integer(), server_default="0", nullable=False),
    )
