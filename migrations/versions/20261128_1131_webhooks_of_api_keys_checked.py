"""The API key with which a webhook was made is one that exists."""

from migrations import online

revision = "20261128_1131"
down_revision = "20261128_1130"


def upgrade() -> None:
    online.add_foreign_key("webhooks", "fk_webhooks_created_by_key_api_keys", "created_by_key", "api_keys")
