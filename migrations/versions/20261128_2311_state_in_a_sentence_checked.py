"""The states that a store may have, and the stores whose state time changes next."""

from migrations import online

revision = "20261128_2311"
down_revision = "20261128_2310"

_SUMMARIES = (
    "'paused', 'action_needed', 'unnamed', 'setup_open', 'no_message', 'address_confirmed',"
    " 'countries_open', 'working'"
)


def upgrade() -> None:
    online.add_check("integrations", "ck_integrations_summary", f"summary IN ({_SUMMARIES})")
    online.create_index(
        "ix_integrations_health_due",
        "integrations",
        "health_due_at",
        where="health_due_at IS NOT NULL AND disconnected_at IS NULL",
    )
