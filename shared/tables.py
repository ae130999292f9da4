"""Every table, once. Both services read this file; `migrations/` makes it true, and a test holds the two together.

Rules: `account_id` on whatever belongs to a customer; enumerations are text with a CHECK; sealed columns are `Sealed` and
are opened on purpose, never on load. Growing tables are partitioned by ranges of their UUIDv7 id, which begins with the
time: look-ups by id touch one partition, and references to them stay simple (docs/adr/0002).
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, INET, JSONB, TIMESTAMP
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator
from typing_extensions import override

from shared.crypto.envelope import Sealed
from shared.database import new_id
from shared.marketplaces import Region
from shared.permissions import Level


class SealedColumn(TypeDecorator[Sealed]):
    """bytea in the database, `Sealed` in Python; no cryptography happens here."""

    impl: type[LargeBinary] = LargeBinary  # type: ignore[mutable-override]  # SQLAlchemy reads it from the class
    cache_ok: bool | None = True

    @override
    def process_bind_param(self, value: Sealed | None, dialect: Dialect) -> bytes | None:
        return None if value is None else value.ciphertext

    @override
    def process_result_value(self, value: Any | None, dialect: Dialect) -> Sealed | None:
        return None if value is None else Sealed(value)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        datetime: TIMESTAMP(timezone=True),
        bytes: LargeBinary,
        float: DOUBLE_PRECISION,
        list[str]: ARRAY(Text),
        dict[str, str]: JSONB,
        Sealed: SealedColumn,
    }


class SyncStatus(StrEnum):
    NEVER = "never"
    RUNNING = "running"
    OK = "ok"
    LATE = "late"
    FAILED = "failed"
    PAUSED = "paused"


class Lock(StrEnum):
    GREEN = "green"
    RED = "red"
    PENDING = "pending"


class Outcome(StrEnum):
    """How an attempt ended."""

    CONNECTED = "connected"
    REAUTHORIZED = "reauthorized"
    FAILED = "failed"


class SetupStepName(StrEnum):
    """What the seller does in Seller Central; the order is the guide's."""

    ORDER_REPORT_COLUMNS = "order_report_columns"
    SELLER_PROFILE = "seller_profile"
    NOTIFICATION_PREFERENCES = "notification_preferences"


class AfterRest(StrEnum):
    """What becomes of a disconnected store's conversations when its rest is over."""

    KEEP = "keep"
    DELETE = "delete"


class StartedBy(StrEnum):
    """Where an authorization began: on our page, or in Amazon's Appstore and Manage Your Apps."""

    WEBSITE = "website"
    AMAZON = "amazon"


class RefusedBy(StrEnum):
    """Who did not take a grant's tokens: Login with Amazon the refresh token, or the SP-API one that was new."""

    LWA = "lwa"
    SP_API = "sp_api"


class TlsMode(StrEnum):
    """How a connection to an SMTP server is made safe: after EHLO, or from the first byte."""

    STARTTLS = "starttls"
    TLS = "tls"


class SmtpCheck(StrEnum):
    """How the last test of an SMTP configuration ended."""

    OK = "ok"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    AUTH = "auth"
    REJECTED = "rejected"
    TIMEOUT = "timeout"


class DeliveryState(StrEnum):
    """waiting → delivered, or dead after the last try."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


class NoticeKind(StrEnum):
    """What a store's owner is told by mail."""

    LOCK_RED = "lock_red"
    CONSENT_30 = "consent_30"
    CONSENT_7 = "consent_7"
    CONSENT_1 = "consent_1"


class NoticeState(StrEnum):
    """waiting → sent, or dead after the last try."""

    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"


class MailState(StrEnum):
    """accepted → delivered. `held`: it does not open with its own key, again and again; counted, kept, never dropped.
    `resting`: its store is disconnected; restored, it becomes `accepted` again.
    """

    ACCEPTED = "accepted"
    RESTING = "resting"
    DELIVERED = "delivered"
    HELD = "held"


