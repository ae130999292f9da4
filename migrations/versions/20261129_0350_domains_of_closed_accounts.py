"""A closed account holds no mail domain back from others; whoever reopens it proves its domains anew."""

from migrations import online

revision = "20261129_0350"
down_revision = "20261129_0340"


def upgrade() -> None:
    online.in_batches(
        "oidc_domains",
        "UPDATE oidc_domains SET proven_at = NULL FROM accounts WHERE accounts.id = oidc_domains.account_id"
        " AND accounts.closed_at IS NOT NULL AND oidc_domains.id > :first AND oidc_domains.id <= :last",
    )
