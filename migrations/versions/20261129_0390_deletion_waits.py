"""Workers write down that PostgreSQL's clock goes evenly: what cannot be made undone waits until it has done so for a day."""

import sqlalchemy as sa
from alembic import op

revision = "20261129_0390"
down_revision = "20261129_0380"


def upgrade() -> None:
    op.create_table(
        "deletion_watch",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "steady_since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stopped_by", sa.Text(), nullable=True),
        sa.Column("stop_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("id = 1", name="ck_deletion_watch_one"),
        sa.PrimaryKeyConstraint("id", name="pk_deletion_watch"),
    )
