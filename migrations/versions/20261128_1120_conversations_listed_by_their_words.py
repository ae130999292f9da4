"""The list of conversations shows the first words of the newest message.

Of messages that are there already nobody but `reprocess` can know them: they lie sealed.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261128_1120"
down_revision = "20261128_1112"


def upgrade() -> None:
    # In the order in which the mail worker locks them.
    op.add_column("conversations", sa.Column("snippet", sa.LargeBinary(), nullable=True))
    op.add_column("conversations", sa.Column("snippet_message_id", sa.Uuid(), nullable=True))
    op.add_column("messages", sa.Column("snippet", sa.LargeBinary(), nullable=True))
