"""The audit log: who did what. A row is added to the transaction that did it; ids and codes only, and the network of a sign-in."""

from uuid import UUID

from services.connector.accounts.callers import Caller
from shared.tables import AuditEntry


def audit_entry(caller: Caller, action: str, subject_id: UUID, **fields: str) -> AuditEntry:
    """What this caller did, to be added to the session."""
    return AuditEntry(
        account_id=caller.account_id,
        actor_kind="user" if caller.is_browser else "api_key",
        actor_id=caller.user_id if caller.is_browser else caller.api_key_id,
        action=action,
        subject_id=subject_id,
        fields=fields,
    )


def person_audit_entry(
    account_id: UUID, user_id: UUID, action: str, subject_id: UUID, **fields: str
) -> AuditEntry:
    """What a user did, or what was tried in their name, where there is no caller yet: on the way in."""
    return AuditEntry(
        account_id=account_id,
        actor_kind="user",
        actor_id=user_id,
        action=action,
        subject_id=subject_id,
        fields=fields,
    )


def system_audit_entry(account_id: UUID, action: str, subject_id: UUID, **fields: str) -> AuditEntry:
    """What happened without anybody asking for it, such as a webhook that was given up."""
    return AuditEntry(
        account_id=account_id, actor_kind="system", action=action, subject_id=subject_id, fields=fields
    )
