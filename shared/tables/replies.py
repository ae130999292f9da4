"""What agents write: replies on their way to buyers, their files, drafts, templates and internal notes."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.crypto.envelope import Sealed
from shared.driver import new_id
from shared.tables.base import Base, now, one_of, referable_within_account, within_account
from shared.tables.mail import Scan


class ReplyState(StrEnum):
    """Where a reply is. A draft is no reply yet: it has a table of its own."""

    SCHEDULED = "scheduled"
    """It waits for the time that the agent has chosen, and can be cancelled."""
    QUEUED = "queued"
    """It is sent as soon as its time to be undone is over."""
    SENDING = "sending"
    """A mail worker has it in hand. What dies meanwhile leaves it so, and another worker decides by `data_sent_at`."""
    HANDED_OVER = "handed_over"
    """The server has taken it, which proves nothing of what Amazon shows to the buyer."""
    CONFIRMED = "confirmed"
    """Amazon's notice, or the buyer's next mail in the thread, says that the buyer has it."""
    DELAYED = "delayed"
    """The server was away, or told us to come again; the next attempt has its time."""
    PERHAPS_SENT = "perhaps_sent"
    """The connection ended after the final dot and before the server's answer: the buyer may have it. An agent decides."""
    FAILED = "failed"
    """It has not reached the buyer, and nobody tries again unless an agent wants it."""
    CANCELED = "canceled"
    """An agent took it back before it was sent."""


class ReplyFailure(StrEnum):
    """Why a reply failed; each has its text and its cure on the page."""

    SENDER_NOT_APPROVED = "sender_not_approved"
    ATTACHMENT_REFUSED = "attachment_refused"
    BUYER_OPTED_OUT = "buyer_opted_out"
    SENDER_RESTRICTED = "sender_restricted"
    GUIDELINE_BLOCKED = "guideline_blocked"
    MESSAGE_LIMIT = "message_limit"
    CONVERSATION_CLOSED = "conversation_closed"
    ADDRESS_UNKNOWN = "address_unknown"
    TOO_LARGE = "too_large"
    TEMPORARY = "temporary"
    """Every attempt of four hours met a fault that passes."""
    SMTP_REFUSED = "smtp_refused"
    """The seller's own SMTP server refuses the sign-in or the sender."""
    NOT_ANSWERABLE = "not_answerable"
    """When its time came, the store was disconnected, paused or erased, or nobody was left to answer."""
    ATTACHMENT_INFECTED = "attachment_infected"
    UNKNOWN = "unknown"
    """Something else; the server's own words are kept."""


class ReplyTransport(StrEnum):
    """By which way a reply was sent."""

    PLATFORM = "platform"
    OWN = "own"


# In these a mail worker still has something to do.
_ON_ITS_WAY = text("state IN ('scheduled', 'queued', 'delayed')")


