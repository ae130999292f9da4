"""Single sign-on: the OpenID provider of an account, the domains that the account has proven to be its own, and attempts under way."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.crypto.envelope import Sealed
from shared.driver import new_id
from shared.permissions import Level
from shared.tables.base import Base, now, one_of, within_account


class OidcPurpose(StrEnum):
    """What an attempt is for. It serves nothing else."""

    SIGN_IN = "sign_in"
    CONFIRMATION = "confirmation"


class OidcProvider(Base):
    """Where an account's people sign in, and what they may do afterwards.

    `level_rules`: which values of `level_claim` give which levels, as a list. `is_only`: nobody signs in by a password or passkey.
    `needs_proof_of_factors`: where the account demands a second factor, the provider has to say that there were two.
    """

    __tablename__ = "oidc_providers"
    __table_args__ = (
        UniqueConstraint("account_id"),
        one_of("general_admin", Level),
        one_of("general_programs", Level),
        one_of("inbox_messages", Level),
        one_of("inbox_orders", Level),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    issuer: Mapped[str]
    client_id: Mapped[str]
    client_secret: Mapped[Sealed]
    level_claim: Mapped[str | None]
    level_rules: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    creates_users: Mapped[bool] = mapped_column(server_default=text("false"))
    # What somebody may do who is created, before the rules.
    general_admin: Mapped[str] = mapped_column(server_default="none")
    general_programs: Mapped[str] = mapped_column(server_default="none")
    inbox_messages: Mapped[str] = mapped_column(server_default="none")
    inbox_orders: Mapped[str] = mapped_column(server_default="none")
    is_only: Mapped[bool] = mapped_column(server_default=text("false"))
    needs_proof_of_factors: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    changed_at: Mapped[datetime] = mapped_column(server_default=now)


class OidcDomain(Base):
    """A mail domain that an account says is its own. Until its DNS has proven it, it serves nothing; a proven one is of one account."""

    __tablename__ = "oidc_domains"
    __table_args__ = (
        UniqueConstraint("account_id", "domain"),
        Index(
            "uq_oidc_domains_proven", "domain", unique=True, postgresql_where=text("proven_at IS NOT NULL")
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    domain: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    proven_at: Mapped[datetime | None]


class OidcAttempt(Base):
    """A sign-in that has been sent to its provider. The row goes with its first callback.

    Known by the hash of its state, and good in one browser alone. Of a confirmation, `session_id` is the session that it confirms.
    """

    __tablename__ = "oidc_attempts"
    __table_args__ = (
        one_of("purpose", OidcPurpose),
        CheckConstraint("(purpose = 'confirmation') = (session_id IS NOT NULL)", name="session_id"),
        within_account("user_id", "users"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    purpose: Mapped[str]
    state_hash: Mapped[bytes] = mapped_column(unique=True)
    browser_hash: Mapped[bytes]
    nonce_hash: Mapped[bytes]
    verifier: Mapped[Sealed]
    return_to: Mapped[str]
    user_id: Mapped[UUID | None] = mapped_column(index=True)
    session_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
