"""Mails that tell administrators what they should look at."""

from migrations import online

revision = "20261129_0020"
down_revision = "20261129_0011"

_KINDS = (
    "'lock_red', 'consent_30', 'consent_7', 'consent_1', "
    "'password_reset', 'password_changed', 'new_browser', 'second_factor_changed', 'second_factor_reset', "
    "'invitation', 'mass_reading', 'failed_sign_ins', 'api_key_created'"
)


def upgrade() -> None:
    online.drop_constraint("notices", "ck_notices_kind")
    online.add_check("notices", "ck_notices_kind", f"kind IN ({_KINDS})")
