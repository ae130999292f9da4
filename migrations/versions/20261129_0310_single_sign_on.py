"""Single sign-on: an account's provider, its mail domains, attempts under way, and who somebody is there."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261129_0310"
down_revision = "20261129_0061"

_TIME = postgresql.TIMESTAMP(timezone=True)
_NOW = sa.text("now()")
_FALSE = sa.text("false")
_LEVELS = ("general_admin", "general_programs", "inbox_messages", "inbox_orders")


def upgrade() -> None:
    op.add_column("users", sa.Column("oidc_issuer", sa.Text()))
    op.add_column("users", sa.Column("oidc_subject", sa.Text()))
    op.create_table(
        "oidc_providers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("client_secret", sa.LargeBinary(), nullable=False),
        sa.Column("level_claim", sa.Text()),
        sa.Column("level_rules", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("creates_users", sa.Boolean(), server_default=_FALSE, nullable=False),
        *(sa.Column(level, sa.Text(), server_default="none", nullable=False) for level in _LEVELS),
        sa.Column("is_only", sa.Boolean(), server_default=_FALSE, nullable=False),
        sa.Column("needs_proof_of_factors", sa.Boolean(), server_default=_FALSE, nullable=False),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("changed_at", _TIME, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_oidc_providers"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_oidc_providers_account_id"),
        sa.UniqueConstraint("account_id", name="uq_oidc_providers_account_id"),
        *(
            sa.CheckConstraint(f"{level} IN ('none', 'view', 'edit')", name=f"ck_oidc_providers_{level}")
            for level in _LEVELS
        ),
    )
    op.create_table(
        "oidc_domains",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("proven_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_oidc_domains"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_oidc_domains_account_id"),
        sa.UniqueConstraint("account_id", "domain", name="uq_oidc_domains_account_id_domain"),
    )
    op.create_index(
        "uq_oidc_domains_proven",
        "oidc_domains",
        ["domain"],
        unique=True,
        postgresql_where=sa.text("proven_at IS NOT NULL"),
    )
    op.create_table(
        "oidc_attempts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("state_hash", sa.LargeBinary(), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False),
        sa.Column("nonce_hash", sa.LargeBinary(), nullable=False),
        sa.Column("verifier", sa.LargeBinary(), nullable=False),
        sa.Column("return_to", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Uuid()),
        sa.Column("session_id", sa.Uuid()),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_oidc_attempts"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_oidc_attempts_account_id"),
        sa.ForeignKeyConstraint(
            ["user_id", "account_id"],
            ["users.id", "users.account_id"],
            name="fk_oidc_attempts_user_id_account_id",
        ),
        sa.UniqueConstraint("state_hash", name="uq_oidc_attempts_state_hash"),
        sa.CheckConstraint("purpose IN ('sign_in', 'confirmation')", name="ck_oidc_attempts_purpose"),
        sa.CheckConstraint(
            "(purpose = 'confirmation') = (session_id IS NOT NULL)", name="ck_oidc_attempts_session_id"
        ),
    )
    op.create_index("ix_oidc_attempts_account_id", "oidc_attempts", ["account_id"])
    op.create_index("ix_oidc_attempts_user_id", "oidc_attempts", ["user_id"])
    op.create_index("ix_oidc_attempts_expires_at", "oidc_attempts", ["expires_at"])
