"""Nobody is two people at their account's provider."""

from migrations import online

revision = "20261129_0311"
down_revision = "20261129_0310"


def upgrade() -> None:
    online.add_check("users", "ck_users_oidc_subject", "(oidc_issuer IS NULL) = (oidc_subject IS NULL)")
    online.create_index("uq_users_oidc", "users", "account_id, oidc_issuer, oidc_subject", is_unique=True)
