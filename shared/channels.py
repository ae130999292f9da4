"""The channels of PostgreSQL's NOTIFY, and what a notification says: an id at most."""

import re
from typing import Final
from uuid import UUID

# On which every connector hears that an event was announced (`shared.events`).
EVENT_CHANNEL: Final = "replyco_events"
# Channels on which mail workers hear that mail was committed, and relays the ids of addresses that were made or retired.
MAIL_CHANNEL: Final = "replyco_accepted_mail"
ADDRESS_CHANNEL: Final = "replyco_relay_addresses"
# The one on which mail workers hear that a reply waits to be sent (`shared.replies.announce_due`).
REPLY_CHANNEL: Final = "replyco_replies"

_ID: Final = re.compile("[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


def id_in(payload: str) -> UUID | None:
    """The id that a notification names, or None. The version before us says more than an id, and the id of an event first."""
    found = _ID.search(payload[:200])
    return None if found is None else UUID(found[0])