class ConversationStatus(StrEnum):
    """`quarantine`: its one mail claims to be Amazon's and is not proven to be; nobody answers it by mistake."""

    OPEN = "open"
    CLOSED = "closed"
    QUARANTINE = "quarantine"


class Authenticity(StrEnum):
    """Whether a mail is from whom it says. Only what says it is Amazon's is held to it."""

    AUTHENTIC = "authentic"
    """A signer or sender of Amazon's, proven."""
    FORGED = "forged"
    """It says that it is Amazon's, and nothing proves it."""
    UNCHECKABLE = "uncheckable"
    """It says that it is Amazon's, and the DNS did not answer in time."""
    STRANGER = "stranger"
    """It does not say that it is Amazon's."""
    NOT_CHECKED = "not_checked"
    """It came before there was a check."""


class Scan(StrEnum):
    """What the malware scanner said of an attachment."""

    CLEAN = "clean"
    INFECTED = "infected"
    FAILED = "failed"


def _one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


_now = text("now()")
_LISTED = text("merged_into IS NULL")
# A flood of forged mail lies outside of what is looked through for the inbox.
_SHOWN = text("merged_into IS NULL AND status <> 'quarantine'")


class Account(Base):
    __tablename__ = "accounts"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=_now)


class AccountKey(Base):
    """A data key of an account, wrapped by the key provider."""

    __tablename__ = "account_keys"
    __table_args__ = (
        CheckConstraint("purpose IN ('seal', 'lookup')", name="purpose"),
        Index(
            "uq_account_keys_current",
            "account_id",
            "purpose",
            unique=True,
            postgresql_where=text("retired_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    purpose: Mapped[str]
    wrapping_key_id: Mapped[str]
    wrapped: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=_now)
    retired_at: Mapped[datetime | None]


class User(Base):
    __tablename__ = "users"
    __table_args__ = (_one_of("general_admin", Level), _one_of("inbox_messages", Level))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    name: Mapped[str]
    language: Mapped[str] = mapped_column(server_default="en")
    time_zone: Mapped[str] = mapped_column(server_default="UTC")
    general_admin: Mapped[str]
    inbox_messages: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=_now)
    disabled_at: Mapped[datetime | None]


class UserSession(Base):
    """A sign-in. The cookie holds the token, the row only its hash."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=_now)
    last_seen_at: Mapped[datetime] = mapped_column(server_default=_now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class SignInFailures(Base):
    """Failed sign-ins in the current window, counted by hashed e-mail address and by hashed network."""

    __tablename__ = "sign_in_failures"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    failures: Mapped[int]
    window_ends_at: Mapped[datetime] = mapped_column(index=True)


class ApiKey(Base):
    """A program's way in: a bearer token of which only the hash is kept."""

    __tablename__ = "api_keys"
    __table_args__ = (_one_of("general_admin", Level), _one_of("inbox_messages", Level))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    name: Mapped[str]
    hint: Mapped[str]
    secret_hash: Mapped[bytes] = mapped_column(unique=True)
    general_admin: Mapped[str]
    inbox_messages: Mapped[str]
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=_now)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Integration(Base):
    """A connected store in one region. It has no name between consent and naming, and then no relay address either.

    Disconnected, it rests until `rests_until` and can be restored; then it is removed, its address retired for ever, and, if so
    decided, its data erased.
    `version` counts the changes that clients make. `alerted_lock_since`: the red lock of which its owner has been told.
    """

    __tablename__ = "integrations"
    __table_args__ = (
        CheckConstraint("source IN ('amazon')", name="source"),
        CheckConstraint("char_length(name) BETWEEN 1 AND 60", name="name"),
        CheckConstraint("(name IS NULL) = (name_key IS NULL)", name="name_key"),
        _one_of("region", Region),
        _one_of("lock", Lock),
        _one_of("sync_status", SyncStatus),
        _one_of("data_after_rest", AfterRest),
        CheckConstraint("(disconnected_at IS NULL) = (rests_until IS NULL)", name="rests_until"),
        CheckConstraint("removed_at IS NULL OR disconnected_at IS NOT NULL", name="removed_at"),
        Index("uq_integrations_name", "account_id", "name_key", unique=True, postgresql_where=text("disconnected_at IS NULL")),
        Index(
            "uq_integrations_store", "account_id", "region", "seller_id", unique=True, postgresql_where=text("removed_at IS NULL")
        ),
        Index("ix_integrations_rest_over", "rests_until", postgresql_where=text("disconnected_at IS NOT NULL AND removed_at IS NULL")),
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    source: Mapped[str] = mapped_column(server_default="amazon")
    name: Mapped[str | None]
    name_key: Mapped[str | None]
    region: Mapped[str]
    home_country: Mapped[str]
    seller_id: Mapped[str]
    store_name: Mapped[str | None]
    lock: Mapped[str] = mapped_column(server_default="pending")
    lock_since: Mapped[datetime] = mapped_column(server_default=_now)
    sync_status: Mapped[str] = mapped_column(server_default="never")
    synced_at: Mapped[datetime | None]
    last_message_at: Mapped[datetime | None]
    last_order_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=_now)
    owner_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    version: Mapped[int] = mapped_column(server_default="1")
    paused_at: Mapped[datetime | None]
    disconnected_at: Mapped[datetime | None]
    rests_until: Mapped[datetime | None]
    data_after_rest: Mapped[str | None]
    removed_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]
    idle_participation_since: Mapped[datetime | None]
    idle_participation_checks: Mapped[int] = mapped_column(server_default="0")
    alerted_lock_since: Mapped[datetime | None]
    consent_warned: Mapped[int | None]


