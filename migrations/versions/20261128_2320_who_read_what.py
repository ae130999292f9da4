"""Who read what: a table that grows by the month."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_2320"
down_revision = "20261128_2311"


def upgrade() -> None:
    op.create_table(
        "read_log",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("reader_kind", sa.Text(), nullable=False),
        sa.Column("reader_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.Column("part_id", sa.Uuid(), nullable=True),
        sa.Column("found", sa.Integer(), nullable=True),
        sa.CheckConstraint("reader_kind IN ('user', 'api_key')", name="ck_read_log_reader_kind"),
        sa.CheckConstraint(
            "kind IN ('conversation', 'order', 'file', 'raw_mail', 'search')", name="ck_read_log_kind"
        ),
        sa.CheckConstraint("(kind = 'search') = (subject_id IS NULL)", name="ck_read_log_subject_id"),
        sa.CheckConstraint(
            "(kind IN ('file', 'raw_mail')) = (part_id IS NOT NULL)", name="ck_read_log_part_id"
        ),
        sa.CheckConstraint("(kind = 'search') = (found IS NOT NULL)", name="ck_read_log_found"),
        sa.PrimaryKeyConstraint("id", name="pk_read_log"),
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("ix_read_log_account", "read_log", ["account_id", "id"])
    op.create_index("ix_read_log_reader", "read_log", ["account_id", "reader_id", "id"])
    op.create_index("ix_read_log_subject", "read_log", ["account_id", "subject_id", "id"])
    op.execute("CREATE TABLE read_log_other PARTITION OF read_log DEFAULT")
