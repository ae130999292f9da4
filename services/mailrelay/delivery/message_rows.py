"""A mail on its way to be a message: the rows that it becomes, sealed for its account before any transaction begins. Pure."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from services.mailrelay.authenticity.verdict import Verdict
from services.mailrelay.delivery.authentication import Understood
from services.mailrelay.delivery.queue import Taken
from services.mailrelay.delivery.threads import buyer_of, order_of, threads_of
from services.mailrelay.parsing.filenames import safe_filename
from services.mailrelay.parsing.mail import PARSER_VERSION, MailKind, ParsedAttachment, ParsedMail
from shared.conversations import ABOUT_ONE_ORDER
from shared.crypto.envelope import AccountKeys, Place, Sealed
from shared.database import new_id
from shared.search_words import word_keys
from shared.tables import Authenticity, ConversationStatus

# Amazon's, on every day of the week, for the first answer to each message.
TIME_TO_ANSWER: Final = timedelta(hours=24)
# Columns of a message that are stored sealed.
SEALED: Final = frozenset(
    {
        "subject",
        "sender_name",
        "sender_address",
        "body_text",
        "body_html",
        "quoted_text",
        "verification_code",
    }
)
# What claims to be Amazon's and is not proven to be.
_UNPROVEN: Final = frozenset({Authenticity.FORGED, Authenticity.UNCHECKABLE})


@dataclass(frozen=True, slots=True)
class Incoming:
    """An accepted mail, understood, and the rows that it becomes. The message's conversation is not known yet."""

    taken: Taken
    mail: ParsedMail
    verdict: Verdict
    keys: AccountKeys = field(repr=False)
    digest: bytes
    message: dict[str, Any]
    attachments: list[dict[str, Any]]
    conversation: dict[str, Any]
    """The conversation that it opens if it joins none."""

    @property
    def message_id(self) -> UUID:
        message_id: UUID = self.message["id"]
        return message_id

    @property
    def thread_keys(self) -> tuple[bytes, ...]:
        return tuple(self.message["thread_keys"])

    @property
    def own_conversation_id(self) -> UUID:
        conversation_id: UUID = self.conversation["id"]
        return conversation_id

    @property
    def is_quarantined(self) -> bool:
        return self.verdict.authenticity in _UNPROVEN


def make_incoming(
    understood: Understood, verdict: Verdict, keys: AccountKeys, *, recheck_at: datetime | None
) -> Incoming:
    """Seal what was understood for its account."""
    mail, taken = understood.mail, understood.opened.taken
    message_id = new_id()
    message = {
        "id": message_id,
        "account_id": taken.account_id,
        "integration_id": taken.integration_id,
        "accepted_mail_id": taken.id,
        # The accepted mail is never rewritten: its key is kept a second time, for the readers of this account.
        "raw_key": keys.seal(Place("messages", "raw_key", message_id), understood.opened.content_key.key),
        "received_at": taken.accepted_at,
        "size": taken.size,
        **verdict_columns(verdict, keys, message_id, recheck_at=recheck_at),
        "answer_due_at": taken.accepted_at + TIME_TO_ANSWER if mail.kind is MailKind.BUYER_MESSAGE else None,
        # What could not be parsed in time, or for another reason that may pass, is for `reprocess` to try once more.
        "parser_version": 0 if mail.kind is MailKind.UNPARSEABLE else PARSER_VERSION,
        **sealed_columns(understood_columns(mail, keys), keys, message_id),
    }
    return Incoming(
        taken=taken,
        mail=mail,
        verdict=verdict,
        keys=keys,
        digest=keys.lookup_hash("mail", mail.digest),
        message=message,
        attachments=[
            attachment_row(attachment, keys, message_id, position, new_id())
            for position, attachment in enumerate(mail.attachments)
        ],
        conversation=conversation_row(mail, keys, new_id(), taken.integration_id)
        | {
            "status": (
                ConversationStatus.QUARANTINE
                if verdict.authenticity in _UNPROVEN
                else ConversationStatus.OPEN
            ).value
        },
    )


