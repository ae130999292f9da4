"""Accepted mail, and what it becomes: messages in conversations."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, CIDR, INET
from sqlalchemy.orm import Mapped, mapped_column

from shared.crypto.envelope import Sealed
from shared.driver import new_id
from shared.lanes import Lane
from shared.tables.base import PLACE, Base, now, one_of, referable_within_account, within_account

_LISTED = text("merged_into IS NULL")
# Without quarantine, so that a flood of forged mail does not slow the inbox down.
_SHOWN = text("merged_into IS NULL AND status <> 'quarantine'")


class MailState(StrEnum):
    """accepted → delivered. `held`: it does not open with its own key, again and again; counted, kept, never dropped.
    `resting`: its store is disconnected and in its grace period; restored, it becomes `accepted` again.
    """

    ACCEPTED = "accepted"
    RESTING = "resting"
    DELIVERED = "delivered"
    HELD = "held"


class ConversationStatus(StrEnum):
    """A conversation in `quarantine` has one mail, which claims to be Amazon's without proof; nobody answers it by mistake. One that is
    `snoozed` opens again at `snoozed_until`, or when its buyer writes.
    """

    OPEN = "open"
    SNOOZED = "snoozed"
    CLOSED = "closed"
    QUARANTINE = "quarantine"


class Authenticity(StrEnum):
    """Whether a mail is from Amazon. Only mail that claims to be is checked."""

    AUTHENTIC = "authentic"
    """A signature or a sending host proves that it is Amazon's."""
    MISDIRECTED = "misdirected"
    """It is proven to be Amazon's, and Amazon has addressed it to somebody else."""
    FORGED = "forged"
    """It claims to be Amazon's, and nothing proves it."""
    UNCHECKABLE = "uncheckable"
    """It claims to be Amazon's, and the DNS did not answer in time."""
    STRANGER = "stranger"
    """It does not claim to be Amazon's."""
    NOT_CHECKED = "not_checked"
    """It was accepted before there was a check."""


class Scan(StrEnum):
    """The malware scanner's result for an attachment."""

    CLEAN = "clean"
    INFECTED = "infected"
    FAILED = "failed"


class AcceptedMail(Base):
    """Raw mail, durable, not yet parsed: written by the relay, one row for each recipient.

    `content_key` is sealed to the mail worker's public key; `raw` and `envelope` are sealed with the content key
    (shared.crypto.raw_mail). A large `raw`, and one for several recipients, is a blob (shared.blobs), and the row has its key and
    SHA-256. The worker claims rows in state `accepted`; the row itself is the queue. `is_put_off`: it waits for `next_attempt_at`,
    and takes no turn before.
    """

    __tablename__ = "accepted_mail"
    __table_args__ = (
        one_of("state", MailState),
        one_of("lane", Lane),
        within_account("relay_address_id", "relay_addresses"),
        CheckConstraint(
            "num_nonnulls(raw, blob_key) = 1 AND num_nonnulls(blob_key, blob_digest) <> 1", name="raw_or_blob"
        ),
        Index("ix_accepted_mail_due", "next_attempt_at", postgresql_where=text("state = 'accepted'")),
        Index(
            "ix_accepted_mail_turns",
            "lane",
            "account_id",
            "relay_address_id",
            "next_attempt_at",
            postgresql_where=text("state = 'accepted' AND NOT is_put_off"),
        ),
        Index(
            "ix_accepted_mail_put_off",
            "lane",
            "next_attempt_at",
            postgresql_where=text("state = 'accepted' AND is_put_off"),
        ),
        Index("ix_accepted_mail_blob", "blob_key", postgresql_where=text("blob_key IS NOT NULL")),
        Index("ix_accepted_mail_address", "relay_address_id"),
        # Mail on its ordinary way, accepted and then delivered, is never in it.
        Index(
            "ix_accepted_mail_set_aside",
            "mail_key_id",
            postgresql_where=text("state IN ('resting', 'held')"),
        ),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID]
    relay_address_id: Mapped[UUID]
    accepted_at: Mapped[datetime] = mapped_column(server_default=now)
    session_id: Mapped[str]
    peer_address: Mapped[str] = mapped_column(INET)
    tls_version: Mapped[str | None]
    size: Mapped[int]
    mail_key_id: Mapped[str]
    content_key: Mapped[bytes]
    envelope: Mapped[Sealed] = mapped_column(info={PLACE: None})
    raw: Mapped[Sealed | None] = mapped_column(info={PLACE: None})
    blob_key: Mapped[str | None]
    blob_digest: Mapped[bytes | None]
    state: Mapped[str] = mapped_column(server_default="accepted")
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=now)
    failure_code: Mapped[str | None]
    lane: Mapped[str] = mapped_column(server_default="quick")
    is_put_off: Mapped[bool] = mapped_column(server_default=text("false"))


