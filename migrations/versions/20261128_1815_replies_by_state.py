"""An account's replies are listed and counted by their state, a store's refusals found, however many replies there are."""

from migrations import online

revision = "20261128_1815"
down_revision = "20261128_1810"


def upgrade() -> None:
    online.create_index("ix_outbound_messages_state", "outbound_messages", "account_id, state, id")
    online.create_index("ix_outbound_messages_store", "outbound_messages", "integration_id, id")
    online.create_index(
        "ix_outbound_messages_refused",
        "outbound_messages",
        "integration_id, id",
        where="failure = 'sender_not_approved'",
    )
