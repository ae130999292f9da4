"""What was connected before has owners, due times and rules as if it had been connected now."""

from migrations import online

revision = "20261124_0110"
down_revision = "20261124_0100"

_CHECKS = (
    ("authorization_attempts", "started_by", "started_by IN ('website', 'amazon')"),
    ("grants", "role_missing", "(role_missing_since IS NULL) = (role_missing_operation IS NULL)"),
    ("grants", "refused_by", "refused_by IN ('lwa', 'sp_api')"),
    ("integrations", "data_after_rest", "data_after_rest IN ('keep', 'delete')"),
    ("integrations", "rests_until", "(disconnected_at IS NULL) = (rests_until IS NULL)"),
    ("integrations", "removed_at", "removed_at IS NULL OR disconnected_at IS NOT NULL"),
    ("accepted_mail", "state", "state IN ('accepted', 'resting', 'delivered', 'held')"),
)


def upgrade() -> None:
    _rows()
    _indexes()
    online.drop_constraint("accepted_mail", "ck_accepted_mail_state")
    for table, name, condition in _CHECKS:
        online.add_check(table, f"ck_{table}_{name}", condition)


def _rows() -> None:
    online.in_batches(
        "grants",
        "UPDATE grants SET next_refresh_at = now() + random() * interval '1 hour'"
        " WHERE id > :first AND id <= :last AND length(refresh_token) > 0 AND next_refresh_at IS NULL",
    )
    # Whoever connected the store owns it.
    online.in_batches(
        "integrations",
        "UPDATE integrations SET owner_id = connected.actor_id FROM ("
        "SELECT DISTINCT ON (subject_id) subject_id, actor_id FROM audit_log WHERE subject_id > :first AND subject_id <= :last"
        " AND action = 'integration_connected' AND actor_kind = 'user' ORDER BY subject_id, id DESC) connected"
        " WHERE integrations.id = connected.subject_id AND integrations.owner_id IS NULL",
    )
    # Until now a store that was disconnected lost its address at once: nothing of it can be restored.
    online.in_batches(
        "integrations",
        "UPDATE integrations SET rests_until = disconnected_at, removed_at = disconnected_at, data_after_rest = 'keep'"
        " WHERE id > :first AND id <= :last AND disconnected_at IS NOT NULL AND rests_until IS NULL",
    )


def _indexes() -> None:
    online.create_index("ix_audit_log_account", "audit_log", "account_id, id")
    online.drop_index("ix_audit_log_account_id")
    online.create_index("ix_accepted_mail_address", "accepted_mail", "relay_address_id")
    online.drop_index("uq_integrations_store")
    online.create_index(
        "uq_integrations_store",
        "integrations",
        "account_id, region, seller_id",
        where="removed_at IS NULL",
        is_unique=True,
    )
