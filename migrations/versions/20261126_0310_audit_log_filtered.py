"""The audit log is read by who, what, and what it was done to: from an index, however long it has grown."""

from migrations import online

revision = "20261126_0310"
down_revision = "20261126_0301"


def upgrade() -> None:
    for name, column in (("actor", "actor_id"), ("subject", "subject_id"), ("action", "action")):
        online.create_index(f"ix_audit_log_{name}", "audit_log", f"account_id, {column}, id")