class RelayAddress(Base):
    """A generated address. The local part is unique for ever: rows are never deleted."""

    __tablename__ = "relay_addresses"
    __table_args__ = (
        CheckConstraint("local_part = lower(local_part)", name="local_part"),
        Index(
            "uq_relay_addresses_current",
            "integration_id",
            unique=True,
            postgresql_where=text("retired_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    integration_id: Mapped[UUID] = mapped_column(ForeignKey("integrations.id"))
    local_part: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=_now)
    retired_at: Mapped[datetime | None]


class AuthorizationAttempt(Base):
    """One try to authorize. Consumed by one atomic statement; the outcome stays, so a second callback shows the first's."""

    __tablename__ = "authorization_attempts"
    __table_args__ = (
        _one_of("region", Region),
        _one_of("outcome", Outcome),
        CheckConstraint("outcome IS NULL OR consumed_at IS NOT NULL", name="outcome_after_consumption"),
        CheckConstraint("(outcome = 'failed') = (problem_code IS NOT NULL)", name="problem_code"),
        _one_of("right_region", Region),
        _one_of("started_by", StartedBy),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    state_hash: Mapped[bytes] = mapped_column(unique=True)
    browser_hash: Mapped[bytes]
    country: Mapped[str]
    region: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=_now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    consumed_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    problem_code: Mapped[str | None]
    right_region: Mapped[str | None]
    integration_id: Mapped[UUID | None] = mapped_column(ForeignKey("integrations.id"))
    started_by: Mapped[str] = mapped_column(server_default="website")
    reconnects: Mapped[UUID | None] = mapped_column(ForeignKey("integrations.id"))
    seller_id_expected: Mapped[str | None]


class LoginRequest(Base):
    """What Amazon sent to the login URI, kept through our own sign-in. Good once, for one browser, for some minutes."""

    __tablename__ = "login_requests"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    browser_hash: Mapped[bytes] = mapped_column(index=True)
    amazon_callback_uri: Mapped[str]
    amazon_state: Mapped[str]
    seller_id: Mapped[str]
    is_draft: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(server_default=_now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Grant(Base):
    """Amazon's permission for one integration. `version` counts every change of the tokens.

    What Amazon has refused lately lies beside the tokens: `refused_at` once, `revoked_at` confirmed, `delayed_since` while
    Amazon is in trouble, `role_missing_since` for one operation. `next_refresh_at` is when the worker renews it unasked.
    """

    __tablename__ = "grants"
    __table_args__ = (
        _one_of("region", Region),
        CheckConstraint(
            "(role_missing_since IS NULL) = (role_missing_operation IS NULL)", name="role_missing"
        ),
        _one_of("refused_by", RefusedBy),
        Index("ix_grants_due", "next_refresh_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    integration_id: Mapped[UUID] = mapped_column(ForeignKey("integrations.id"), unique=True)
    region: Mapped[str]
    seller_id: Mapped[str]
    refresh_token: Mapped[Sealed]
    access_token: Mapped[Sealed | None]
    access_token_expires_at: Mapped[datetime | None]
    access_token_seconds: Mapped[int] = mapped_column(server_default="3600")
    version: Mapped[int] = mapped_column(server_default="1")
    lease_holder: Mapped[UUID | None]
    leased_until: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    next_refresh_at: Mapped[datetime | None]
    refused_at: Mapped[datetime | None]
    refused_by: Mapped[str | None]
    revoked_at: Mapped[datetime | None]
    delayed_since: Mapped[datetime | None]
    role_missing_since: Mapped[datetime | None]
    role_missing_operation: Mapped[str | None]
    consented_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=_now)


class MarketplaceParticipation(Base):
    """What getMarketplaceParticipations said last of one country."""

    __tablename__ = "marketplace_participations"

    integration_id: Mapped[UUID] = mapped_column(ForeignKey("integrations.id"), primary_key=True)
    marketplace_id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    country: Mapped[str]
    is_participating: Mapped[bool]
    has_suspended_listings: Mapped[bool]
    updated_at: Mapped[datetime] = mapped_column(server_default=_now)


class SetupStep(Base):
    """A step of the guide that is done, for one country. What has no row is open."""

    __tablename__ = "setup_steps"
    __table_args__ = (_one_of("step", SetupStepName),)

    integration_id: Mapped[UUID] = mapped_column(ForeignKey("integrations.id"), primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    country: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    done_at: Mapped[datetime] = mapped_column(server_default=_now)
    done_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))


class AcceptedMail(Base):
    """Raw mail, durable, not yet understood: written by the relay, one row for each recipient.

    `content_key` is sealed to the mail worker's public key; `raw` and `envelope` are sealed with the content key
    (shared.crypto.raw_mail). A large `raw`, and one for several recipients, is a blob (shared.blobs), and the row has its key and
    SHA-256. The worker claims rows in state `accepted`; the row itself is the queue.
    """

    __tablename__ = "accepted_mail"
    __table_args__ = (
        _one_of("state", MailState),
        CheckConstraint(
            "num_nonnulls(raw, blob_key) = 1 AND num_nonnulls(blob_key, blob_digest) <> 1", name="raw_or_blob"
        ),
        Index("ix_accepted_mail_due", "next_attempt_at", postgresql_where=text("state = 'accepted'")),
        Index("ix_accepted_mail_blob", "blob_key", postgresql_where=text("blob_key IS NOT NULL")),
        Index("ix_accepted_mail_address", "relay_address_id"),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID]
    relay_address_id: Mapped[UUID] = mapped_column(ForeignKey("relay_addresses.id"))
    accepted_at: Mapped[datetime] = mapped_column(server_default=_now)
    session_id: Mapped[str]
    peer_address: Mapped[str] = mapped_column(INET)
    tls_version: Mapped[str | None]
    size: Mapped[int]
    mail_key_id: Mapped[str]
    content_key: Mapped[bytes]
    envelope: Mapped[Sealed]
    raw: Mapped[Sealed | None]
    blob_key: Mapped[str | None]
    blob_digest: Mapped[bytes | None]
    state: Mapped[str] = mapped_column(server_default="accepted")
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=_now)
    failure_code: Mapped[str | None]


class Conversation(Base):
    """What one buyer and one seller say about one order or product (mailrelay's delivery/threads.py).

    One that was merged stays, empty, for whoever still has its id: everything of it is in `merged_into`. `answer_due_at` is the
    earliest due time among its messages that still wait for an answer.
    """

    __tablename__ = "conversations"
    __table_args__ = (
        UniqueConstraint("integration_id", "thread_key"),
        _one_of("status", ConversationStatus),
        CheckConstraint("message_count >= 0", name="message_count"),
        CheckConstraint("merged_into IS NULL OR answer_due_at IS NULL", name="merged_into"),
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
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    integration_id: Mapped[UUID] = mapped_column(ForeignKey("integrations.id"))
    # Found by it were conversations of the version before; it goes with the next one (ConversationThread).
    thread_key: Mapped[bytes | None]
    order_id: Mapped[str | None]
    country: Mapped[str | None]
    buyer_key: Mapped[bytes | None]
    buyer_name: Mapped[Sealed | None]
    buyer_address: Mapped[Sealed | None]
    subject: Mapped[Sealed | None]
    message_count: Mapped[int] = mapped_column(server_default="0")
    last_message_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=_now)
    status: Mapped[str] = mapped_column(server_default="open")
    kind: Mapped[str] = mapped_column(server_default="other")
    asin: Mapped[str | None]
    is_unread: Mapped[bool] = mapped_column(server_default=text("true"))
    answer_due_at: Mapped[datetime | None]
    merged_into: Mapped[UUID | None] = mapped_column(ForeignKey("conversations.id"))


class ConversationThread(Base):
    """A thread that leads to a conversation: the keyed hash of a sign by which a mail joins it. A conversation has any number.

    Whoever touches a conversation's messages locks its threads first, then its row (shared.conversations). A mail's threads are
    claimed before the conversation that it opens is there: hence the deferred reference.
    """

    __tablename__ = "conversation_threads"
    __table_args__ = (Index("ix_conversation_threads_conversation", "conversation_id"),)

    integration_id: Mapped[UUID] = mapped_column(ForeignKey("integrations.id"), primary_key=True)
    thread_key: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    conversation_id: Mapped[UUID] = mapped_column(
        ForeignKey("conversations.id", deferrable=True, initially="DEFERRED")
    )


class ConversationOrder(Base):
    """Every order that a conversation's mails name, by which it is found."""

    __tablename__ = "conversation_orders"
    __table_args__ = (Index("ix_conversation_orders_conversation", "conversation_id"),)

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    order_id: Mapped[str] = mapped_column(primary_key=True)
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id"), primary_key=True)


class Message(Base):
    """What was understood of an accepted mail. `raw_key` is that mail's content key, sealed under the account's data key.

    `thread_keys` are the signs by which it joins a conversation, the surest first, wherever an agent (`placed_by`) has put it.
    `is_excerpt`: `body_text` is the buyer's own words, taken out of Amazon's frame; else it is all that the mail says.
    `word_keys`: keyed hashes of its words, by which it is found. `parser_version` is that of the code that understood it.
    """

    __tablename__ = "messages"
    __table_args__ = (
        _one_of("authenticity", Authenticity),
        Index("ix_messages_of_conversation", "conversation_id", text("id DESC")),
        Index("ix_messages_words", "word_keys", postgresql_using="gin"),
        Index("ix_messages_recheck", "recheck_at", postgresql_where=text("recheck_at IS NOT NULL")),
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
    integration_id: Mapped[UUID] = mapped_column(ForeignKey("integrations.id"))
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id"))
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
    body_html: Mapped[Sealed | None]
    size: Mapped[int]
    attachment_count: Mapped[int]
    thread_keys: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary), server_default="{}")
    placed_by: Mapped[UUID | None]
    authenticity: Mapped[str] = mapped_column(server_default="not_checked")
    authenticity_reason: Mapped[str | None]
    authentication_results: Mapped[Sealed | None]
    recheck_at: Mapped[datetime | None]
    order_ids: Mapped[list[str]] = mapped_column(server_default="{}")
    asin: Mapped[str | None]
    country: Mapped[str | None]
    language: Mapped[str | None]
    failure_reason: Mapped[str | None]
    verification_code: Mapped[Sealed | None]
    quoted_text: Mapped[Sealed | None]
    is_excerpt: Mapped[bool] = mapped_column(server_default=text("false"))
    word_keys: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default="{}")
    parser_version: Mapped[int] = mapped_column(server_default="0")
    answer_due_at: Mapped[datetime | None]
    answer_settled_at: Mapped[datetime | None]


class MessageDigest(Base):
    """Keyed digests by which a re-delivered mail is recognised: the second one finds the row of the first."""

    __tablename__ = "message_digests"

    relay_address_id: Mapped[UUID] = mapped_column(ForeignKey("relay_addresses.id"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    message_id: Mapped[UUID]


class Attachment(Base):
    """A file in a mail. `content_type` is what the mail says, `sniffed_type` what the bytes are; `content_id`, the name under
    which the mail's HTML shows it (RFC 2392), without its brackets.
    """

    __tablename__ = "attachments"
    __table_args__ = (UniqueConstraint("message_id", "position"), _one_of("scan", Scan))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    message_id: Mapped[UUID] = mapped_column(ForeignKey("messages.id"))
    position: Mapped[int]
    filename: Mapped[Sealed]
    content_type: Mapped[str]
    sniffed_type: Mapped[str | None]
    content_id: Mapped[Sealed | None]
    scan: Mapped[str | None]
    size: Mapped[int]
    content: Mapped[Sealed]


class ServiceTrouble(Base):
    """What fails for many stores at once; a row lives as long as the trouble. Scopes: application, lwa, sp-api:eu and so on."""

    __tablename__ = "service_troubles"

    scope: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str]
    since: Mapped[datetime] = mapped_column(server_default=_now)


class ThrottleBucket(Base):
    """A token bucket, shared by all processes. `rate` is tokens a second."""

    __tablename__ = "throttle_buckets"

    key: Mapped[str] = mapped_column(primary_key=True)
    tokens: Mapped[float]
    rate: Mapped[float]
    burst: Mapped[float]
    updated_at: Mapped[datetime] = mapped_column(server_default=_now, index=True)


class ApplicationSecret(Base):
    """A client secret that came by Amazon's rotation, wrapped by the key provider. The newest one counts first."""

    __tablename__ = "application_secrets"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    client_id: Mapped[str]
    wrapping_key_id: Mapped[str]
    wrapped: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=_now)
    expires_at: Mapped[datetime | None]


class ApplicationNotice(Base):
    """A notice of Amazon's that was taken out of its queue. `secret_ends_at`: when the client secret ends of which it tells."""

    __tablename__ = "application_notices"
    __table_args__ = (UniqueConstraint("client_id", "notification_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    client_id: Mapped[str]
    notification_id: Mapped[str]
    secret_ends_at: Mapped[datetime]
    received_at: Mapped[datetime] = mapped_column(server_default=_now)


class SmtpConfiguration(Base):
    """The seller's own SMTP server, for replies. The password is never shown again."""

    __tablename__ = "smtp_configurations"
    __table_args__ = (
        _one_of("tls_mode", TlsMode),
        _one_of("check_result", SmtpCheck),
        CheckConstraint("port BETWEEN 1 AND 65535", name="port"),
        CheckConstraint("(checked_at IS NULL) = (check_result IS NULL)", name="checked"),
    )

    integration_id: Mapped[UUID] = mapped_column(ForeignKey("integrations.id"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    host: Mapped[str]
    port: Mapped[int]
    tls_mode: Mapped[str]
    username: Mapped[str]
    password: Mapped[Sealed]
    sender_address: Mapped[str]
    version: Mapped[int] = mapped_column(server_default="1")
    checked_at: Mapped[datetime | None]
    check_result: Mapped[str | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=_now)


class EventRow(Base):
    """An event, written by the transaction that it tells of: what webhooks are fanned out from, and what a listener resumes from."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_account", "account_id", "id"),
        Index("ix_events_due", "id", postgresql_where=text("fanned_out_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    at: Mapped[datetime] = mapped_column(server_default=_now)
    kind: Mapped[str]
    ids: Mapped[dict[str, str]]
    fanned_out_at: Mapped[datetime | None]


class Webhook(Base):
    """A program's address that is told events. For a while after a rotation both secrets sign."""

    __tablename__ = "webhooks"
    __table_args__ = (
        CheckConstraint(
            "(previous_secret IS NULL) = (previous_secret_until IS NULL)", name="previous_secret"
        ),
        CheckConstraint("cardinality(kinds) > 0", name="kinds"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    url: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    kinds: Mapped[list[str]]
    secret: Mapped[Sealed]
    previous_secret: Mapped[Sealed | None]
    previous_secret_until: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default="1")
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=_now)
    failing_since: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]


class WebhookDelivery(Base):
    """One event for one webhook. `last_error` is a class of failure, never what the other side said."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        _one_of("state", DeliveryState),
        UniqueConstraint("webhook_id", "event_id"),
        Index(
            "ix_webhook_deliveries_due",
            "webhook_id",
            "next_attempt_at",
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("ix_webhook_deliveries_webhook", "webhook_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    event_id: Mapped[UUID]
    kind: Mapped[str]
    ids: Mapped[dict[str, str]]
    event_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(server_default="waiting")
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=_now)
    last_attempt_at: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]
    delivered_at: Mapped[datetime | None]


class IdempotencyKey(Base):
    """The answer to a POST that carried an Idempotency-Key, so that its repetition is answered alike. Kept for a day."""

    __tablename__ = "idempotency_keys"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    caller_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    row_id: Mapped[UUID] = mapped_column(default=new_id)
    method: Mapped[str]
    path: Mapped[str]
    request_digest: Mapped[bytes]
    status: Mapped[int | None]
    answer: Mapped[Sealed | None]
    created_at: Mapped[datetime] = mapped_column(server_default=_now)
    locked_until: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Notice(Base):
    """A mail to a store's owner, written by the transaction that it tells of. The key keeps it from being told twice."""

    __tablename__ = "notices"
    __table_args__ = (
        _one_of("kind", NoticeKind),
        _one_of("state", NoticeState),
        Index("ix_notices_due", "next_attempt_at", postgresql_where=text("state = 'waiting'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    integration_id: Mapped[UUID] = mapped_column(ForeignKey("integrations.id"))
    kind: Mapped[str]
    dedupe_key: Mapped[str] = mapped_column(unique=True)
    fields: Mapped[dict[str, str]] = mapped_column(server_default=text("'{}'"))
    state: Mapped[str] = mapped_column(server_default="waiting")
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=_now)
    sent_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=_now)


class AuditEntry(Base):
    """Who did what, and when. Append-only: no role may change or delete a row."""

    __tablename__ = "audit_log"
    __table_args__ = (
        CheckConstraint("actor_kind IN ('user', 'api_key', 'system')", name="actor_kind"),
        Index("ix_audit_log_account", "account_id", "id"),
        # For what is rare among much else: newest first, without looking through it all.
        Index("ix_audit_log_actor", "account_id", "actor_id", "id"),
        Index("ix_audit_log_subject", "account_id", "subject_id", "id"),
        Index("ix_audit_log_action", "account_id", "action", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    at: Mapped[datetime] = mapped_column(server_default=_now)
    actor_kind: Mapped[str]
    actor_id: Mapped[UUID | None]
    action: Mapped[str]
    subject_id: Mapped[UUID | None]
    fields: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
