"""Raw mail that is too large for a row lies in the blob store; the row names it."""

import sqlalchemy as sa
from alembic import op

revision = "20261123_2320"
down_revision = "20261123_2100"


def upgrade() -> None:
    op.add_column("accepted_mail", sa.Column("blob_key", sa.Text(), nullable=True))
    op.add_column("accepted_mail", sa.Column("blob_digest", sa.LargeBinary(), nullable=True))
    op.alter_column("accepted_mail", "raw", existing_type=sa.LargeBinary(), nullable=True)
