"""What a connection needs to stay alive: health of grants, rest instead of loss, webhooks, notices, throttling, idempotency."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261124_0100"
down_revision = "20261124_0032"


def upgrade() -> None:
    _new_tables()
    _new_columns()


def _new_tables() -> None:
    op.create_table(
        "application_secrets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("wrapping_key_id", sa.Text(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("expires_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_secrets")),
    )
    op.create_table(
        "login_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False),
        sa.Column("amazon_callback_uri", sa.Text(), nullable=False),
        sa.Column("amazon_state", sa.Text(), nullable=False),
        sa.Column("seller_id", sa.Text(), nullable=False),
        sa.Column("is_draft", sa.Boolean(), nullable=False),
        sa.Column(
            "created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("expires_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_requests")),
    )
    op.create_index(op.f("ix_login_requests_browser_hash"), "login_requests", ["browser_hash"], unique=False)
    op.create_index(op.f("ix_login_requests_expires_at"), "login_requests", ["expires_at"], unique=False)
    op.create_table(
        "service_troubles",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column(
            "since", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_service_troubles")),
    )
    op.create_table(
        "throttle_buckets",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("tokens", postgresql.DOUBLE_PRECISION(), nullable=False),
        sa.Column("rate", postgresql.DOUBLE_PRECISION(), nullable=False),
        sa.Column("burst", postgresql.DOUBLE_PRECISION(), nullable=False),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_throttle_buckets")),
    )
    op.create_index(op.f("ix_throttle_buckets_updated_at"), "throttle_buckets", ["updated_at"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ids", postgresql.JSONB(), nullable=False),
        sa.Column("fanned_out_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_events_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_account", "events", ["account_id", "id"], unique=False)
    op.create_index(
        "ix_events_due", "events", ["id"], unique=False, postgresql_where=sa.text("fanned_out_at IS NULL")
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("caller_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Uuid(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column(
            "created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("locked_until", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("expires_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_idempotency_keys_account_id")),
        sa.PrimaryKeyConstraint("account_id", "caller_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_expires_at"), "idempotency_keys", ["expires_at"], unique=False)
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("kinds", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("previous_secret", sa.LargeBinary(), nullable=True),
        sa.Column("previous_secret_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column(
            "created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("failing_since", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("disabled_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(previous_secret IS NULL) = (previous_secret_until IS NULL)",
            name=op.f("ck_webhooks_previous_secret"),
        ),
        sa.CheckConstraint("cardinality(kinds) > 0", name=op.f("ck_webhooks_kinds")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_webhooks_account_id")),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_webhooks_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index(op.f("ix_webhooks_account_id"), "webhooks", ["account_id"], unique=False)
    op.create_table(
        "notices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("integration_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("dedupe_key", sa.Text(), nullable=False),
        sa.Column("fields", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "next_attempt_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("sent_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column(
            "created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint(
            "kind IN ('lock_red', 'consent_30', 'consent_7', 'consent_1')", name=op.f("ck_notices_kind")
        ),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'dead')", name=op.f("ck_notices_state")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_notices_account_id")),
        sa.ForeignKeyConstraint(
            ["integration_id"], ["integrations.id"], name=op.f("fk_notices_integration_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_notices_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_notices_dedupe_key")),
    )
    op.create_index(
        "ix_notices_due",
        "notices",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "smtp_configurations",
        sa.Column("integration_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("tls_mode", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("password", sa.LargeBinary(), nullable=False),
        sa.Column("sender_address", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("checked_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("check_result", sa.Text(), nullable=True),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint(
            "check_result IN ('ok', 'dns', 'forbidden', 'connect', 'tls', 'auth', 'rejected', 'timeout')",
            name=op.f("ck_smtp_configurations_check_result"),
        ),
        sa.CheckConstraint("tls_mode IN ('starttls', 'tls')", name=op.f("ck_smtp_configurations_tls_mode")),
        sa.CheckConstraint(
            "(checked_at IS NULL) = (check_result IS NULL)", name=op.f("ck_smtp_configurations_checked")
        ),
        sa.CheckConstraint("port BETWEEN 1 AND 65535", name=op.f("ck_smtp_configurations_port")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_smtp_configurations_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["integration_id"], ["integrations.id"], name=op.f("fk_smtp_configurations_integration_id")
        ),
        sa.PrimaryKeyConstraint("integration_id", name=op.f("pk_smtp_configurations")),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ids", postgresql.JSONB(), nullable=False),
        sa.Column("event_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "next_attempt_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("last_attempt_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("delivered_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'delivered', 'dead')", name=op.f("ck_webhook_deliveries_state")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_webhook_deliveries_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_webhook_deliveries_webhook_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint("webhook_id", "event_id", name=op.f("uq_webhook_deliveries_webhook_id_event_id")),
    )
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["webhook_id", "next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("ix_webhook_deliveries_webhook", "webhook_deliveries", ["webhook_id", "id"], unique=False)


def _new_columns() -> None:
    op.add_column(
        "authorization_attempts", sa.Column("started_by", sa.Text(), server_default="website", nullable=False)
    )
    op.add_column("authorization_attempts", sa.Column("reconnects", sa.Uuid(), nullable=True))
    op.add_column("authorization_attempts", sa.Column("seller_id_expected", sa.Text(), nullable=True))
    op.create_foreign_key(
        op.f("fk_authorization_attempts_reconnects"),
        "authorization_attempts",
        "integrations",
        ["reconnects"],
        ["id"],
    )
    op.add_column("grants", sa.Column("used_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("grants", sa.Column("next_refresh_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("grants", sa.Column("refused_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("grants", sa.Column("refused_by", sa.Text(), nullable=True))
    op.add_column(
        "grants", sa.Column("access_token_seconds", sa.Integer(), server_default="3600", nullable=False)
    )
    op.add_column("grants", sa.Column("revoked_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("grants", sa.Column("delayed_since", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column(
        "grants", sa.Column("role_missing_since", postgresql.TIMESTAMP(timezone=True), nullable=True)
    )
    op.add_column("grants", sa.Column("role_missing_operation", sa.Text(), nullable=True))
    op.create_index("ix_grants_due", "grants", ["next_refresh_at"], unique=False)
    op.add_column("integrations", sa.Column("owner_id", sa.Uuid(), nullable=True))
    op.add_column("integrations", sa.Column("version", sa.Integer(), server_default="1", nullable=False))
    op.add_column("integrations", sa.Column("paused_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column(
        "integrations", sa.Column("rests_until", postgresql.TIMESTAMP(timezone=True), nullable=True)
    )
    op.add_column("integrations", sa.Column("data_after_rest", sa.Text(), nullable=True))
    op.add_column("integrations", sa.Column("removed_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("integrations", sa.Column("erased_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column(
        "integrations",
        sa.Column("idle_participation_since", postgresql.TIMESTAMP(timezone=True), nullable=True),
    )
    op.add_column(
        "integrations",
        sa.Column("idle_participation_checks", sa.Integer(), server_default="0", nullable=False),
    )
    op.add_column(
        "integrations", sa.Column("alerted_lock_since", postgresql.TIMESTAMP(timezone=True), nullable=True)
    )
    op.add_column("integrations", sa.Column("consent_warned", sa.Integer(), nullable=True))
    op.create_index(
        "ix_integrations_rest_over",
        "integrations",
        ["rests_until"],
        unique=False,
        postgresql_where=sa.text("disconnected_at IS NOT NULL AND removed_at IS NULL"),
    )
    op.create_foreign_key(op.f("fk_integrations_owner_id"), "integrations", "users", ["owner_id"], ["id"])
