"""The rows that an authenticated mail becomes, sealed for its account before any transaction begins. Pure."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypedDict
from uuid import UUID

from services.mailrelay.authenticity.verdict import FORWARDED_FROM_AMAZON, NOT_ADDRESSED_HERE, Verdict
from services.mailrelay.delivery.authentication import AuthenticatedMail
from services.mailrelay.delivery.queue import QueuedMail
from services.mailrelay.delivery.snippet import snippet_of
from services.mailrelay.delivery.threads import buyer_of, order_of, threads_of
from services.mailrelay.parsing.filenames import safe_filename
from services.mailrelay.parsing.mail import PARSER_VERSION, MailKind, ParsedAttachment, ParsedMail
from shared.conversations import ABOUT_ONE_ORDER
from shared.crypto.envelope import AccountKeys, Place, Sealed
from shared.driver import new_id
from shared.search_words import word_keys
from shared.tables import Authenticity, ConversationStatus

# Amazon's, on every day of the week, for the first answer to each message.
TIME_TO_ANSWER: Final = timedelta(hours=24)
# What claims to be Amazon's and is not proven to be, or is Amazon's and not for here.
_QUARANTINED: Final = frozenset({Authenticity.FORGED, Authenticity.UNCHECKABLE, Authenticity.MISDIRECTED})


class VerdictColumns(TypedDict):
    """The columns of a message that say whether it is from whom it says."""

    authenticity: str
    authenticity_reason: str
    authentication_results: Sealed
    recheck_at: datetime | None


class PlainColumns(TypedDict):
    """The columns of a message that the parser fills and that are stored as they are."""

    kind: str
    from_amazon_domain: bool
    truncated: bool
    sent_at: datetime | None
    is_excerpt: bool
    has_formatting: bool
    order_ids: list[str]
    asin: str | None
    country: str | None
    language: str | None
    failure_reason: str | None
    attachment_count: int
    thread_keys: list[bytes]
    word_keys: list[int]


class PrivateTexts(TypedDict):
    """The columns of a message that the parser fills and that are stored sealed, in clear."""

    subject: str | None
    sender_name: str | None
    sender_address: str | None
    body_text: str
    snippet: str | None
    body_html: str | None
    quoted_text: str | None
    verification_code: str | None


class SealedTexts(TypedDict):
    """`PrivateTexts` as they are stored."""

    subject: Sealed | None
    sender_name: Sealed | None
    sender_address: Sealed | None
    body_text: Sealed
    snippet: Sealed | None
    body_html: Sealed | None
    quoted_text: Sealed | None
    verification_code: Sealed | None


class ParsedColumns(PlainColumns, PrivateTexts):
    """Every column that another version of the parser may change, in clear."""


class MessageRow(VerdictColumns, PlainColumns, SealedTexts):
    """A row of `messages`, but for its conversation."""

    id: UUID
    account_id: UUID
    integration_id: UUID
    accepted_mail_id: UUID
    raw_key: Sealed
    received_at: datetime
    size: int
    sent_to: Sealed | None
    sent_to_keys: list[bytes]
    answer_due_at: datetime | None
    parser_version: int


class StoredMessageRow(MessageRow):
    """All columns of a row of `messages`."""

    conversation_id: UUID


class AttachmentRow(TypedDict):
    """A row of `attachments`."""

    id: UUID
    account_id: UUID
    message_id: UUID
    position: int
    filename: Sealed
    content_type: str
    sniffed_type: str
    scan: str | None
    content_id: Sealed | None
    size: int
    content: Sealed | None
    blob_key: str | None
    blob_digest: bytes | None


class ConversationRow(TypedDict):
    """What a row of `conversations` has of the mail that opens it."""

    id: UUID
    account_id: UUID
    integration_id: UUID
    order_id: str | None
    asin: str | None
    country: str | None
    buyer_key: bytes | None
    buyer_name: Sealed | None
    buyer_address: Sealed | None
    subject: Sealed | None
    status: str


class OpenedConversationRow(ConversationRow):
    """All columns of a new row of `conversations`, as its first messages make them."""

    message_count: int
    last_message_at: datetime
    kind: str
    snippet: Sealed | None
    snippet_message_id: UUID | None
    is_unread: bool
    has_files: bool
    answer_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A mail on its way to be a message: the rows that it becomes. Which conversation it joins is not known yet."""

    queued: QueuedMail
    parsed: ParsedMail
    verdict: Verdict
    keys: AccountKeys = field(repr=False)
    digest: bytes
    message: MessageRow
    attachments: list[AttachmentRow]
    conversation: ConversationRow
    """The conversation that it opens if it joins none."""

    @property
    def message_id(self) -> UUID:
        return self.message["id"]

    @property
    def own_conversation_id(self) -> UUID:
        return self.conversation["id"]

    @property
    def is_quarantined(self) -> bool:
        return self.verdict.authenticity in _QUARANTINED

    @property
    def is_misdirected(self) -> bool:
        return self.verdict.reason == NOT_ADDRESSED_HERE and self.is_quarantined

    @property
    def is_forwarded(self) -> bool:
        """Whether it is shown although it names another mailbox than ours."""
        return self.message["sent_to"] is not None and not self.is_quarantined

    @property
    def proves_its_network(self) -> bool:
        """Whether it came from Amazon's own hosts: it is Amazon's, and nobody who has it is known to have sent it on."""
        return (
            self.verdict.authenticity is Authenticity.AUTHENTIC
            and self.verdict.reason != FORWARDED_FROM_AMAZON
            and self.message["sent_to"] is None
        )


