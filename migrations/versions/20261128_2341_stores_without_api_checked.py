"""Only a store without Amazon's API may be without its seller's id."""

from migrations import online

revision = "20261128_2341"
down_revision = "20261128_2340"


def upgrade() -> None:
    online.add_check("integrations", "ck_integrations_seller_id", "seller_id IS NOT NULL OR NOT uses_api")
