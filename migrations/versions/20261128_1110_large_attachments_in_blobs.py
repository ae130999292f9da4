"""An attachment that is too large for a row lies in the blob store; the row names it."""

import sqlalchemy as sa
from alembic import op

revision = "20261128_1110"
down_revision = "20261128_1041"


def upgrade() -> None:
    op.add_column("attachments", sa.Column("blob_key", sa.Text(), nullable=True))
    op.add_column("attachments", sa.Column("blob_digest", sa.LargeBinary(), nullable=True))
    op.alter_column("attachments", "content", existing_type=sa.LargeBinary(), nullable=True)
