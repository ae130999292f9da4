"""Mail that Amazon has addressed to somebody else: whom it names, which mailboxes are forwarded, which signatures were seen before."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_1400"
down_revision = "20261128_1131"

_TIME = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.add_column("messages", sa.Column("sent_to", sa.LargeBinary(), nullable=True))
    op.add_column(
        "messages",
        sa.Column("sent_to_keys", postgresql.ARRAY(sa.LargeBinary()), server_default="{}", nullable=False),
    )
    op.add_column("integrations", sa.Column("misdirected_mail_at", _TIME, nullable=True))
    op.add_column("integrations", sa.Column("forwarded_mail_at", _TIME, nullable=True))
    op.create_table(
        "forwarded_mailboxes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("integration_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("address_key", sa.LargeBinary(), nullable=False),
        sa.Column("confirmed_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("confirmed_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_forwarded_mailboxes_account_id_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["integration_id"],
            ["integrations.id"],
            name=op.f("fk_forwarded_mailboxes_integration_id_integrations"),
        ),
        sa.ForeignKeyConstraint(
            ["confirmed_by"], ["users.id"], name=op.f("fk_forwarded_mailboxes_confirmed_by_users")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forwarded_mailboxes")),
        sa.UniqueConstraint(
            "integration_id", "address_key", name=op.f("uq_forwarded_mailboxes_integration_id_address_key")
        ),
    )
    op.create_table(
        "seen_signatures",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("seen_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_seen_signatures_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_seen_signatures")),
    )
    op.create_index("ix_seen_signatures_seen_at", "seen_signatures", ["seen_at"])
