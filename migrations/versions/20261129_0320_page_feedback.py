"""Whether the guide and the pages that tell a problem helped, as counts."""

import sqlalchemy as sa
from alembic import op

revision = "20261129_0320"
down_revision = "20261129_0311"


def upgrade() -> None:
    op.create_table(
        "page_feedback",
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("helpful", sa.Integer(), server_default="0", nullable=False),
        sa.Column("not_helpful", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "page IN ('guide', 'attempt_unknown', 'attempt_expired', 'other_browser', 'sign_in_again', "
            "'code_missing', 'permission_missing', 'unknown')",
            name="ck_page_feedback_page",
        ),
        sa.CheckConstraint("language IN ('de', 'en')", name="ck_page_feedback_language"),
        sa.PrimaryKeyConstraint("page", "language", "month", name="pk_page_feedback"),
    )