class ProvenNetwork(Base):
    """A network that a mail has come from which was proven to be Amazon's: an IPv4 address, or the /64 of an IPv6 one.

    Written by the mail worker, read by the relay, which lets such a network do more; forgotten after a month without such mail.
    """

    __tablename__ = "proven_networks"

    network: Mapped[str] = mapped_column(CIDR, primary_key=True)
    proven_at: Mapped[datetime] = mapped_column(server_default=now)


class Conversation(Base):
    """What one buyer and one seller say about one order or product (mailrelay's delivery/threads.py).

    A merged conversation stays, empty, so that its id still leads to `merged_into`. `answer_due_at` is the
    earliest due time among its messages that still wait for an answer. `snippet` is a copy of that of its newest message
    (`snippet_message_id`), sealed as it is there, so that it follows its message wherever that goes without being opened.
    `last_reply_at`: when an agent last wrote a reply. `tag_ids`: the account's tags that it has; the id of a tag that was deleted
    meanwhile says nothing.
    """

    __tablename__ = "conversations"
    __table_args__ = (
        UniqueConstraint("integration_id", "thread_key"),
        one_of("status", ConversationStatus),
        within_account("integration_id", "integrations"),
        within_account("merged_into", "conversations"),
        within_account("assignee_id", "users"),
        referable_within_account("conversations"),
        CheckConstraint("message_count >= 0", name="message_count"),
        CheckConstraint("merged_into IS NULL OR answer_due_at IS NULL", name="merged_into"),
        CheckConstraint("(status = 'snoozed') = (snoozed_until IS NOT NULL)", name="snoozed_until"),
        Index(
            "ix_conversations_newest",
            "account_id",
            text("last_message_at DESC"),
            text("id DESC"),
            postgresql_where=_SHOWN,
        ),
        Index(
            "ix_conversations_newest_of_status",
            "account_id",
            "status",
            text("last_message_at DESC"),
            text("id DESC"),
            postgresql_where=_LISTED,
        ),
        Index(
            "ix_conversations_newest_of_integration",
            "integration_id",
            text("last_message_at DESC"),
            text("id DESC"),
            postgresql_where=_SHOWN,
        ),
        Index(
            "ix_conversations_unread",
            "account_id",
            text("last_message_at DESC"),
            text("id DESC"),
            postgresql_where=text("is_unread AND merged_into IS NULL AND status <> 'quarantine'"),
        ),
        Index(
            "ix_conversations_due",
            "account_id",
            "answer_due_at",
            "id",
            postgresql_where=text("answer_due_at IS NOT NULL"),
        ),
        Index(
            "ix_conversations_buyer",
            "account_id",
            "buyer_key",
            postgresql_where=text("buyer_key IS NOT NULL"),
        ),
        Index("ix_conversations_merged", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
        # What is somebody's to do, and what is nobody's: along one index of both, those of nobody are in no order.
        Index(
            "ix_conversations_open_of_assignee",
            "account_id",
            "assignee_id",
            text("last_message_at DESC"),
            text("id DESC"),
            postgresql_where=text("status = 'open' AND merged_into IS NULL AND assignee_id IS NOT NULL"),
        ),
        Index(
            "ix_conversations_open_of_nobody",
            "account_id",
            text("last_message_at DESC"),
            text("id DESC"),
            postgresql_where=text("status = 'open' AND merged_into IS NULL AND assignee_id IS NULL"),
        ),
        Index("ix_conversations_assignee", "assignee_id", postgresql_where=text("assignee_id IS NOT NULL")),
        Index(
            "ix_conversations_snoozed",
            "snoozed_until",
            postgresql_where=text("snoozed_until IS NOT NULL AND merged_into IS NULL"),
        ),
        # Most have none, and each mail that comes writes a conversation's entries anew.
        Index(
            "ix_conversations_tags",
            "tag_ids",
            postgresql_using="gin",
            postgresql_where=text("tag_ids <> '{}'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    integration_id: Mapped[UUID]
    # Found by it were conversations of the version before; it goes with the next one (ConversationThread).
    thread_key: Mapped[bytes | None]
    order_id: Mapped[str | None]
    country: Mapped[str | None]
    buyer_key: Mapped[bytes | None]
    buyer_name: Mapped[Sealed | None]
    buyer_address: Mapped[Sealed | None]
    subject: Mapped[Sealed | None]
    snippet: Mapped[Sealed | None] = mapped_column(
        info={PLACE: ("messages", "snippet", "snippet_message_id")}
    )
    snippet_message_id: Mapped[UUID | None]
    message_count: Mapped[int] = mapped_column(server_default="0")
    last_message_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    status: Mapped[str] = mapped_column(server_default="open")
    kind: Mapped[str] = mapped_column(server_default="other")
    asin: Mapped[str | None]
    is_unread: Mapped[bool] = mapped_column(server_default=text("true"))
    answer_due_at: Mapped[datetime | None]
    last_reply_at: Mapped[datetime | None]
    merged_into: Mapped[UUID | None]
    assignee_id: Mapped[UUID | None]
    snoozed_until: Mapped[datetime | None]
    tag_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default="{}")
    has_files: Mapped[bool] = mapped_column(server_default=text("false"))


class ConversationThread(Base):
    """A thread that leads to a conversation: the keyed hash of a sign by which a mail joins it. A conversation has any number.

    Whoever touches a conversation's messages locks its threads first, then its row (shared.conversations). A mail's threads are
    claimed before the conversation that it opens is there: hence the deferred reference.
    """

    __tablename__ = "conversation_threads"
    __table_args__ = (
        Index("ix_conversation_threads_conversation", "conversation_id"),
        within_account("integration_id", "integrations"),
        within_account("conversation_id", "conversations", is_deferred=True),
    )

    integration_id: Mapped[UUID] = mapped_column(primary_key=True)
    thread_key: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    conversation_id: Mapped[UUID]


class ConversationOrder(Base):
    """An order that a conversation's mails name, by which the conversation is found.

    `is_proven`: a mail that is proven to be Amazon's names it. Only then it is the conversation's order: a stranger may name any.
    """

    __tablename__ = "conversation_orders"
    __table_args__ = (
        Index("ix_conversation_orders_conversation", "conversation_id"),
        within_account("conversation_id", "conversations"),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    order_id: Mapped[str] = mapped_column(primary_key=True)
    conversation_id: Mapped[UUID] = mapped_column(primary_key=True)
    is_proven: Mapped[bool] = mapped_column(server_default=text("false"))


class Message(Base):
    """What was read from an accepted mail. `raw_key` is that mail's content key, sealed under the account's data key.

    `thread_keys` are the signs by which it joins a conversation, the surest first, wherever an agent (`placed_by`) has put it.
    `is_excerpt`: `body_text` is the buyer's own words, taken out of Amazon's frame; else it is all that the mail says.
    `sent_to`: whom its signed To and Cc name, a line each, if that is not its relay address; `sent_to_keys`, keyed hashes of them.
    `snippet`: the first words of `body_text`, for lists. `word_keys`: keyed hashes of its words, by which it is found. `parser_version` is that of the code that understood it.
    `answered_by`: the reply that stopped its clock, which goes on if that reply fails.
    """

    __tablename__ = "messages"
    __table_args__ = (
        one_of("authenticity", Authenticity),
        within_account("integration_id", "integrations"),
        within_account("conversation_id", "conversations"),
        referable_within_account("messages"),
        Index("ix_messages_of_conversation", "conversation_id", text("id DESC")),
        Index("ix_messages_account", "account_id", "id"),
        Index("ix_messages_words", "word_keys", postgresql_using="gin"),
        Index("ix_messages_recheck", "recheck_at", postgresql_where=text("recheck_at IS NOT NULL")),
        Index(
            "ix_messages_misdirected",
            "integration_id",
            "id",
            postgresql_where=text("authenticity = 'misdirected'"),
        ),
        Index(
            "ix_messages_verification",
            "integration_id",
            text("id DESC"),
            postgresql_where=text("kind = 'verification'"),
        ),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    integration_id: Mapped[UUID]
    conversation_id: Mapped[UUID]
    accepted_mail_id: Mapped[UUID]
    raw_key: Mapped[Sealed]
    kind: Mapped[str]
    from_amazon_domain: Mapped[bool]
    truncated: Mapped[bool]
    received_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    subject: Mapped[Sealed | None]
    sender_name: Mapped[Sealed | None]
    sender_address: Mapped[Sealed | None]
    body_text: Mapped[Sealed]
    snippet: Mapped[Sealed | None]
    body_html: Mapped[Sealed | None]
    size: Mapped[int]
    attachment_count: Mapped[int]
    thread_keys: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary), server_default="{}")
    placed_by: Mapped[UUID | None]
    authenticity: Mapped[str] = mapped_column(server_default="not_checked")
    authenticity_reason: Mapped[str | None]
    authentication_results: Mapped[Sealed | None]
    recheck_at: Mapped[datetime | None]
    sent_to: Mapped[Sealed | None]
    sent_to_keys: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary), server_default="{}")
    order_ids: Mapped[list[str]] = mapped_column(server_default="{}")
    asin: Mapped[str | None]
    country: Mapped[str | None]
    language: Mapped[str | None]
    failure_reason: Mapped[str | None]
    verification_code: Mapped[Sealed | None]
    quoted_text: Mapped[Sealed | None]
    is_excerpt: Mapped[bool] = mapped_column(server_default=text("false"))
    has_formatting: Mapped[bool | None]
    word_keys: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default="{}")
    parser_version: Mapped[int] = mapped_column(server_default="0")
    answer_due_at: Mapped[datetime | None]
    answer_settled_at: Mapped[datetime | None]
    answered_by: Mapped[UUID | None]


