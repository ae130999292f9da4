"""Events, the webhooks that receive them, and their deliveries."""

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
from shared.tables.base import Base, now, one_of, referable_within_account, within_account


class DeliveryState(StrEnum):
    """waiting → delivered, or dead after the last try."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


class EventRow(Base):
    """An event, written by the transaction that it reports. Webhooks are fanned out from these rows, and listeners resume from them."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_account", "account_id", "id"),
        Index("ix_events_due", "id", postgresql_where=text("fanned_out_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    at: Mapped[datetime] = mapped_column(server_default=now)
    kind: Mapped[str]
    ids: Mapped[dict[str, str]]
    fanned_out_at: Mapped[datetime | None]


class Webhook(Base):
    """The address of a program that events are sent to. For a while after a rotation both secrets sign."""

    __tablename__ = "webhooks"
    __table_args__ = (
        CheckConstraint(
            "(previous_secret IS NULL) = (previous_secret_until IS NULL)", name="previous_secret"
        ),
        CheckConstraint("cardinality(kinds) > 0", name="kinds"),
        within_account("created_by", "users"),
        within_account("created_by_key", "api_keys"),
        referable_within_account("webhooks"),
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
    created_by: Mapped[UUID | None]
    created_by_key: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    failing_since: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]


class WebhookDelivery(Base):
    """One event for one webhook. `last_error` is a class of failure, never what the other side said."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        one_of("state", DeliveryState),
        UniqueConstraint("webhook_id", "event_id"),
        Index(
            "ix_webhook_deliveries_due",
            "webhook_id",
            "next_attempt_at",
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("ix_webhook_deliveries_webhook", "webhook_id", "id"),
        within_account("webhook_id", "webhooks", ondelete="CASCADE"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    webhook_id: Mapped[UUID]
    event_id: Mapped[UUID]
    kind: Mapped[str]
    ids: Mapped[dict[str, str]]
    event_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(server_default="waiting")
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=now)
    last_attempt_at: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]
    delivered_at: Mapped[datetime | None]
