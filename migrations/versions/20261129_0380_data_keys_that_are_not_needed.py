"""When nothing was sealed with an account's old data key any more."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261129_0380"
down_revision = "20261129_0370"


def upgrade() -> None:
    op.add_column(
        "account_keys", sa.Column("unused_since", postgresql.TIMESTAMP(timezone=True), nullable=True)
    )