class MessageDigest(Base):
    """Keyed digests by which a re-delivered mail is recognised: the second one finds the row of the first."""

    __tablename__ = "message_digests"
    __table_args__ = (
        within_account("relay_address_id", "relay_addresses"),
        Index("ix_message_digests_message", "message_id"),
    )

    relay_address_id: Mapped[UUID] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    message_id: Mapped[UUID]


class SeenSignature(Base):
    """A true mail of Amazon's that names no relay address, by a hash of what is signed of it, and the account that had it first.

    In another account it is a replay. Kept for some weeks.
    """

    __tablename__ = "seen_signatures"
    __table_args__ = (Index("ix_seen_signatures_seen_at", "seen_at"),)

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    seen_at: Mapped[datetime] = mapped_column(server_default=now)


class Attachment(Base):
    """A file in a mail. `content_type` is what the mail says, `sniffed_type` what the bytes are; `content_id`, the name under
    which the mail's HTML shows it (RFC 2392), without its brackets.
    """

    __tablename__ = "attachments"
    __table_args__ = (
        UniqueConstraint("message_id", "position"),
        one_of("scan", Scan),
        within_account("message_id", "messages"),
        CheckConstraint(
            "num_nonnulls(content, blob_key) = 1 AND num_nonnulls(blob_key, blob_digest) <> 1",
            name="content_or_blob",
        ),
        Index("ix_attachments_blob", "blob_key", postgresql_where=text("blob_key IS NOT NULL")),
        {"postgresql_partition_by": "RANGE (message_id)"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int]
    filename: Mapped[Sealed]
    content_type: Mapped[str]
    sniffed_type: Mapped[str | None]
    content_id: Mapped[Sealed | None]
    scan: Mapped[str | None]
    size: Mapped[int]
    content: Mapped[Sealed | None]
    blob_key: Mapped[str | None]
    blob_digest: Mapped[bytes | None]
