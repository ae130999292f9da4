"""Connected stores: their addresses, marketplaces, setup, SMTP servers, and the mails to their owners."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from shared.crypto.envelope import Sealed
from shared.driver import new_id
from shared.marketplaces import Region
from shared.tables.base import Base, now, one_of, referable_within_account, within_account


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


class Summary(StrEnum):
    """The state of a store in one sentence. Messages come in `working` and `countries_open`; what is true of the others says their name."""

    PAUSED = "paused"
    ACTION_NEEDED = "action_needed"
    UNNAMED = "unnamed"
    SETUP_OPEN = "setup_open"
    NO_MESSAGE = "no_message"
    ADDRESS_CONFIRMED = "address_confirmed"
    COUNTRIES_OPEN = "countries_open"
    WORKING = "working"


class SetupStepName(StrEnum):
    """What the seller does in Seller Central; the order is the guide's."""

    ORDER_REPORT_COLUMNS = "order_report_columns"
    SELLER_PROFILE = "seller_profile"
    NOTIFICATION_PREFERENCES = "notification_preferences"
    APPROVED_SENDER = "approved_sender"


class AfterGracePeriod(StrEnum):
    """What becomes of a disconnected store's conversations when its grace period is over."""

    KEEP = "keep"
    DELETE = "delete"


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


class NoticeKind(StrEnum):
    """The occasions on which somebody gets a mail of ours: the first four about a store, for its owner, the next about how they sign in,
    the last for administrators: what they should look at, and what becomes of their account.
    """

    LOCK_RED = "lock_red"
    CONSENT_30 = "consent_30"
    CONSENT_7 = "consent_7"
    CONSENT_1 = "consent_1"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - the name of an occasion
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of an occasion
    NEW_BROWSER = "new_browser"
    SECOND_FACTOR_CHANGED = "second_factor_changed"
    SECOND_FACTOR_RESET = "second_factor_reset"
    INVITATION = "invitation"
    MASS_READING = "mass_reading"
    FAILED_SIGN_INS = "failed_sign_ins"
    API_KEY_CREATED = "api_key_created"
    ACCOUNT_CLOSED = "account_closed"
    ACCOUNT_REOPENED = "account_reopened"


class NoticeState(StrEnum):
    """waiting → sent, or dead after the last try."""

    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"


