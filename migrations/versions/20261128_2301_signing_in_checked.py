"""What an account demands of those who sign in stays within its bounds."""

from migrations import online

revision = "20261128_2301"
down_revision = "20261128_2300"


def upgrade() -> None:
    online.add_check(
        "accounts", "ck_accounts_second_factor", "second_factor IN ('admins', 'everybody', 'optional')"
    )
    online.add_check("accounts", "ck_accounts_admin_session_hours", "admin_session_hours BETWEEN 1 AND 168")
    online.add_check("accounts", "ck_accounts_admin_idle_minutes", "admin_idle_minutes BETWEEN 5 AND 720")
    online.add_check("sessions", "ck_sessions_method", "method IN ('password', 'passkey', 'single_sign_on')")