class OutboundMessage(Base):
    """A reply to a buyer, which is also its place in the queue: a mail worker claims rows that are due.

    `answers_message_id` is the buyer's message that it answers: the newest one, decided anew when it is first tried; that one may end with the
    partition of its month. `sent_from` and `transport` say how
    it went. `data_sent_at`: the final dot is about to be sent, committed before it is; as long as the server's answer is not
    stored, nobody knows whether the reply is with the buyer. `claimed_until` ends the claim of a worker that has died.
    `server_words` is what the server, or Amazon's failure mail, said, cleaned. `round` counts an agent's wishes to send it: a report
    about an earlier round says nothing of this one. `dismissed_at`: an agent has seen the failure and leaves it at that.
    """

    __tablename__ = "outbound_messages"
    __table_args__ = (
        one_of("state", ReplyState),
        one_of("failure", ReplyFailure),
        one_of("transport", ReplyTransport),
        CheckConstraint("(state = 'failed') = (failure IS NOT NULL)", name="failed"),
        CheckConstraint("(state = 'sending') = (claimed_until IS NOT NULL)", name="claimed"),
        within_account("integration_id", "integrations"),
        within_account("conversation_id", "conversations"),
        within_account("written_by", "users"),
        referable_within_account("outbound_messages"),
        Index("ix_outbound_messages_due", "due_at", "id", postgresql_where=_ON_ITS_WAY),
        Index("ix_outbound_messages_sending", "claimed_until", postgresql_where=text("state = 'sending'")),
        Index("ix_outbound_messages_conversation", "conversation_id", "id"),
        Index(
            "ix_outbound_messages_failed",
            "account_id",
            "id",
            postgresql_where=text("state IN ('failed', 'perhaps_sent') AND dismissed_at IS NULL"),
        ),
        # By this, a list sees which of its conversations have one.
        Index(
            "ix_outbound_messages_failed_of_conversation",
            "conversation_id",
            postgresql_where=text("state IN ('failed', 'perhaps_sent') AND dismissed_at IS NULL"),
        ),
        Index(
            "ix_outbound_messages_unconfirmed",
            "integration_id",
            "handed_over_at",
            postgresql_where=text("state = 'handed_over'"),
        ),
        Index("ix_outbound_messages_account", "account_id", "id"),
        Index("ix_outbound_messages_state", "account_id", "state", "id"),
        Index("ix_outbound_messages_store", "integration_id", "id"),
        Index(
            "ix_outbound_messages_refused",
            "integration_id",
            "id",
            postgresql_where=text("failure = 'sender_not_approved'"),
        ),
        Index(
            "ix_outbound_messages_order",
            "integration_id",
            "order_id",
            postgresql_where=text("order_id IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    integration_id: Mapped[UUID]
    conversation_id: Mapped[UUID]
    answers_message_id: Mapped[UUID]
    written_by: Mapped[UUID | None]
    body_text: Mapped[Sealed]
    country: Mapped[str | None]
    order_id: Mapped[str | None]
    closes_conversation: Mapped[bool] = mapped_column(server_default=text("false"))
    state: Mapped[str] = mapped_column(server_default="queued")
    state_since: Mapped[datetime] = mapped_column(server_default=now)
    due_at: Mapped[datetime]
    round: Mapped[int] = mapped_column(server_default="1")
    attempts: Mapped[int] = mapped_column(server_default="0")
    first_attempt_at: Mapped[datetime | None]
    claimed_until: Mapped[datetime | None]
    data_sent_at: Mapped[datetime | None]
    handed_over_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    transport: Mapped[str | None]
    sent_from: Mapped[str | None]
    failure: Mapped[str | None]
    server_words: Mapped[Sealed | None]
    dismissed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=now)


class ReplyFile(Base):
    """A file that an agent has chosen: of a draft until `outbound_message_id` says of which reply, then never changed.

    A draft's files are those of its conversation and of the user who has uploaded them. `content_type` is what our own look at the bytes and the
    name says.
    """

    __tablename__ = "reply_files"
    __table_args__ = (
        one_of("scan", Scan),
        CheckConstraint(
            "num_nonnulls(content, blob_key) = 1 AND num_nonnulls(blob_key, blob_digest) <> 1",
            name="content_or_blob",
        ),
        within_account("conversation_id", "conversations"),
        within_account("uploaded_by", "users"),
        within_account("outbound_message_id", "outbound_messages"),
        Index(
            "ix_reply_files_reply",
            "outbound_message_id",
            postgresql_where=text("outbound_message_id IS NOT NULL"),
        ),
        Index("ix_reply_files_conversation", "conversation_id", "uploaded_by"),
        Index(
            "ix_reply_files_outbound_message",
            "outbound_message_id",
            postgresql_where=text("outbound_message_id IS NOT NULL"),
        ),
        Index("ix_reply_files_of_drafts", "created_at", postgresql_where=text("outbound_message_id IS NULL")),
        Index("ix_reply_files_blob", "blob_key", postgresql_where=text("blob_key IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    conversation_id: Mapped[UUID]
    uploaded_by: Mapped[UUID | None]
    outbound_message_id: Mapped[UUID | None]
    position: Mapped[int] = mapped_column(server_default="0")
    filename: Mapped[Sealed]
    content_type: Mapped[str]
    size: Mapped[int]
    content: Mapped[Sealed | None]
    blob_key: Mapped[str | None]
    blob_digest: Mapped[bytes | None]
    scan: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=now)


class ReplyDraft(Base):
    """What a user has begun to write in a conversation: one draft for each of both. `version` counts its changes.

    `typed_at`: when they last typed, for colleagues who look at the same conversation.
    """

    __tablename__ = "reply_drafts"
    __table_args__ = (
        UniqueConstraint("conversation_id", "user_id"),
        within_account("conversation_id", "conversations"),
        within_account("user_id", "users"),
        Index("ix_reply_drafts_updated_at", "updated_at"),
        Index("ix_reply_drafts_user", "user_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    conversation_id: Mapped[UUID]
    user_id: Mapped[UUID]
    body_text: Mapped[Sealed]
    version: Mapped[int] = mapped_column(server_default="1")
    typed_at: Mapped[datetime] = mapped_column(server_default=now)
    updated_at: Mapped[datetime] = mapped_column(server_default=now)


class ReplyTemplate(Base):
    """A text with placeholders, for a language. It holds nothing of buyers. `name_key`: its name as names are compared."""

    __tablename__ = "reply_templates"
    __table_args__ = (
        UniqueConstraint("account_id", "language", "name_key"),
        CheckConstraint("char_length(name) BETWEEN 1 AND 100", name="name"),
        within_account("changed_by", "users"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    name: Mapped[str]
    name_key: Mapped[str]
    language: Mapped[str]
    body_text: Mapped[str]
    version: Mapped[int] = mapped_column(server_default="1")
    changed_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    updated_at: Mapped[datetime] = mapped_column(server_default=now)


class Note(Base):
    """What agents tell each other about a conversation. No code that sends anything reads this table."""

    __tablename__ = "notes"
    __table_args__ = (
        within_account("conversation_id", "conversations"),
        within_account("written_by", "users"),
        Index("ix_notes_conversation", "conversation_id", "id"),
        Index("ix_notes_account", "account_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    conversation_id: Mapped[UUID]
    written_by: Mapped[UUID | None]
    body_text: Mapped[Sealed]
    created_at: Mapped[datetime] = mapped_column(server_default=now)
