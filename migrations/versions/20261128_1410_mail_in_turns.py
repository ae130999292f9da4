"""Accepted mail has a lane, and the networks from which Amazon's mail comes are known."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_1410"
down_revision = "20261128_1402"


def upgrade() -> None:
    op.add_column("accepted_mail", sa.Column("lane", sa.Text(), server_default="quick", nullable=False))
    op.add_column(
        "accepted_mail",
        sa.Column("is_put_off", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_table(
        "proven_networks",
        sa.Column("network", postgresql.CIDR(), nullable=False),
        sa.Column(
            "proven_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("network", name=op.f("pk_proven_networks")),
    )
