"""When the first authentic mail of a store came, of stores that have had mail already."""

from migrations import online

revision = "20261128_1041"
down_revision = "20261128_1040"


def upgrade() -> None:
    online.in_batches(
        "integrations",
        "UPDATE integrations SET first_authentic_mail_at = last_message_at"
        " WHERE id > :first AND id <= :last AND first_authentic_mail_at IS NULL AND last_message_at IS NOT NULL",
    )
