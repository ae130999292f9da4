"""Which permission an event needs: that of viewing what it names. One rule for streams and webhooks."""

from collections.abc import Mapping
from typing import Final

from services.connector.accounts.callers import Caller
from shared.events import EventKind
from shared.permissions import Level, Permission

PERMISSION_OF: Final[Mapping[EventKind, Permission]] = {
    EventKind.AUTHORIZATION_CHANGED: Permission.GENERAL_ADMIN,
    EventKind.INTEGRATION_CHANGED: Permission.GENERAL_ADMIN,
    EventKind.CONVERSATION_CHANGED: Permission.INBOX_MESSAGES,
    EventKind.ORDER_CHANGED: Permission.INBOX_ORDERS,
    EventKind.MESSAGE_RECEIVED: Permission.INBOX_MESSAGES,
    EventKind.REPLY_CHANGED: Permission.INBOX_MESSAGES,
    EventKind.REPLY_CONFIRMED: Permission.INBOX_MESSAGES,
    EventKind.REPLY_FAILED: Permission.INBOX_MESSAGES,
    EventKind.REPLY_HANDED_OVER: Permission.INBOX_MESSAGES,
    EventKind.REPLY_PERHAPS_SENT: Permission.INBOX_MESSAGES,
    EventKind.REPLY_TYPED: Permission.INBOX_MESSAGES,
    EventKind.WEBHOOK_DISABLED: Permission.GENERAL_PROGRAMS,
}


# Not for webhooks: who types, and each step of a reply, of which those that somebody must know have kinds of their own.
STREAM_ONLY: Final = frozenset({EventKind.REPLY_CHANGED, EventKind.REPLY_TYPED})


def kinds_for(caller: Caller) -> list[EventKind]:
    """The kinds of event that the caller may know of."""
    return [kind for kind, permission in PERMISSION_OF.items() if caller.may(permission, Level.VIEW)]
