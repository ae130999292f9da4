"""How far orders are known: since the connecting, in which window of the history, and which stores rest."""

import sqlalchemy as sa
from alembic import op

revision = "20261128_1955"
down_revision = "20261128_1950"


def upgrade() -> None:
    op.add_column(
        "marketplace_participations",
        sa.Column("last_order_at", sa.TIMESTAMP(timezone=True), nullable=True),
    )
    # Nothing has written to this table before.
    op.drop_index("ix_order_syncs_due", "order_syncs")
    op.alter_column("order_syncs", "history_before", new_column_name="history_after")
    op.add_column("order_syncs", sa.Column("parked_at", sa.TIMESTAMP(timezone=True), nullable=True))
    op.add_column(
        "order_syncs",
        sa.Column(
            "look_back_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
    )
    defaults = {
        "cursor_at": "now()",
        "history_from": "now() - interval '730 days'",
        "history_until": "now()",
        "history_after": "now() - interval '30 days'",
    }
    for column, default in defaults.items():
        op.execute(f"UPDATE order_syncs SET {column} = {default} WHERE {column} IS NULL")  # noqa: S608 - our own names
        op.alter_column("order_syncs", column, nullable=False, server_default=sa.text(default))
    op.create_check_constraint(
        "ck_order_syncs_history_token", "order_syncs", "(history_token IS NULL) = (history_token_at IS NULL)"
    )
    awake = sa.text("parked_at IS NULL")
    op.create_index("ix_order_syncs_due", "order_syncs", ["next_at"], postgresql_where=awake)
    op.create_index("ix_order_syncs_cursor", "order_syncs", ["cursor_at"], postgresql_where=awake)
