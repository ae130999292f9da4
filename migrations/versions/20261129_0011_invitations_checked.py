"""The mail of an invitation is a kind of its own, and people are addressed in one of two ways."""

from migrations import online

revision = "20261129_0011"
down_revision = "20261129_0010"

_KINDS = (
    "'lock_red', 'consent_30', 'consent_7', 'consent_1', 'password_reset', 'password_changed', 'new_browser', "
    "'second_factor_changed', 'second_factor_reset', 'invitation'"
)


def upgrade() -> None:
    online.drop_constraint("notices", "ck_notices_kind")
    online.add_check("notices", "ck_notices_kind", f"kind IN ({_KINDS})")
    online.add_check("users", "ck_users_form_of_address", "form_of_address IN ('du', 'sie')")
