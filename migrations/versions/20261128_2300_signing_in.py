"""Second factors, passkeys, recovery codes, resets of passwords, and what is known of a session."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_2300"
down_revision = "20261128_2051"


def _time(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column[object]:
    server_default = sa.text(default) if default else None
    return sa.Column(
        name, postgresql.TIMESTAMP(timezone=True), server_default=server_default, nullable=nullable
    )


def _of_a_user(*, nullable: bool = False) -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=nullable),
        sa.Column("user_id", sa.Uuid(), nullable=nullable),
    ]


def _references(table: str) -> list[sa.Constraint]:
    return [
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=f"fk_{table}_account_id"),
        sa.ForeignKeyConstraint(
            ["user_id", "account_id"],
            ["users.id", "users.account_id"],
            name=f"fk_{table}_user_id_account_id",
        ),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    ]


def upgrade() -> None:
    op.add_column("accounts", sa.Column("second_factor", sa.Text(), server_default="admins", nullable=False))
    op.add_column(
        "accounts", sa.Column("admin_session_hours", sa.Integer(), server_default="12", nullable=False)
    )
    op.add_column(
        "accounts", sa.Column("admin_idle_minutes", sa.Integer(), server_default="30", nullable=False)
    )
    op.add_column("users", sa.Column("totp_secret", sa.LargeBinary(), nullable=True))
    op.add_column("users", sa.Column("totp_last_step", sa.BigInteger(), nullable=True))
    op.add_column("users", _time("totp_confirmed_at", nullable=True))
    op.add_column("sessions", sa.Column("method", sa.Text(), server_default="password", nullable=False))
    op.add_column("sessions", _time("authenticated_at", default="'epoch'"))
    op.add_column("sessions", sa.Column("browser", sa.Text(), nullable=True))
    op.add_column("sessions", sa.Column("network", sa.Text(), nullable=True))
    op.create_table(
        "passkeys",
        *_of_a_user(),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        _time("created_at", default="now()"),
        _time("last_used_at", nullable=True),
        sa.CheckConstraint("sign_count >= 0", name="ck_passkeys_sign_count"),
        *_references("passkeys"),
        sa.UniqueConstraint("credential_id", name="uq_passkeys_credential_id"),
    )
    op.create_index("ix_passkeys_user_id", "passkeys", ["user_id"])
    op.create_table(
        "recovery_codes",
        *_of_a_user(),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        _time("created_at", default="now()"),
        *_references("recovery_codes"),
        sa.UniqueConstraint("user_id", "code_hash", name="uq_recovery_codes_user_id_code_hash"),
    )
    op.create_table(
        "sign_in_challenges",
        *_of_a_user(nullable=True),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("challenge", sa.LargeBinary(), nullable=True),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        _time("created_at", default="now()"),
        _time("expires_at"),
        sa.CheckConstraint(
            "purpose IN ('second_step', 'passkey_sign_in', 'confirmation', 'new_passkey', 'new_totp')",
            name="ck_sign_in_challenges_purpose",
        ),
        sa.CheckConstraint(
            "(token_hash IS NULL) <> (session_id IS NULL)", name="ck_sign_in_challenges_browser"
        ),
        *_references("sign_in_challenges"),
        sa.UniqueConstraint("token_hash", name="uq_sign_in_challenges_token_hash"),
        sa.UniqueConstraint("session_id", "purpose", name="uq_sign_in_challenges_session_id_purpose"),
    )
    op.create_index("ix_sign_in_challenges_user_id", "sign_in_challenges", ["user_id"])
    op.create_index("ix_sign_in_challenges_expires_at", "sign_in_challenges", ["expires_at"])
    op.create_table(
        "password_resets",
        *_of_a_user(),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        _time("created_at", default="now()"),
        _time("expires_at"),
        *_references("password_resets"),
        sa.UniqueConstraint("token_hash", name="uq_password_resets_token_hash"),
    )
    op.create_index("ix_password_resets_user_id", "password_resets", ["user_id"])
    op.create_index("ix_password_resets_expires_at", "password_resets", ["expires_at"])
