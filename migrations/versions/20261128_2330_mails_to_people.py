"""A mail of ours may be about a person instead of a store."""

from alembic import op

revision = "20261128_2330"
down_revision = "20261128_2320"


def upgrade() -> None:
    op.alter_column("notices", "integration_id", nullable=True)
