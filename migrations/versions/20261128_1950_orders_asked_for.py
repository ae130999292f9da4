"""When Amazon was last asked for an order; and hashes by which the same order told again changes nothing."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_1950"
down_revision = "20261128_1941"


def upgrade() -> None:
    op.add_column("orders", sa.Column("api_digest", sa.LargeBinary(), nullable=True))
    op.add_column("orders", sa.Column("report_digest", sa.LargeBinary(), nullable=True))
    op.create_table(
        "order_lookups",
        sa.Column("order_row_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("integration_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("asked_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_order_lookups_account_id"),
        sa.ForeignKeyConstraint(
            ["integration_id", "account_id"],
            ["integrations.id", "integrations.account_id"],
            name="fk_order_lookups_integration_id_account_id",
        ),
        sa.PrimaryKeyConstraint("order_row_id", "account_id", name="pk_order_lookups"),
    )
    op.create_index("ix_order_lookups_asked", "order_lookups", ["asked_at"])
