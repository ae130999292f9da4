"""Orders, how far they are known, their reports and snapshots; the pause of all calls to Amazon; how long accounts keep what is personal."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_1940"
down_revision = "20261128_1815"

_TABLES = ("orders", "order_items", "order_packages")
_PARTITIONS = 16


def upgrade() -> None:
    op.add_column(
        "accounts", sa.Column("messages_kept_days", sa.Integer(), server_default="548", nullable=False)
    )
    op.add_column("accounts", sa.Column("longer_kept_days", sa.Integer(), nullable=True))
    op.add_column("accounts", sa.Column("longer_kept_reason", sa.Text(), nullable=True))
    op.add_column(
        "conversation_orders",
        sa.Column("is_proven", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("integration_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("marketplace_id", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("sales_channel", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("fulfilled_by", sa.Text(), nullable=True),
        sa.Column("service_level", sa.Text(), nullable=True),
        sa.Column("programs", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("is_business", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_prime", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_gift", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_pickup", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_replacement", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_exchange", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("replaces_order_id", sa.Text(), nullable=True),
        sa.Column("is_cancellation_requested", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("purchased_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("last_updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("ship_after", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("ship_by", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("deliver_after", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("deliver_by", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("shipped_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("delivered_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("paid_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("total", sa.Numeric(precision=18, scale=4), nullable=True),
        sa.Column("items_amount", sa.Numeric(precision=18, scale=4), nullable=True),
        sa.Column("shipping_amount", sa.Numeric(precision=18, scale=4), nullable=True),
        sa.Column("tax_amount", sa.Numeric(precision=18, scale=4), nullable=True),
        sa.Column("discount_amount", sa.Numeric(precision=18, scale=4), nullable=True),
        sa.Column("other_amount", sa.Numeric(precision=18, scale=4), nullable=True),
        sa.Column("paid_amount", sa.Numeric(precision=18, scale=4), nullable=True),
        sa.Column("payment_methods", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("item_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("quantity", sa.Integer(), server_default="0", nullable=False),
        sa.Column("buyer", sa.LargeBinary(), nullable=True),
        sa.Column("buyer_key", sa.LargeBinary(), nullable=True),
        sa.Column("recipient", sa.LargeBinary(), nullable=True),
        sa.Column("personal_ends_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("problems", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("fetched_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("reported_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("gone_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column(
            "created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column(
            "changed_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_orders_account_id"),
        sa.ForeignKeyConstraint(
            ["integration_id", "account_id"],
            ["integrations.id", "integrations.account_id"],
            name="fk_orders_integration_id_account_id",
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name="pk_orders"),
        postgresql_partition_by="HASH (account_id)",
    )
    op.create_index(
        "ix_orders_buyer",
        "orders",
        ["account_id", "buyer_key"],
        unique=False,
        postgresql_where=sa.text("buyer_key IS NOT NULL"),
    )
    op.create_index("ix_orders_changed", "orders", ["account_id", "changed_at", "id"], unique=False)
    op.create_index(
        "ix_orders_newest",
        "orders",
        ["account_id", sa.literal_column("last_updated_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_orders_newest_of_integration",
        "orders",
        [
            "account_id",
            "integration_id",
            sa.literal_column("last_updated_at DESC"),
            sa.literal_column("id DESC"),
        ],
        unique=False,
    )
    op.create_index("ix_orders_number", "orders", ["account_id", "order_id"], unique=False)
    op.create_index(
        "ix_orders_personal_ends",
        "orders",
        ["account_id", "personal_ends_at"],
        unique=False,
        postgresql_where=sa.text("personal_ends_at IS NOT NULL"),
    )
    op.create_index("ix_orders_purchased", "orders", ["account_id", "purchased_at"], unique=False)
    op.create_index(
        "ix_orders_ship_by",
        "orders",
        ["account_id", "ship_by", "id"],
        unique=False,
        postgresql_where=sa.text("status IN ('UNSHIPPED', 'PARTIALLY_SHIPPED')"),
    )
    op.create_table(
        "order_items",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("order_row_id", sa.Uuid(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("asin", sa.Text(), nullable=True),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("condition", sa.Text(), nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=True),
        sa.Column("quantity_shipped", sa.Integer(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("unit_price", sa.Numeric(precision=18, scale=4), nullable=True),
        sa.Column("item_amount", sa.Numeric(precision=18, scale=4), nullable=True),
        sa.Column("shipping_amount", sa.Numeric(precision=18, scale=4), nullable=True),
        sa.Column("tax_amount", sa.Numeric(precision=18, scale=4), nullable=True),
        sa.Column("discount_amount", sa.Numeric(precision=18, scale=4), nullable=True),
        sa.Column("other_amount", sa.Numeric(precision=18, scale=4), nullable=True),
        sa.Column("total", sa.Numeric(precision=18, scale=4), nullable=True),
        sa.Column("gift_wrap", sa.Text(), nullable=True),
        sa.Column("gift", sa.LargeBinary(), nullable=True),
        sa.Column("customization", sa.LargeBinary(), nullable=True),
        sa.Column("is_cancellation_requested", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("problems", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("report_columns", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("report_personal", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_order_items_account_id"),
        sa.ForeignKeyConstraint(
            ["order_row_id", "account_id"],
            ["orders.id", "orders.account_id"],
            name="fk_order_items_order_row_id_account_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name="pk_order_items"),
        postgresql_partition_by="HASH (account_id)",
    )
    op.create_index(
        "ix_order_items_of_order", "order_items", ["account_id", "order_row_id", "position"], unique=False
    )
    op.create_table(
        "order_packages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("order_row_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("detailed_status", sa.Text(), nullable=True),
        sa.Column("carrier", sa.Text(), nullable=True),
        sa.Column("shipping_service", sa.Text(), nullable=True),
        sa.Column("tracking_number", sa.Text(), nullable=True),
        sa.Column("shipped_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("delivered_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column(
            "contents",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_order_packages_account_id"),
        sa.ForeignKeyConstraint(
            ["order_row_id", "account_id"],
            ["orders.id", "orders.account_id"],
            name="fk_order_packages_order_row_id_account_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", "account_id", name="pk_order_packages"),
        postgresql_partition_by="HASH (account_id)",
    )
    op.create_index(
        "ix_order_packages_of_order",
        "order_packages",
        ["account_id", "order_row_id", "position"],
        unique=False,
    )
    op.create_table(
        "order_syncs",
        sa.Column("integration_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("cursor_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("run_after", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("run_before", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("run_token", sa.Text(), nullable=True),
        sa.Column("run_token_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("completed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column(
            "next_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("claimed_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("failing_since", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("late_since", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("history_from", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("history_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("history_before", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("history_token", sa.Text(), nullable=True),
        sa.Column("history_token_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("history_done_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("order_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("report_columns_missing", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("report_columns_checked_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("restricted_role_missing_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("(run_token IS NULL) = (run_token_at IS NULL)", name="ck_order_syncs_run_token"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_order_syncs_account_id"),
        sa.ForeignKeyConstraint(
            ["integration_id", "account_id"],
            ["integrations.id", "integrations.account_id"],
            name="fk_order_syncs_integration_id_account_id",
        ),
        sa.PrimaryKeyConstraint("integration_id", name="pk_order_syncs"),
    )
    op.create_index("ix_order_syncs_due", "order_syncs", ["next_at"], unique=False)
    op.create_table(
        "order_reports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("integration_id", sa.Uuid(), nullable=False),
        sa.Column("report_type", sa.Text(), nullable=False),
        sa.Column("marketplace_ids", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("data_from", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("data_to", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("report_id", sa.Text(), nullable=True),
        sa.Column("document_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), server_default="asked", nullable=False),
        sa.Column("rows_stored", sa.Integer(), server_default="0", nullable=False),
        sa.Column("columns", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "next_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column(
            "created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("done_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('asked', 'ready', 'stored', 'no_data', 'failed')", name="ck_order_reports_state"
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_order_reports_account_id"),
        sa.ForeignKeyConstraint(
            ["integration_id", "account_id"],
            ["integrations.id", "integrations.account_id"],
            name="fk_order_reports_integration_id_account_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_order_reports"),
        sa.UniqueConstraint("integration_id", "report_id", name="uq_order_reports_integration_id_report_id"),
    )
    op.create_index(
        "ix_order_reports_due",
        "order_reports",
        ["next_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('asked', 'ready')"),
    )
    op.create_index(
        "ix_order_reports_of_integration", "order_reports", ["integration_id", "id"], unique=False
    )
    op.create_table(
        "order_snapshots",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("fields", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "taken_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_order_snapshots_account_id"),
        sa.ForeignKeyConstraint(
            ["message_id", "account_id"],
            ["messages.id", "messages.account_id"],
            name="fk_order_snapshots_message_id_account_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message_id", "order_id", name="pk_order_snapshots"),
    )
    op.create_table(
        "amazon_pauses",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column(
            "paused_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("paused_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("client_id", name="pk_amazon_pauses"),
    )
    for table in _TABLES:
        for number in range(_PARTITIONS):
            op.execute(
                f"CREATE TABLE {table}_h{number:02} PARTITION OF {table}"
                f" FOR VALUES WITH (MODULUS {_PARTITIONS}, REMAINDER {number})"
            )
