"""Amazon's permission: attempts, grants, our own credentials, and what hinders all stores at once."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from shared.crypto.envelope import Sealed
from shared.driver import new_id
from shared.marketplaces import Region
from shared.tables.base import Base, now, one_of, within_account


class Outcome(StrEnum):
    """How an attempt ended."""

    CONNECTED = "connected"
    REAUTHORIZED = "reauthorized"
    FAILED = "failed"


class StartedBy(StrEnum):
    """Where an authorization began: on our page, or in Amazon's Appstore and Manage Your Apps."""

    WEBSITE = "website"
    AMAZON = "amazon"


class RefusedBy(StrEnum):
    """Who refused a grant: Login with Amazon its refresh token, or the SP-API an access token that was new."""

    LWA = "lwa"
    SP_API = "sp_api"


class AuthorizationAttempt(Base):
    """One try to authorize. Consumed by one atomic statement; the outcome stays, so a second callback shows the first's."""

    __tablename__ = "authorization_attempts"
    __table_args__ = (
        one_of("region", Region),
        one_of("outcome", Outcome),
        CheckConstraint("outcome IS NULL OR consumed_at IS NOT NULL", name="outcome_after_consumption"),
        CheckConstraint("(outcome = 'failed') = (problem_code IS NOT NULL)", name="problem_code"),
        one_of("right_region", Region),
        one_of("started_by", StartedBy),
        within_account("user_id", "users"),
        within_account("integration_id", "integrations"),
        within_account("reconnects", "integrations"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    user_id: Mapped[UUID]
    state_hash: Mapped[bytes] = mapped_column(unique=True)
    browser_hash: Mapped[bytes]
    country: Mapped[str]
    region: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    consumed_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    problem_code: Mapped[str | None]
    right_region: Mapped[str | None]
    right_store: Mapped[str | None]
    integration_id: Mapped[UUID | None]
    started_by: Mapped[str] = mapped_column(server_default="website")
    reconnects: Mapped[UUID | None]
    seller_id_expected: Mapped[str | None]
    # Of the link by which a colleague has asked for it.
    link_hash: Mapped[bytes | None]


class LoginRequest(Base):
    """What Amazon sent to the login URI, kept through our own sign-in. Good once, for one browser, for some minutes."""

    __tablename__ = "login_requests"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    browser_hash: Mapped[bytes] = mapped_column(index=True)
    amazon_callback_uri: Mapped[str]
    amazon_state: Mapped[str]
    seller_id: Mapped[str]
    is_draft: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Grant(Base):
    """Amazon's permission for one integration. `version` counts every change of the tokens.

    What Amazon has refused lately lies beside the tokens: `refused_at` once, `revoked_at` confirmed, `delayed_since` while
    Amazon is in trouble, `role_missing_since` for one operation. `next_refresh_at` is when the worker renews it unasked. `ended_at`: its tokens
    were destroyed, as the store was disconnected; a new consent takes it away.
    """

    __tablename__ = "grants"
    __table_args__ = (
        one_of("region", Region),
        CheckConstraint(
            "(role_missing_since IS NULL) = (role_missing_operation IS NULL)", name="role_missing"
        ),
        one_of("refused_by", RefusedBy),
        Index("ix_grants_due", "next_refresh_at"),
        within_account("integration_id", "integrations"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    integration_id: Mapped[UUID] = mapped_column(unique=True)
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
    ended_at: Mapped[datetime | None]
    delayed_since: Mapped[datetime | None]
    role_missing_since: Mapped[datetime | None]
    role_missing_operation: Mapped[str | None]
    consented_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=now)


class ServiceTrouble(Base):
    """What fails for many stores at once; a row lives as long as the trouble. Scopes: application, lwa, sp-api:eu and so on."""

    __tablename__ = "service_troubles"

    scope: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str]
    since: Mapped[datetime] = mapped_column(server_default=now)


class ThrottleBucket(Base):
    """A token bucket, shared by all processes. `rate` is tokens a second."""

    __tablename__ = "throttle_buckets"

    key: Mapped[str] = mapped_column(primary_key=True)
    tokens: Mapped[float]
    rate: Mapped[float]
    burst: Mapped[float]
    updated_at: Mapped[datetime] = mapped_column(server_default=now, index=True)


class ApplicationSecret(Base):
    """A client secret that came by Amazon's rotation, wrapped by the key provider. The newest one counts first."""

    __tablename__ = "application_secrets"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    client_id: Mapped[str]
    wrapping_key_id: Mapped[str]
    wrapped: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    expires_at: Mapped[datetime | None]


class ApplicationNotice(Base):
    """A notice of Amazon's that was taken out of its queue. `secret_ends_at` is the end of the client secret that it is about."""

    __tablename__ = "application_notices"
    __table_args__ = (UniqueConstraint("client_id", "notification_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    client_id: Mapped[str]
    notification_id: Mapped[str]
    secret_ends_at: Mapped[datetime]
    received_at: Mapped[datetime] = mapped_column(server_default=now)
