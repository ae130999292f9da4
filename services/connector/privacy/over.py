"""What is over, in words of SQL: one condition for each thing that ends, which the purge deletes by and the report counts by.

Each is asked for one account with the moments of `Kept`, and served by an index that holds ages: what stays is not looked at. An id was
made by the clock of some machine, which may have been wrong: it serves the index, and PostgreSQL's own time of the row decides.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import TextClause, text

from services.connector.orders.model import PERSONAL_AFTER_DELIVERY, PERSONAL_AFTER_PURCHASE
from services.connector.privacy.accounts import Kept

_ON_ITS_WAY: Final = "('scheduled', 'queued', 'sending', 'delayed')"
# The end of what is personal in an order, as `orders.model.personal_ends_at` has it, without what only decides where neither date is known.
_ORDER_ENDS: Final = (
    f"coalesce(coalesce(o.delivered_at, o.deliver_by) + interval '{PERSONAL_AFTER_DELIVERY.days} days',"
    f" o.purchased_at + interval '{PERSONAL_AFTER_PURCHASE.days} days', 'infinity')"
)


class Ending(StrEnum):
    """What ends, each by a rule of its own."""

    ORDER_PERSONAL = "order_personal"
    ORDERS = "orders"
    ORDER_REPORTS = "order_reports"
    AUTHORIZATIONS = "authorizations"
    CONVERSATIONS = "conversations"
    MESSAGES = "messages"
    REPLIES = "replies"
    NOTES = "notes"
    DRAFTS = "drafts"
    RAW_MAIL = "raw_mail"
    AUDIT_LOG = "audit_log"


# Of rules.toml, by which docs/privacy.md says why.
RULES_OF: Final = {
    Ending.ORDER_PERSONAL: "order_personal",
    Ending.ORDERS: "orders",
    Ending.ORDER_REPORTS: "orders",
    Ending.AUTHORIZATIONS: "orders",
    Ending.CONVERSATIONS: "messages",
    Ending.MESSAGES: "messages",
    Ending.REPLIES: "messages",
    Ending.NOTES: "messages",
    Ending.DRAFTS: "drafts",
    Ending.RAW_MAIL: "messages",
    Ending.AUDIT_LOG: "audit",
}


@dataclass(frozen=True, slots=True)
class Over:
    """`rows`: FROM and WHERE. `key`: what is deleted by. `ended_at`: since when a row is over, or since it came, if it came later."""

    rows: str
    key: str
    ended_at: str


OVER: Final[dict[Ending, Over]] = {
    Ending.ORDER_PERSONAL: Over(
        "FROM orders o WHERE o.account_id = :account AND o.personal_ends_at < :personal_since",
        "o.id",
        "greatest(o.personal_ends_at + :longer, o.changed_at)",
    ),
    Ending.ORDERS: Over(
        "FROM orders o WHERE o.account_id = :account"
        " AND (o.purchased_at < :orders_since OR o.purchased_at IS NULL AND o.last_updated_at < :orders_since)",
        "o.id",
        "greatest(coalesce(o.purchased_at, o.last_updated_at) + (:now - :orders_since), o.created_at)",
    ),
    Ending.ORDER_REPORTS: Over(
        "FROM order_reports r WHERE r.id < uuid_at(:orders_since) AND r.created_at < :orders_since AND r.account_id = :account",
        "r.id",
        "r.created_at + (:now - :orders_since)",
    ),
    Ending.AUTHORIZATIONS: Over(
        "FROM integrations i LEFT JOIN grants g ON g.integration_id = i.id"
        " WHERE i.account_id = :account AND coalesce(g.ended_at, g.revoked_at, i.disconnected_at) < :authorizations_since"
        " AND (EXISTS (SELECT FROM order_syncs s WHERE s.integration_id = i.id)"
        " OR EXISTS (SELECT FROM order_reports r WHERE r.integration_id = i.id)"
        " OR EXISTS (SELECT FROM orders o WHERE o.account_id = :account AND o.integration_id = i.id))",
        "i.id",
        "coalesce(g.ended_at, g.revoked_at, i.disconnected_at) + (:now - :authorizations_since)",
    ),
    Ending.CONVERSATIONS: Over(
        "FROM conversations c WHERE c.account_id = :account AND c.merged_into IS NULL"  # noqa: S608 - our own words
        " AND c.status = ANY ('{open,closed,quarantine}')"
        " AND c.last_message_at < :answered_since AND (c.last_reply_at IS NULL OR c.last_reply_at < :answered_since)"
        f" AND NOT EXISTS (SELECT FROM outbound_messages r WHERE r.conversation_id = c.id AND r.state IN {_ON_ITS_WAY})"
        " AND (greatest(c.last_message_at, c.last_reply_at) < :messages_since"
        " OR EXISTS (SELECT FROM conversation_orders n WHERE n.conversation_id = c.id AND n.is_proven)"
        " AND NOT EXISTS (SELECT FROM conversation_orders n LEFT JOIN orders o"
        " ON o.account_id = :account AND o.order_id = n.order_id AND o.integration_id = c.integration_id"
        f" WHERE n.conversation_id = c.id AND n.is_proven AND {_ORDER_ENDS} >= :personal_since))",
        "c.id",
        "greatest(c.last_message_at, c.last_reply_at) + (:now - :messages_since)",
    ),
    Ending.MESSAGES: Over(
        "FROM messages m JOIN conversations c ON c.id = m.conversation_id"
        " WHERE m.account_id = :account AND m.id < uuid_at(:messages_since) AND m.received_at < :messages_since"
        " AND c.last_message_at >= :messages_since",
        "m.id",
        "m.received_at + (:now - :messages_since)",
    ),
    Ending.REPLIES: Over(
        "FROM outbound_messages r JOIN conversations c ON c.id = r.conversation_id"
        " WHERE r.account_id = :account AND r.id < uuid_at(:messages_since) AND r.created_at < :messages_since"
        f" AND r.state NOT IN {_ON_ITS_WAY} AND c.last_message_at >= :messages_since",
        "r.id",
        "r.created_at + (:now - :messages_since)",
    ),
    Ending.NOTES: Over(
        "FROM notes n WHERE n.account_id = :account AND n.id < uuid_at(:messages_since) AND n.created_at < :messages_since",
        "n.id",
        "n.created_at + (:now - :messages_since)",
    ),
    Ending.DRAFTS: Over(
        "FROM reply_drafts d WHERE d.account_id = :account AND d.updated_at < :messages_since",
        "d.id",
        "d.updated_at + (:now - :messages_since)",
    ),
    # Beside the mails of messages, which end with these: those that came twice. What waits for its worker is nobody's to delete.
    Ending.RAW_MAIL: Over(
        "FROM accepted_mail a WHERE a.relay_address_id IN (SELECT id FROM relay_addresses WHERE account_id = :account)"
        " AND a.id < uuid_at(:messages_since) AND a.accepted_at < :messages_since AND a.state = 'delivered'"
        " AND NOT EXISTS (SELECT FROM messages m WHERE m.account_id = :account AND m.accepted_mail_id = a.id"
        " AND m.id < uuid_at(:messages_since))",
        "a.id",
        "a.accepted_at + (:now - :messages_since)",
    ),
}


def count_statement(ending: Ending) -> TextClause:
    """How much of it is over in an account, and since when the oldest."""
    over = OVER[ending]
    return _statement(f"SELECT count(*) AS rows, min({over.ended_at}) AS oldest {over.rows}")


def ids_statement(ending: Ending, *, more: str = "", most: int, locked: str = "") -> TextClause:
    """Some of what is over in an account. `more`: further columns. `locked`: the table whose rows nobody else may have in hand."""
    over = OVER[ending]
    lock = f" FOR UPDATE OF {locked} SKIP LOCKED" if locked else ""
    return _statement(f"SELECT {over.key} AS id{more} {over.rows} LIMIT {most}{lock}")


def values_of(kept: Kept) -> dict[str, object]:
    """What the statements are asked with."""
    return {
        "account": kept.account_id,
        "now": kept.now,
        "longer": kept.longer,
        "personal_since": kept.personal_since,
        "orders_since": kept.orders_since,
        "authorizations_since": kept.authorizations_since,
        "messages_since": kept.messages_since,
        "answered_since": kept.answered_since,
    }


def _statement(words: str) -> TextClause:
    return text(
        _PARAMETER.sub(lambda found: f"CAST({found[0]} AS {_TYPES.get(found[1], 'timestamptz')})", words)
    )


_PARAMETER: Final = re.compile(r":([a-z]\w*)")
_TYPES: Final = {"account": "uuid", "longer": "interval"}
