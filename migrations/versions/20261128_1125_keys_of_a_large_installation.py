"""What the commands for keys count stands in indexes: data keys by what wraps them, and mail that is neither waiting nor delivered."""

from migrations import online

revision = "20261128_1125"
down_revision = "20261128_1120"


def upgrade() -> None:
    online.create_index("ix_account_keys_wrapping", "account_keys", "wrapping_key_id")
    online.create_index(
        "ix_accepted_mail_set_aside", "accepted_mail", "mail_key_id", where="state IN ('resting', 'held')"
    )
