"""What is true of a closed account, and the mails that tell of it."""

from migrations import online

revision = "20261129_0051"
down_revision = "20261129_0050"

_KINDS = (
    "'lock_red', 'consent_30', 'consent_7', 'consent_1', "
    "'password_reset', 'password_changed', 'new_browser', 'second_factor_changed', 'second_factor_reset', "
    "'invitation', 'mass_reading', 'failed_sign_ins', 'api_key_created', 'account_closed', 'account_reopened'"
)


def upgrade() -> None:
    online.add_check("accounts", "ck_accounts_form_of_address", "form_of_address IN ('du', 'sie')")
    online.add_check("accounts", "ck_accounts_closed_at", "(closed_at IS NULL) = (erase_after IS NULL)")
    online.add_check("accounts", "ck_accounts_erased_at", "erased_at IS NULL OR closed_at IS NOT NULL")
    online.drop_constraint("notices", "ck_notices_kind")
    online.add_check("notices", "ck_notices_kind", f"kind IN ({_KINDS})")
