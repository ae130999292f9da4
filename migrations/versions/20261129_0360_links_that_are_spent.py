"""An attempt says by which link it was begun, so that a link is good for one authorization."""

import sqlalchemy as sa
from alembic import op

revision = "20261129_0360"
down_revision = "20261129_0350"


def upgrade() -> None:
    op.add_column("authorization_attempts", sa.Column("link_hash", sa.LargeBinary()))
