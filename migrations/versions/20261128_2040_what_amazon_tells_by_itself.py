"""Amazon's notices: which store has them, which orders it has told of, and what it says of a seller's account."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_2040"
down_revision = "20261128_2035"


def upgrade() -> None:
    op.create_table(
        "order_hints",
        sa.Column("order_row_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("integration_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("told_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "noticed_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_order_hints_account_id"),
        sa.ForeignKeyConstraint(
            ["integration_id", "account_id"],
            ["integrations.id", "integrations.account_id"],
            name="fk_order_hints_integration_id_account_id",
        ),
        sa.PrimaryKeyConstraint("order_row_id", name="pk_order_hints"),
    )
    op.create_index("ix_order_hints_of_integration", "order_hints", ["integration_id", "noticed_at"])
    op.create_table(
        "notice_subscriptions",
        sa.Column("integration_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=True),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.Column(
            "checked_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_notice_subscriptions_account_id"),
        sa.ForeignKeyConstraint(
            ["integration_id", "account_id"],
            ["integrations.id", "integrations.account_id"],
            name="fk_notice_subscriptions_integration_id_account_id",
        ),
        sa.PrimaryKeyConstraint("integration_id", "kind", name="pk_notice_subscriptions"),
    )
    op.create_index("ix_notice_subscriptions_id", "notice_subscriptions", ["subscription_id"])
    op.add_column("marketplace_participations", sa.Column("account_status", sa.Text(), nullable=True))
    op.add_column(
        "marketplace_participations",
        sa.Column("account_status_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
    )
