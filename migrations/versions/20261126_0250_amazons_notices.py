"""Amazon's notices to the application, each taken once however often it is delivered."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261126_0250"
down_revision = "20261126_0241"


def upgrade() -> None:
    op.create_table(
        "application_notices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("notification_id", sa.Text(), nullable=False),
        sa.Column("secret_ends_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "received_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name="pk_application_notices"),
        sa.UniqueConstraint(
            "client_id", "notification_id", name="uq_application_notices_client_id_notification_id"
        ),
    )
