"""That the database was restored, for as long as what happened since its point is uncertain."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261129_0410"
down_revision = "20261129_0390"


def upgrade() -> None:
    op.create_table(
        "restorations",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column(
            "restored_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("ends_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
    )
