"""Several rows may name one blob: the sweeper asks whether any does."""

import sqlalchemy as sa
from alembic import op

revision = "20261124_0032"
down_revision = "20261123_2320"


def upgrade() -> None:
    op.create_index(
        "ix_accepted_mail_blob",
        "accepted_mail",
        ["blob_key"],
        postgresql_where=sa.text("blob_key IS NOT NULL"),
    )
