"""What an entry is about: the kind of its object, by its action, and how it is called. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.connector.accounts.callers import Caller
from shared.permissions import Level, Permission


class ObjectKind(StrEnum):
    """What can be named and opened. `reader`: a person or an API key."""

    USER = "user"
    API_KEY = "api_key"
    INVITATION = "invitation"
    READER = "reader"
    WEBHOOK = "webhook"
    INTEGRATION = "integration"
    REPLY_TEMPLATE = "reply_template"
    CONVERSATION = "conversation"
    MESSAGE = "message"
    ORDER = "order"
    TAG = "tag"


# The longest beginning of an action that stands here says what its subject is. What is not here is about no object with a name: a session, an attempt, the account.
_KINDS: Final = {
    "api_key_": ObjectKind.API_KEY,
    "authenticator_": ObjectKind.USER,
    "conversation.": ObjectKind.CONVERSATION,
    "forwarded_mailbox_": ObjectKind.INTEGRATION,
    "integration_": ObjectKind.INTEGRATION,
    "invitation_": ObjectKind.INVITATION,
    "mass_reading": ObjectKind.READER,
    "message.": ObjectKind.MESSAGE,
    "note_": ObjectKind.CONVERSATION,
    "other_sessions_ended": ObjectKind.USER,
    "password_": ObjectKind.USER,
    "recovery_code": ObjectKind.USER,
    "reply_": ObjectKind.CONVERSATION,
    "reply_template_": ObjectKind.REPLY_TEMPLATE,
    "second_factor_reset": ObjectKind.USER,
    "setup_step_": ObjectKind.INTEGRATION,
    "sign_in_failed": ObjectKind.USER,
    "single_sign_on_linked": ObjectKind.USER,
    "single_sign_on_permissions_changed": ObjectKind.USER,
    "single_sign_on_unlinked": ObjectKind.USER,
    "smtp_": ObjectKind.INTEGRATION,
    "tag.": ObjectKind.TAG,
    "user_": ObjectKind.USER,
    "user_invited": ObjectKind.INVITATION,
    "webhook_": ObjectKind.WEBHOOK,
}
_BY_LENGTH: Final = sorted(_KINDS, key=len, reverse=True)
# Whose names only those are told who may read them where they stand.
_OF_INBOX: Final = frozenset(
    {
        ObjectKind.REPLY_TEMPLATE,
        ObjectKind.CONVERSATION,
        ObjectKind.MESSAGE,
        ObjectKind.ORDER,
        ObjectKind.TAG,
    }
)


@dataclass(frozen=True, slots=True)
class Named:
    """An object as it is called now. `conversation_id`: where a message is. `made_by`: who made an API key. `is_gone`: it was removed,
    and is still known by its name.
    """

    name: str | None
    conversation_id: UUID | None = None
    made_by: str | None = None
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class ShownObject:
    """`is_gone`: it was removed; people, keys and stores are still known by their names. One that the reader may not see has no name, and is never said to be gone."""

    kind: ObjectKind
    id: UUID
    name: str | None
    conversation_id: UUID | None
    is_gone: bool


def kind_of(action: str) -> ObjectKind | None:
    """What the subject of this action is, if it is anything with a name."""
    return next((_KINDS[beginning] for beginning in _BY_LENGTH if action.startswith(beginning)), None)


def is_hidden(caller: Caller, kind: ObjectKind) -> bool:
    """Whether this caller is not told how objects of this kind are called."""
    return kind in _OF_INBOX and not caller.may(Permission.INBOX_MESSAGES, Level.VIEW)


def wanted_of(
    caller: Caller, subjects: Iterable[tuple[ObjectKind | None, UUID | None]]
) -> dict[ObjectKind, set[UUID]]:
    """Which objects have to be looked up, by kind."""
    wanted: dict[ObjectKind, set[UUID]] = {}
    for kind, object_id in subjects:
        if kind is not None and object_id is not None and not is_hidden(caller, kind):
            wanted.setdefault(kind, set()).add(object_id)
    return wanted


def shown(
    caller: Caller, kind: ObjectKind | None, object_id: UUID | None, named: Mapping[UUID, Named]
) -> ShownObject | None:
    """The object of an entry, for this caller."""
    if kind is None or object_id is None:
        return None
    found = named.get(object_id)
    return ShownObject(
        kind=kind,
        id=object_id,
        name=found.name if found else None,
        conversation_id=found.conversation_id if found else None,
        is_gone=found.is_gone if found else not is_hidden(caller, kind),
    )