def verdict_columns(
    verdict: Verdict, keys: AccountKeys, message_id: UUID, *, recheck_at: datetime | None
) -> dict[str, Any]:
    """The columns of a message that say whose it is."""
    return {
        "authenticity": verdict.authenticity.value,
        "authenticity_reason": verdict.reason,
        "authentication_results": keys.seal_text(
            Place("messages", "authentication_results", message_id), verdict.results
        ),
        "recheck_at": recheck_at,
    }


def understood_columns(mail: ParsedMail, keys: AccountKeys) -> dict[str, Any]:
    """The columns of a message that say what the parser understood, in clear: all that another version of it may change."""
    return {
        "kind": mail.kind.value,
        "from_amazon_domain": mail.amazon_domain,
        "truncated": mail.truncated,
        "sent_at": mail.sent_at,
        "subject": mail.subject,
        "sender_name": mail.sender_name,
        "sender_address": mail.sender_address,
        "body_text": mail.text,
        "body_html": mail.html,
        "quoted_text": mail.quoted_text,
        "verification_code": mail.verification_code,
        "is_excerpt": mail.is_excerpt,
        "order_ids": list(mail.order_ids),
        "asin": mail.asin,
        "country": mail.country,
        "language": mail.language,
        "failure_reason": mail.failure_reason,
        "attachment_count": len(mail.attachments),
        "thread_keys": [keys.lookup_hash("thread", name) for name in threads_of(mail)],
        "word_keys": word_keys(keys, mail.subject, mail.text, mail.quoted_text, mail.sender_name),
    }


def sealed_columns(columns: dict[str, Any], keys: AccountKeys, message_id: UUID) -> dict[str, Any]:
    """The same as they are stored."""
    return {
        column: keys.seal_text(Place("messages", column, message_id), value)
        if column in SEALED and value is not None
        else value
        for column, value in columns.items()
    }


def attachment_row(
    attachment: ParsedAttachment, keys: AccountKeys, message_id: UUID, position: int, attachment_id: UUID
) -> dict[str, Any]:
    """A file of the mail, under a safe name. Only an inline one is shown by its content id."""

    def seal(column: str, content: bytes) -> Sealed:
        return keys.seal(Place("attachments", column, attachment_id), content)

    filename = safe_filename(attachment.filename, attachment.content_type)
    content_id = attachment.content_id if attachment.is_inline else None
    return {
        "id": attachment_id,
        "account_id": keys.account_id,
        "message_id": message_id,
        "position": position,
        "filename": seal("filename", filename.encode()),
        "content_type": attachment.content_type,
        "sniffed_type": attachment.sniffed_type,
        "scan": None,
        "content_id": None if content_id is None else seal("content_id", content_id.encode()),
        "size": len(attachment.content),
        "content": seal("content", attachment.content),
    }


def conversation_row(
    mail: ParsedMail, keys: AccountKeys, conversation_id: UUID, integration_id: UUID
) -> dict[str, Any]:
    """What a mail says of the conversation that it opens."""
    buyer = buyer_of(mail)

    def seal(column: str, text: str | None) -> Sealed | None:
        return None if text is None else keys.seal_text(Place("conversations", column, conversation_id), text)

    return {
        "id": conversation_id,
        "account_id": keys.account_id,
        "integration_id": integration_id,
        "order_id": order_of(mail),
        "asin": mail.asin if mail.kind in ABOUT_ONE_ORDER else None,
        "country": mail.country,
        "buyer_key": None if buyer is None else keys.lookup_hash("buyer", buyer.lower()),
        "buyer_name": seal("buyer_name", mail.buyer_name),
        "buyer_address": seal("buyer_address", mail.buyer_address),
        "subject": seal("subject", mail.subject),
    }
