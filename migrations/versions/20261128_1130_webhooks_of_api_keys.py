"""A webhook that was made with an API key ends with the key."""

import sqlalchemy as sa
from alembic import op

revision = "20261128_1130"
down_revision = "20261128_1125"


def upgrade() -> None:
    op.add_column("webhooks", sa.Column("created_by_key", sa.Uuid(), nullable=True))
