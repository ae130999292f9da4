"""A mail on its way to be a message, and the rows that it becomes, sealed for its account."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.mailrelay.delivery.queries import Claimed
from services.mailrelay.delivery.threads import Thread
from services.mailrelay.parsing.filenames import safe_filename
from services.mailrelay.parsing.mail import ParsedMail
from shared.crypto.envelope import AccountKeys, Place, Sealed
from shared.crypto.raw_mail import ContentKey
from shared.database import new_id


@dataclass(frozen=True, slots=True)
class Incoming:
    """An accepted mail, opened and understood."""

    claimed: Claimed
    content_key: ContentKey
    mail: ParsedMail
    keys: AccountKeys
    thread: Thread
    message_id: UUID

    @property
    def digest(self) -> bytes:
        return self.keys.lookup_hash("mail", self.mail.digest)

    @property
    def thread_key(self) -> bytes:
        return self.keys.lookup_hash("thread", self.thread.name)


def conversation_row(item: Incoming) -> dict[str, Any]:
    """The conversation that the mail opens, if there is none yet."""
    conversation_id = new_id()
    address = item.thread.buyer_address

    def seal(column: str, text: str | None) -> Sealed | None:
        return (
            None
            if text is None
            else item.keys.seal_text(Place("conversations", column, conversation_id), text)
        )

    return {
        "id": conversation_id,
        "account_id": item.claimed.account_id,
        "integration_id": item.claimed.integration_id,
        "thread_key": item.thread_key,
        "order_id": item.thread.order_id,
        "country": item.mail.country,
        "buyer_key": None if address is None else item.keys.lookup_hash("buyer", address),
        "buyer_name": seal("buyer_name", item.mail.buyer_name),
        "buyer_address": seal("buyer_address", item.mail.buyer_address),
        "subject": seal("subject", item.mail.subject),
        "message_count": 1,
        "last_message_at": item.claimed.accepted_at,
    }


def seal_rows(
    incoming: list[Incoming], conversation_ids: dict[tuple[UUID, bytes], UUID]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The messages, and all their attachments."""
    messages: list[dict[str, Any]] = []
    attachments: list[dict[str, Any]] = []
    for item in incoming:
        conversation_id = conversation_ids[item.claimed.integration_id, item.thread_key]
        messages.append(_message_row(item, conversation_id))
        attachments.extend(_attachment_rows(item))
    return messages, attachments


def _message_row(item: Incoming, conversation_id: UUID) -> dict[str, Any]:
    mail = item.mail

    def seal(column: str, text: str | None) -> Sealed | None:
        return None if text is None else item.keys.seal_text(Place("messages", column, item.message_id), text)

    return {
        "id": item.message_id,
        "account_id": item.claimed.account_id,
        "integration_id": item.claimed.integration_id,
        "conversation_id": conversation_id,
        "accepted_mail_id": item.claimed.id,
        # The accepted mail is never rewritten: its key is kept a second time, for the readers of this account.
        "raw_key": item.keys.seal(Place("messages", "raw_key", item.message_id), item.content_key.key),
        "kind": mail.kind.value,
        "from_amazon_domain": mail.amazon_domain,
        "truncated": mail.truncated,
        "received_at": item.claimed.accepted_at,
        "sent_at": mail.sent_at,
        "subject": seal("subject", mail.subject),
        "sender_name": seal("sender_name", mail.sender_name),
        "sender_address": seal("sender_address", mail.sender_address),
        "body_text": seal("body_text", mail.text),
        "body_html": seal("body_html", mail.html),
        "size": item.claimed.size,
        "attachment_count": len(mail.attachments),
    }


def _attachment_rows(item: Incoming) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for position, attachment in enumerate(item.mail.attachments):
        attachment_id = new_id()
        filename = safe_filename(attachment.filename, attachment.content_type)
        rows.append(
            {
                "id": attachment_id,
                "account_id": item.claimed.account_id,
                "message_id": item.message_id,
                "position": position,
                "filename": item.keys.seal_text(Place("attachments", "filename", attachment_id), filename),
                "content_type": attachment.content_type,
                "size": len(attachment.content),
                "content": item.keys.seal(Place("attachments", "content", attachment_id), attachment.content),
            }
        )
    return rows
