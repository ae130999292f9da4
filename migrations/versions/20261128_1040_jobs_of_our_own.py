"""Jobs are rows of a table of ours; the queue library's tables go, with what was waiting in them moved."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_1040"
down_revision = "20261126_0330"

_TIME = postgresql.TIMESTAMP(timezone=True)
_LIBRARY = "pgqueuer"


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("due_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("requests", sa.Integer(), server_default="1", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_holder", sa.Uuid(), nullable=True),
        sa.Column("leased_until", _TIME, nullable=True),
        sa.Column("held_at", _TIME, nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.CheckConstraint("(lease_holder IS NULL) = (leased_until IS NULL)", name=op.f("ck_jobs_lease")),
        sa.CheckConstraint("(held_at IS NULL) = (failure IS NULL)", name=op.f("ck_jobs_failure")),
        sa.PrimaryKeyConstraint("kind", "subject_id", name=op.f("pk_jobs")),
    )
    op.create_index("ix_jobs_due", "jobs", ["kind", "due_at"], postgresql_where=sa.text("held_at IS NULL"))
    op.add_column("integrations", sa.Column("first_authentic_mail_at", _TIME, nullable=True))
    if not sa.inspect(op.get_bind()).has_table(_LIBRARY):
        return
    op.execute(
        "INSERT INTO jobs (kind, subject_id) SELECT DISTINCT entrypoint, CAST(encode(payload, 'hex') AS uuid)"
        " FROM pgqueuer WHERE entrypoint = 'refresh_participations' AND status IN ('queued', 'picked')"
    )
    op.execute("DROP TABLE pgqueuer, pgqueuer_log, pgqueuer_statistics, pgqueuer_schedules")
    op.execute("DROP FUNCTION IF EXISTS fn_pgqueuer_changed()")
    op.execute("DROP TYPE IF EXISTS pgqueuer_status")
