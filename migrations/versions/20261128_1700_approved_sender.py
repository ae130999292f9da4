"""The guide's step in which the sender of replies is approved, and when Amazon last confirmed a reply by a notice."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations import online

revision = "20261128_1700"
down_revision = "20261128_1620"

_STEPS = "'order_report_columns', 'seller_profile', 'notification_preferences', 'approved_sender'"


def upgrade() -> None:
    op.add_column(
        "integrations",
        sa.Column("confirmation_notice_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
    )
    # One by one: what held the table to fewer steps goes first.
    online.drop_constraint("setup_steps", "ck_setup_steps_step")
    online.add_check("setup_steps", "ck_setup_steps_step", f"step IN ({_STEPS})")
