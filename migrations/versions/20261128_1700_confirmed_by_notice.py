"""When Amazon last confirmed a reply of a store by a notice."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_1700"
down_revision = "20261128_1620"


def upgrade() -> None:
    op.add_column(
        "integrations",
        sa.Column("confirmation_notice_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
    )
