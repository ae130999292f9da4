"""Who uses the product: accounts and their keys, users, API keys, and what they did."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.crypto.envelope import Sealed
from shared.driver import new_id
from shared.permissions import Level
from shared.tables.base import PLACE, Base, now, one_of, referable_within_account, within_account
from shared.tables.sign_in import SecondFactor, SignInMethod


class Account(Base):
    """A customer. `messages_kept_days`: how long mail is kept. `longer_kept_days`: by how much longer than the rules say what came
    from the SP-API is kept, because a law demands it (`longer_kept_reason`). `second_factor`: who has to have one. The sessions of
    whoever may edit general.admin end after `admin_session_hours`, or after `admin_idle_minutes` without use.
    `form_of_address`: how pages and mails address its people who choose nothing else.
    From `closed_at` on nobody gets in, until `erase_after` an operator may reopen it, and by `erased_at` nothing is left but this row, without
    its name, and the logs until their end.
    """

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("messages_kept_days BETWEEN 30 AND 3653", name="messages_kept_days"),
        CheckConstraint("longer_kept_days BETWEEN 1 AND 3653", name="longer_kept_days"),
        CheckConstraint(
            "(longer_kept_days IS NULL) = (longer_kept_reason IS NULL)", name="longer_kept_reason"
        ),
        one_of("second_factor", SecondFactor),
        CheckConstraint("admin_session_hours BETWEEN 1 AND 168", name="admin_session_hours"),
        CheckConstraint("admin_idle_minutes BETWEEN 5 AND 720", name="admin_idle_minutes"),
        CheckConstraint("form_of_address IN ('du', 'sie')", name="form_of_address"),
        CheckConstraint("(closed_at IS NULL) = (erase_after IS NULL)", name="closed_at"),
        CheckConstraint("erased_at IS NULL OR closed_at IS NOT NULL", name="erased_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    messages_kept_days: Mapped[int] = mapped_column(server_default="548")
    longer_kept_days: Mapped[int | None]
    longer_kept_reason: Mapped[str | None]
    second_factor: Mapped[str] = mapped_column(server_default="admins")
    admin_session_hours: Mapped[int] = mapped_column(server_default="12")
    admin_idle_minutes: Mapped[int] = mapped_column(server_default="30")
    form_of_address: Mapped[str] = mapped_column(server_default="du")
    closed_at: Mapped[datetime | None]
    erase_after: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]


class AccountKey(Base):
    """A data key of an account, wrapped by the key provider. Of each purpose one has no `retired_at`: it seals, or hashes.

    Of those that seal, a newer one than it is not in use yet, and an older one only opens; `unused_since`, when nothing was sealed with it any
    more.
    """

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
        Index("ix_account_keys_wrapping", "wrapping_key_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    purpose: Mapped[str]
    wrapping_key_id: Mapped[str]
    wrapped: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    retired_at: Mapped[datetime | None]
    unused_since: Mapped[datetime | None]


class User(Base):
    __tablename__ = "users"
    __table_args__ = (
        one_of("general_admin", Level),
        one_of("general_programs", Level),
        one_of("inbox_messages", Level),
        one_of("inbox_orders", Level),
        CheckConstraint("form_of_address IN ('du', 'sie')", name="form_of_address"),
        CheckConstraint("(oidc_issuer IS NULL) = (oidc_subject IS NULL)", name="oidc_subject"),
        Index("uq_users_oidc", "account_id", "oidc_issuer", "oidc_subject", unique=True),
        referable_within_account("users"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    # Of a removed user, a word that is no address: they are gone, and their name stays on what they have sent.
    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str | None]
    name: Mapped[str]
    language: Mapped[str] = mapped_column(server_default="en")
    time_zone: Mapped[str] = mapped_column(server_default="UTC")
    general_admin: Mapped[str]
    general_programs: Mapped[str] = mapped_column(server_default="none")
    inbox_messages: Mapped[str]
    inbox_orders: Mapped[str] = mapped_column(server_default="none")
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    disabled_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
    # How pages and mails address them; null is as the account does.
    form_of_address: Mapped[str | None]
    # The key that an authenticator app shares, and the last of its steps that was used: each is good once.
    totp_secret: Mapped[Sealed | None]
    totp_last_step: Mapped[int | None] = mapped_column(BigInteger)
    totp_confirmed_at: Mapped[datetime | None]
    # Who they are at the account's provider of single sign-on, from their first sign-in there on.
    oidc_issuer: Mapped[str | None]
    oidc_subject: Mapped[str | None]


class Invitation(Base):
    """Somebody who is asked to join. Its link is made when its mail is sent: until then there is no token, and afterwards only a hash.

    `invited_by` is null if a command has made it.
    """

    __tablename__ = "invitations"
    __table_args__ = (
        one_of("general_admin", Level),
        one_of("general_programs", Level),
        one_of("inbox_messages", Level),
        one_of("inbox_orders", Level),
        UniqueConstraint("account_id", "email"),
        within_account("invited_by", "users"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    email: Mapped[str]
    name: Mapped[str | None]
    language: Mapped[str]
    general_admin: Mapped[str]
    general_programs: Mapped[str]
    inbox_messages: Mapped[str]
    inbox_orders: Mapped[str]
    invited_by: Mapped[UUID | None] = mapped_column(index=True)
    token_hash: Mapped[bytes | None] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class UserSession(Base):
    """A sign-in. The cookie holds the token, the row only its hash. `authenticated_at`: when the person last proved who they are."""

    __tablename__ = "sessions"
    __table_args__ = (one_of("method", SignInMethod), within_account("user_id", "users"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    user_id: Mapped[UUID] = mapped_column(index=True)
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    last_seen_at: Mapped[datetime] = mapped_column(server_default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    method: Mapped[str] = mapped_column(server_default=SignInMethod.PASSWORD.value)
    # Sessions from before it was written down have proved nothing of late.
    authenticated_at: Mapped[datetime] = mapped_column(server_default=text("'epoch'"))
    # "Firefox, Windows", and where the sign-in came from.
    browser: Mapped[str | None]
    network: Mapped[str | None]


class KnownBrowser(Base):
    """A browser that has signed in as this user. Its cookie holds the token, the row only its hash; it lets nobody in."""

    __tablename__ = "known_browsers"
    __table_args__ = (UniqueConstraint("token_hash", "user_id"), within_account("user_id", "users"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    user_id: Mapped[UUID] = mapped_column(index=True)
    token_hash: Mapped[bytes]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class SignInFailures(Base):
    """Failed sign-ins in the current window, counted by hashes of where they came from and of whom they named."""

    __tablename__ = "sign_in_failures"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    failures: Mapped[int]
    window_ends_at: Mapped[datetime] = mapped_column(index=True)


class ApiKey(Base):
    """A program's way in: a bearer token of which only the hash is kept."""

    __tablename__ = "api_keys"
    __table_args__ = (
        one_of("general_admin", Level),
        one_of("general_programs", Level),
        one_of("inbox_messages", Level),
        one_of("inbox_orders", Level),
        one_of("inbox_replies", Level),
        within_account("created_by", "users"),
        referable_within_account("api_keys"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    name: Mapped[str]
    hint: Mapped[str]
    secret_hash: Mapped[bytes] = mapped_column(unique=True)
    general_admin: Mapped[str]
    general_programs: Mapped[str] = mapped_column(server_default="none")
    inbox_messages: Mapped[str]
    inbox_orders: Mapped[str] = mapped_column(server_default="none")
    # Keys from before there were replies write none.
    inbox_replies: Mapped[str] = mapped_column(server_default="none")
    created_by: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


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
    answer: Mapped[Sealed | None] = mapped_column(info={PLACE: ("idempotency_keys", "answer", "row_id")})
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    locked_until: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class AuditEntry(Base):
    """Who did what, and when. No process may change a row; a function of the owner's ends those that are older than twelve months."""

    __tablename__ = "audit_log"
    __table_args__ = (
        CheckConstraint("actor_kind IN ('user', 'api_key', 'system')", name="actor_kind"),
        Index("ix_audit_log_account", "account_id", "id"),
        # Finds rare kinds of entries, newest first, without reading all others.
        Index("ix_audit_log_actor", "account_id", "actor_id", "id"),
        Index("ix_audit_log_subject", "account_id", "subject_id", "id"),
        Index("ix_audit_log_action", "account_id", "action", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    at: Mapped[datetime] = mapped_column(server_default=now)
    actor_kind: Mapped[str]
    actor_id: Mapped[UUID | None]
    action: Mapped[str]
    subject_id: Mapped[UUID | None]
    fields: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
