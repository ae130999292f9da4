"""A mail of Amazon's that names only an order finds the replies about it, however many the store has sent."""

from migrations import online

revision = "20261128_1810"
down_revision = "20261128_1731"


def upgrade() -> None:
    online.create_index(
        "ix_outbound_messages_order",
        "outbound_messages",
        "integration_id, order_id",
        where="order_id IS NOT NULL",
    )
