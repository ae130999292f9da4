"""When Amazon had an address confirmed, of stores that had this mail before it was noted; their locks are decided anew."""

from migrations import online

revision = "20261129_0330"
down_revision = "20261129_0320"

_MAIL = (
    "FROM messages WHERE integration_id = integrations.id AND kind = 'verification' AND from_amazon_domain"
)


def upgrade() -> None:
    online.in_batches(
        "integrations",
        f"UPDATE integrations SET verification_mail_at = (SELECT min(received_at) {_MAIL}), health_due_at = now()"  # noqa: S608 - our own words
        f" WHERE id > :first AND id <= :last AND verification_mail_at IS NULL AND EXISTS (SELECT {_MAIL})",
    )