class Integration(Base):
    """A connected store in one region. It has no name between consent and naming, and then no relay address either.

    Disconnected, it has a grace period until `rests_until`, in which it can be restored; then it is removed, its address retired for ever, and, if so
    decided, its data erased.
    `misdirected_mail_at`, `forwarded_mail_at`: when the last true mail came, to within some minutes, that Amazon had addressed to another
    mailbox: one that nobody has confirmed, and one of which mail is forwarded here.
    `sender_refused_at`: when Amazon first refused a reply because of its sender, nothing having got through since. `reply_confirmed_at`: when a
    reply was last known to have reached a buyer; `confirmation_notice_at`: when a notice of Amazon's last said so, which only stores get that
    want them.
    `verification_mail_at`: when Amazon first sent the mail by which it has the relay address confirmed.
    `summary`, `summary_countries`, `worst_check`: what the lock's reasons come to, stored with the lock whenever that is decided; `health_due_at`: when
    time alone may change them, null if it cannot.
    `uses_api`: false for a store whose seller does not authorize us at Amazon: its mail comes, its orders do not, and who sells there is unknown.
    `version` counts the changes that clients make. `alerted_lock_since`: the red lock of which its owner has been told.
    """

    __tablename__ = "integrations"
    __table_args__ = (
        CheckConstraint("source IN ('amazon')", name="source"),
        CheckConstraint("char_length(name) BETWEEN 1 AND 60", name="name"),
        CheckConstraint("(name IS NULL) = (name_key IS NULL)", name="name_key"),
        one_of("region", Region),
        one_of("lock", Lock),
        one_of("summary", Summary),
        CheckConstraint("seller_id IS NOT NULL OR NOT uses_api", name="seller_id"),
        one_of("sync_status", SyncStatus),
        one_of("data_after_rest", AfterGracePeriod),
        CheckConstraint("(disconnected_at IS NULL) = (rests_until IS NULL)", name="rests_until"),
        CheckConstraint("removed_at IS NULL OR disconnected_at IS NOT NULL", name="removed_at"),
        Index("uq_integrations_name", "account_id", "name_key", unique=True, postgresql_where=text("disconnected_at IS NULL")),
        Index(
            "uq_integrations_store", "account_id", "region", "seller_id", unique=True, postgresql_where=text("removed_at IS NULL")
        ),
        Index(
            "ix_integrations_misdirected", "misdirected_mail_at", postgresql_where=text("misdirected_mail_at IS NOT NULL")
        ),
        Index("ix_integrations_rest_over", "rests_until", postgresql_where=text("disconnected_at IS NOT NULL AND removed_at IS NULL")),
        Index("ix_integrations_health_due", "health_due_at", postgresql_where=text("health_due_at IS NOT NULL AND disconnected_at IS NULL")),
        within_account("owner_id", "users"),
        referable_within_account("integrations"),
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    source: Mapped[str] = mapped_column(server_default="amazon")
    name: Mapped[str | None]
    name_key: Mapped[str | None]
    region: Mapped[str]
    home_country: Mapped[str]
    seller_id: Mapped[str | None]
    uses_api: Mapped[bool] = mapped_column(server_default=text("true"))
    store_name: Mapped[str | None]
    lock: Mapped[str] = mapped_column(server_default="pending")
    lock_since: Mapped[datetime] = mapped_column(server_default=now)
    summary: Mapped[str] = mapped_column(server_default="unnamed")
    summary_countries: Mapped[list[str]] = mapped_column(server_default="{}")
    worst_check: Mapped[str | None]
    health_due_at: Mapped[datetime | None] = mapped_column(server_default=now)
    sync_status: Mapped[str] = mapped_column(server_default="never")
    synced_at: Mapped[datetime | None]
    last_message_at: Mapped[datetime | None]
    first_authentic_mail_at: Mapped[datetime | None]
    verification_mail_at: Mapped[datetime | None]
    misdirected_mail_at: Mapped[datetime | None]
    forwarded_mail_at: Mapped[datetime | None]
    last_order_at: Mapped[datetime | None]
    sender_refused_at: Mapped[datetime | None]
    reply_confirmed_at: Mapped[datetime | None]
    confirmation_notice_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    owner_id: Mapped[UUID | None]
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
    """A generated address. The local part is unique for ever: of an account that is erased, `SpentAddress` keeps it."""

    __tablename__ = "relay_addresses"
    __table_args__ = (
        CheckConstraint("local_part = lower(local_part)", name="local_part"),
        Index(
            "uq_relay_addresses_current",
            "integration_id",
            unique=True,
            postgresql_where=text("retired_at IS NULL"),
        ),
        within_account("integration_id", "integrations"),
        referable_within_account("relay_addresses"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    integration_id: Mapped[UUID] = mapped_column(index=True)
    local_part: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    retired_at: Mapped[datetime | None]


class SpentAddress(Base):
    """The local part of an address that was of an account that is erased: nobody's any more, and never given out again."""

    __tablename__ = "spent_addresses"

    local_part: Mapped[str] = mapped_column(primary_key=True)


class ForwardedMailbox(Base):
    """A mailbox of the seller's whose mail is forwarded to the store's relay address, as an administrator has confirmed.

    `address_key`: its keyed hash, by which a mail's recipient is found.
    """

    __tablename__ = "forwarded_mailboxes"
    __table_args__ = (
        UniqueConstraint("integration_id", "address_key"),
        within_account("integration_id", "integrations"),
        within_account("confirmed_by", "users"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    integration_id: Mapped[UUID]
    address: Mapped[Sealed]
    address_key: Mapped[bytes]
    confirmed_at: Mapped[datetime] = mapped_column(server_default=now)
    confirmed_by: Mapped[UUID | None]


class MarketplaceParticipation(Base):
    """One country of a store, as getMarketplaceParticipations last reported it. `last_order_at`: when the newest order of it that is known was placed.
    `account_status`: what Amazon said of the seller's account there at `account_status_at`; null if it never did.
    """

    __tablename__ = "marketplace_participations"
    __table_args__ = (within_account("integration_id", "integrations"),)

    integration_id: Mapped[UUID] = mapped_column(primary_key=True)
    marketplace_id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    country: Mapped[str]
    is_participating: Mapped[bool]
    has_suspended_listings: Mapped[bool]
    last_order_at: Mapped[datetime | None]
    account_status: Mapped[str | None]
    account_status_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=now)


class SetupStep(Base):
    """A step of the guide that is done, for one country. A step without a row is open."""

    __tablename__ = "setup_steps"
    __table_args__ = (
        one_of("step", SetupStepName),
        within_account("integration_id", "integrations"),
        within_account("done_by", "users"),
    )

    integration_id: Mapped[UUID] = mapped_column(primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    country: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    done_at: Mapped[datetime] = mapped_column(server_default=now)
    done_by: Mapped[UUID | None]


class SmtpConfiguration(Base):
    """The seller's own SMTP server, for replies. The password is never shown again.

    `refused_since`, `refused_at`: when it first and last refused the sign-in or the sender, nothing having been sent by it since.
    """

    __tablename__ = "smtp_configurations"
    __table_args__ = (
        one_of("tls_mode", TlsMode),
        one_of("check_result", SmtpCheck),
        CheckConstraint("port BETWEEN 1 AND 65535", name="port"),
        CheckConstraint("(checked_at IS NULL) = (check_result IS NULL)", name="checked"),
        within_account("integration_id", "integrations"),
    )

    integration_id: Mapped[UUID] = mapped_column(primary_key=True)
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
    refused_since: Mapped[datetime | None]
    refused_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=now)


class Notice(Base):
    """A mail of ours, written by the transaction that it reports. The key prevents a second mail about the same. No secret is in it: a link
    that lets somebody in is made when the mail is sent.
    """

    __tablename__ = "notices"
    __table_args__ = (
        one_of("kind", NoticeKind),
        one_of("state", NoticeState),
        CheckConstraint(
            "(integration_id IS NOT NULL) = (kind IN ('lock_red', 'consent_30', 'consent_7', 'consent_1'))",
            name="integration_id",
        ),
        Index("ix_notices_due", "next_attempt_at", postgresql_where=text("state = 'waiting'")),
        within_account("user_id", "users"),
        within_account("integration_id", "integrations"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    user_id: Mapped[UUID]
    integration_id: Mapped[UUID | None]
    kind: Mapped[str]
    dedupe_key: Mapped[str] = mapped_column(unique=True)
    fields: Mapped[dict[str, str]] = mapped_column(server_default=text("'{}'"))
    state: Mapped[str] = mapped_column(server_default="waiting")
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=now)
    sent_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=now)
