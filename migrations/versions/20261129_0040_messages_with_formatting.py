"""Whether a message's HTML shows more than its text. Older messages get it when their mail is parsed again."""

import sqlalchemy as sa
from alembic import op

revision = "20261129_0040"
down_revision = "20261129_0020"


def upgrade() -> None:
    op.add_column("messages", sa.Column("has_formatting", sa.Boolean(), nullable=True))