def make_new_message(
    mail: AuthenticatedMail, parsed: ParsedMail, keys: AccountKeys, *, recheck_at: datetime | None
) -> NewMessage:
    """Seal a mail for its account."""
    verdict, queued = mail.verdict, mail.unsealed.queued
    message_id = new_id()
    is_quarantined = verdict.authenticity in _QUARANTINED
    message = MessageRow(
        id=message_id,
        account_id=queued.account_id,
        integration_id=queued.integration_id,
        accepted_mail_id=queued.id,
        # The accepted mail is never rewritten: its key is kept a second time, for the readers of this account.
        raw_key=keys.seal(Place("messages", "raw_key", message_id), mail.unsealed.content_key.key),
        received_at=queued.accepted_at,
        size=queued.size,
        sent_to=keys.seal_text(Place("messages", "sent_to", message_id), "\n".join(mail.sent_to))
        if mail.is_elsewhere
        else None,
        sent_to_keys=mail.sent_to_keys(keys),
        answer_due_at=queued.accepted_at + TIME_TO_ANSWER if parsed.kind is MailKind.BUYER_MESSAGE else None,
        # What could not be parsed in time, or for another reason that may pass, is for `reprocess` to try once more.
        parser_version=0 if parsed.kind is MailKind.UNPARSEABLE else PARSER_VERSION,
        **verdict_columns(verdict, keys, message_id, recheck_at=recheck_at),
        **plain_columns(parsed, keys),
        **seal_texts(private_texts(parsed), keys, message_id),
    )
    return NewMessage(
        queued=queued,
        parsed=parsed,
        verdict=verdict,
        keys=keys,
        digest=keys.lookup_hash("mail", mail.identity),
        message=message,
        attachments=[
            attachment_row(attachment, keys, message_id, position, new_id())
            for position, attachment in enumerate(parsed.attachments)
        ],
        conversation=conversation_row(
            parsed,
            keys,
            new_id(),
            queued.integration_id,
            status=ConversationStatus.QUARANTINE if is_quarantined else ConversationStatus.OPEN,
        ),
    )


def verdict_columns(
    verdict: Verdict, keys: AccountKeys, message_id: UUID, *, recheck_at: datetime | None
) -> VerdictColumns:
    """A verdict as it is stored with its message."""
    return {
        "authenticity": verdict.authenticity.value,
        "authenticity_reason": verdict.reason,
        "authentication_results": keys.seal_text(
            Place("messages", "authentication_results", message_id), verdict.results
        ),
        "recheck_at": recheck_at,
    }


def parsed_columns(mail: ParsedMail, keys: AccountKeys) -> ParsedColumns:
    """What the parser says of a mail, in the columns of its message, in clear."""
    return {**plain_columns(mail, keys), **private_texts(mail)}


def plain_columns(mail: ParsedMail, keys: AccountKeys) -> PlainColumns:
    """What the parser says of a mail, as far as it is stored as it is."""
    return {
        "kind": mail.kind.value,
        "from_amazon_domain": mail.amazon_domain,
        "truncated": mail.truncated,
        "sent_at": mail.sent_at,
        "is_excerpt": mail.is_excerpt,
        "has_formatting": mail.has_formatting,
        "order_ids": list(mail.order_ids),
        "asin": mail.asin,
        "country": mail.country,
        "language": mail.language,
        "failure_reason": mail.failure_reason,
        "attachment_count": len(mail.attachments),
        "thread_keys": [keys.lookup_hash("thread", name) for name in threads_of(mail)],
        "word_keys": word_keys(
            keys,
            mail.subject,
            mail.sender_name,
            mail.buyer_name,
            mail.asin,
            *mail.order_ids,
            *(safe_filename(each.filename, each.content_type) for each in mail.attachments),
            mail.text,
            mail.quoted_text,
            addresses=(mail.buyer_address, mail.sender_address),
        ),
    }


def private_texts(mail: ParsedMail) -> PrivateTexts:
    """What the parser says of a mail, as far as it is stored sealed."""
    return {
        "subject": mail.subject,
        "sender_name": mail.sender_name,
        "sender_address": mail.sender_address,
        "body_text": mail.text,
        "snippet": snippet_of(mail.text),
        "body_html": mail.html,
        "quoted_text": mail.quoted_text,
        "verification_code": mail.verification_code,
    }


def seal_texts(texts: PrivateTexts, keys: AccountKeys, message_id: UUID) -> SealedTexts:
    """Seal the texts of a message, each for its own column."""

    def seal(column: str, text: str | None) -> Sealed | None:
        return None if text is None else keys.seal_text(Place("messages", column, message_id), text)

    return {
        "subject": seal("subject", texts["subject"]),
        "sender_name": seal("sender_name", texts["sender_name"]),
        "sender_address": seal("sender_address", texts["sender_address"]),
        "body_text": keys.seal_text(Place("messages", "body_text", message_id), texts["body_text"]),
        "snippet": seal("snippet", texts["snippet"]),
        "body_html": seal("body_html", texts["body_html"]),
        "quoted_text": seal("quoted_text", texts["quoted_text"]),
        "verification_code": seal("verification_code", texts["verification_code"]),
    }


def attachment_row(
    attachment: ParsedAttachment, keys: AccountKeys, message_id: UUID, position: int, attachment_id: UUID
) -> AttachmentRow:
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
        "blob_key": None,
        "blob_digest": None,
    }


def conversation_row(
    mail: ParsedMail,
    keys: AccountKeys,
    conversation_id: UUID,
    integration_id: UUID,
    *,
    status: ConversationStatus = ConversationStatus.OPEN,
) -> ConversationRow:
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
        "status": status.value,
    }
