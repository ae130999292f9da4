"""Orders that a proven mail names are the conversation's; and how long accounts may keep what is personal."""

from migrations import online

revision = "20261128_1941"
down_revision = "20261128_1940"


def upgrade() -> None:
    online.add_check("accounts", "ck_accounts_messages_kept_days", "messages_kept_days BETWEEN 30 AND 3653")
    online.add_check("accounts", "ck_accounts_longer_kept_days", "longer_kept_days BETWEEN 1 AND 3653")
    online.add_check(
        "accounts",
        "ck_accounts_longer_kept_reason",
        "(longer_kept_days IS NULL) = (longer_kept_reason IS NULL)",
    )
    online.in_batches(
        "messages",
        "UPDATE conversation_orders SET is_proven = true FROM messages"
        " WHERE messages.id > :first AND messages.id <= :last AND messages.authenticity = 'authentic'"
        " AND conversation_orders.account_id = messages.account_id"
        " AND conversation_orders.conversation_id = messages.conversation_id"
        " AND conversation_orders.order_id = ANY (messages.order_ids) AND NOT conversation_orders.is_proven",
    )
