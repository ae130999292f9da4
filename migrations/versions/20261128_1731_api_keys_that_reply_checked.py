"""What an API key says of replies is one of the levels."""

from migrations import online

revision = "20261128_1731"
down_revision = "20261128_1730"


def upgrade() -> None:
    online.add_check("api_keys", "ck_api_keys_inbox_replies", "inbox_replies IN ('none', 'view', 'edit')")
