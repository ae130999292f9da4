"""The kinds of mails to people, beside those about stores."""

from migrations import online

revision = "20261128_2331"
down_revision = "20261128_2330"

_KINDS = (
    "'lock_red', 'consent_30', 'consent_7', 'consent_1', "
    "'password_reset', 'password_changed', 'new_browser', 'second_factor_changed', 'second_factor_reset'"
)


def upgrade() -> None:
    online.drop_constraint("notices", "ck_notices_kind")
    online.add_check("notices", "ck_notices_kind", f"kind IN ({_KINDS})")
    online.add_check(
        "notices",
        "ck_notices_integration_id",
        "(integration_id IS NOT NULL) = (kind IN ('lock_red', 'consent_30', 'consent_7', 'consent_1'))",
    )
