"""Orders of connected stores, how far they are known, and the reports and pauses that belong to asking Amazon for them.

Orders, items and packages lie in partitions by a hash of the account: whoever reads names the account and touches one of them, and a
row of any age is found by its key (docs/adr/0024). `order_id` is Amazon's number; `order_row_id` and `id` are derived from it
(shared.orders). Which column is personal data, and when it ends, is said in docs/privacy.md.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.crypto.envelope import Sealed
from shared.driver import new_id
from shared.tables.base import Base, now, one_of, within_account

_BY_ACCOUNT = {"postgresql_partition_by": "HASH (account_id)"}
# 18 digits, 4 of them behind the point: no currency has more.
_AMOUNT = Numeric(18, 4)


class OrderReportState(StrEnum):
    """asked → ready → stored; or no_data, or failed."""

    ASKED = "asked"
    """Amazon has been asked for it and makes it."""
    READY = "ready"
    """Amazon has made it; its rows are being stored."""
    STORED = "stored"
    NO_DATA = "no_data"
    FAILED = "failed"


class Order(Base):
    """One order of a store, as Amazon told it last.

    `status`, `fulfilled_by`, `service_level` and `programs` are Amazon's words, also those that we do not know. `last_updated_at` is
    Amazon's: what is older changes nothing. `fetched_at`: when the SP-API last said all this. `gone_at`: Amazon no longer knows the order.
    `buyer` and `recipient` are JSON, sealed; `buyer_key` is the keyed hash of the buyer's address, if it is not one that many share.
    `personal_ends_at`: when what is personal in this row and its items ends; null once there is none.
    `personal_erased_at`: it was erased before, and is not stored again. `problems`: what of it could not be
    read, as names of fields. `api_digest`, `report_digest`: keyed hashes of what each of the two said last, by which the same once more
    changes nothing. `changed_at`: when a row of this order last changed here.
    """

    __tablename__ = "orders"
    __table_args__ = (
        within_account("integration_id", "integrations"),
        Index("ix_orders_newest", "account_id", text("last_updated_at DESC"), text("id DESC")),
        Index(
            "ix_orders_newest_of_integration",
            "account_id",
            "integration_id",
            text("last_updated_at DESC"),
            text("id DESC"),
        ),
        Index("ix_orders_number", "account_id", "order_id"),
        Index("ix_orders_changed", "account_id", "changed_at", "id"),
        Index(
            "ix_orders_ship_by",
            "account_id",
            "ship_by",
            "id",
            postgresql_where=text("status IN ('UNSHIPPED', 'PARTIALLY_SHIPPED')"),
        ),
        Index(
            "ix_orders_buyer",
            "account_id",
            "buyer_key",
            postgresql_where=text("buyer_key IS NOT NULL"),
        ),
        Index(
            "ix_orders_personal_ends",
            "account_id",
            "personal_ends_at",
            postgresql_where=text("personal_ends_at IS NOT NULL"),
        ),
        Index("ix_orders_purchased", "account_id", "purchased_at"),
        _BY_ACCOUNT,
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    integration_id: Mapped[UUID]
    order_id: Mapped[str]
    marketplace_id: Mapped[str | None]
    country: Mapped[str | None]
    sales_channel: Mapped[str | None]
    status: Mapped[str]
    fulfilled_by: Mapped[str | None]
    service_level: Mapped[str | None]
    programs: Mapped[list[str]] = mapped_column(server_default="{}")
    is_business: Mapped[bool] = mapped_column(server_default=text("false"))
    is_prime: Mapped[bool] = mapped_column(server_default=text("false"))
    is_gift: Mapped[bool] = mapped_column(server_default=text("false"))
    is_pickup: Mapped[bool] = mapped_column(server_default=text("false"))
    is_replacement: Mapped[bool] = mapped_column(server_default=text("false"))
    is_exchange: Mapped[bool] = mapped_column(server_default=text("false"))
    replaces_order_id: Mapped[str | None]
    is_cancellation_requested: Mapped[bool] = mapped_column(server_default=text("false"))
    purchased_at: Mapped[datetime | None]
    last_updated_at: Mapped[datetime]
    ship_after: Mapped[datetime | None]
    ship_by: Mapped[datetime | None]
    deliver_after: Mapped[datetime | None]
    deliver_by: Mapped[datetime | None]
    shipped_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    paid_at: Mapped[datetime | None]
    currency: Mapped[str | None]
    total: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    items_amount: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    shipping_amount: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    tax_amount: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    discount_amount: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    other_amount: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    paid_amount: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    payment_methods: Mapped[list[str]] = mapped_column(server_default="{}")
    item_count: Mapped[int] = mapped_column(server_default="0")
    quantity: Mapped[int] = mapped_column(server_default="0")
    buyer: Mapped[Sealed | None]
    buyer_key: Mapped[bytes | None]
    recipient: Mapped[Sealed | None]
    personal_ends_at: Mapped[datetime | None]
    personal_erased_at: Mapped[datetime | None]
    problems: Mapped[list[str]] = mapped_column(server_default="{}")
    api_digest: Mapped[bytes | None]
    report_digest: Mapped[bytes | None]
    fetched_at: Mapped[datetime | None]
    reported_at: Mapped[datetime | None]
    gone_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    changed_at: Mapped[datetime] = mapped_column(server_default=now)


class OrderItem(Base):
    """One item of an order. `gift` and `customization` are JSON, sealed; so is `report_personal`: cells of a report that are personal, or
    of which nobody knows what they are. `report_columns`: the cells that are not, and that have no column of their own.
    """

    __tablename__ = "order_items"
    __table_args__ = (
        within_account("order_row_id", "orders", ondelete="CASCADE", is_by_partition=True),
        Index("ix_order_items_of_order", "account_id", "order_row_id", "position"),
        _BY_ACCOUNT,
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    order_row_id: Mapped[UUID]
    item_id: Mapped[str]
    position: Mapped[int]
    asin: Mapped[str | None]
    sku: Mapped[str | None]
    title: Mapped[str | None]
    condition: Mapped[str | None]
    quantity: Mapped[int | None]
    quantity_shipped: Mapped[int | None]
    currency: Mapped[str | None]
    unit_price: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    item_amount: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    shipping_amount: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    tax_amount: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    discount_amount: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    other_amount: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    total: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    gift_wrap: Mapped[str | None]
    gift: Mapped[Sealed | None]
    customization: Mapped[Sealed | None]
    is_cancellation_requested: Mapped[bool] = mapped_column(server_default=text("false"))
    cancel_reason: Mapped[str | None]
    problems: Mapped[list[str]] = mapped_column(server_default="{}")
    report_columns: Mapped[dict[str, str] | None]
    report_personal: Mapped[Sealed | None]


class OrderPackage(Base):
    """A package of an order that the merchant sends; of Amazon's own packages the SP-API says nothing. `contents`: quantities by item id."""

    __tablename__ = "order_packages"
    __table_args__ = (
        within_account("order_row_id", "orders", ondelete="CASCADE", is_by_partition=True),
        Index("ix_order_packages_of_order", "account_id", "order_row_id", "position"),
        _BY_ACCOUNT,
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    order_row_id: Mapped[UUID]
    reference: Mapped[str]
    position: Mapped[int]
    status: Mapped[str | None]
    detailed_status: Mapped[str | None]
    carrier: Mapped[str | None]
    shipping_service: Mapped[str | None]
    tracking_number: Mapped[str | None]
    shipped_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    contents: Mapped[dict[str, str]] = mapped_column(server_default=text("'{}'"))


class OrderLookup(Base):
    """When Amazon was last asked for one order, and what came of it: `asking`, `found`, or the code of the failure (`order_unknown`, `role_missing` …)."""

    __tablename__ = "order_lookups"
    __table_args__ = (
        within_account("integration_id", "integrations"),
        Index("ix_order_lookups_asked", "asked_at"),
    )

    order_row_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    integration_id: Mapped[UUID] = mapped_column(index=True)
    order_id: Mapped[str]
    outcome: Mapped[str]
    asked_at: Mapped[datetime]


class OrderSync(Base):
    """How far a store's orders are known.

    `cursor_at`: what Amazon has changed between the connecting and then is here; what was placed before is history. `run_…`: the run that is
    under way, kept because Amazon refuses a page's token with any other parameters, and after a day (`run_token_at`). `look_back_at`: when
    the next run reaches back further than the others, for what Amazon shows late. `history_…`: the orders placed before the store was
    connected, asked for backwards in windows: those since `history_until` are here, the window under way begins at `history_after`, the
    last one ends at `history_from`. `claimed_until`: a worker is at it. `parked_at`: nothing is asked for this store until it is connected
    and not paused again. `late_since`: listeners know that it is late. `order_count`: how many of its orders are here.
    `report_columns_missing`: what the last report lacked, null while none has told.
    """

    __tablename__ = "order_syncs"
    __table_args__ = (
        within_account("integration_id", "integrations"),
        Index("ix_order_syncs_due", "next_at", postgresql_where=text("parked_at IS NULL")),
        Index("ix_order_syncs_cursor", "cursor_at", postgresql_where=text("parked_at IS NULL")),
        CheckConstraint("(run_token IS NULL) = (run_token_at IS NULL)", name="run_token"),
        CheckConstraint("(history_token IS NULL) = (history_token_at IS NULL)", name="history_token"),
    )

    integration_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    cursor_at: Mapped[datetime] = mapped_column(server_default=now)
    run_after: Mapped[datetime | None]
    run_before: Mapped[datetime | None]
    run_token: Mapped[str | None]
    run_token_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    look_back_at: Mapped[datetime] = mapped_column(server_default=now)
    next_at: Mapped[datetime] = mapped_column(server_default=now)
    claimed_until: Mapped[datetime | None]
    parked_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    failure: Mapped[str | None]
    late_since: Mapped[datetime | None]
    history_from: Mapped[datetime] = mapped_column(server_default=text("now() - interval '730 days'"))
    history_until: Mapped[datetime] = mapped_column(server_default=now)
    history_after: Mapped[datetime] = mapped_column(server_default=text("now() - interval '30 days'"))
    history_token: Mapped[str | None]
    history_token_at: Mapped[datetime | None]
    history_done_at: Mapped[datetime | None]
    order_count: Mapped[int] = mapped_column(server_default="0")
    report_columns_missing: Mapped[list[str] | None]
    report_columns_checked_at: Mapped[datetime | None]
    restricted_role_missing_at: Mapped[datetime | None]


class OrderReport(Base):
    """An order report of Amazon's, from being asked for to its last row.

    `rows_stored`: so many of its lines have been dealt with, in the transactions that stored what they say; `lines_left_out`: how many of
    them are no row of an order. `problems`: what of the whole file could not be read. `failure`: why there is nothing (more) of it.
    """

    __tablename__ = "order_reports"
    __table_args__ = (
        within_account("integration_id", "integrations"),
        one_of("state", OrderReportState),
        Index("ix_order_reports_of_integration", "integration_id", "id"),
        Index("ix_order_reports_due", "next_at", postgresql_where=text("state IN ('asked', 'ready')")),
        UniqueConstraint("integration_id", "report_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    integration_id: Mapped[UUID]
    report_type: Mapped[str]
    marketplace_ids: Mapped[list[str]] = mapped_column(server_default="{}")
    data_from: Mapped[datetime | None]
    data_to: Mapped[datetime | None]
    report_id: Mapped[str | None]
    document_id: Mapped[str | None]
    state: Mapped[str] = mapped_column(server_default="asked")
    rows_stored: Mapped[int] = mapped_column(server_default="0")
    columns: Mapped[list[str] | None]
    problems: Mapped[list[str]] = mapped_column(server_default="{}")
    lines_left_out: Mapped[int] = mapped_column(server_default="0")
    failure: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_at: Mapped[datetime] = mapped_column(server_default=now)
    created_at: Mapped[datetime] = mapped_column(server_default=now)
    done_at: Mapped[datetime | None]


class OrderSnapshot(Base):
    """An order as it was when a message came, in a few fields that are not personal: for ticket systems, which keep what they were told."""

    __tablename__ = "order_snapshots"
    __table_args__ = (
        within_account("message_id", "messages", ondelete="CASCADE"),
        Index("ix_order_snapshots_order", "account_id", "order_id"),
    )

    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    fields: Mapped[dict[str, Any]] = mapped_column(JSONB)
    taken_at: Mapped[datetime] = mapped_column(server_default=now)


class OrderHint(Base):
    """Amazon has told that an order has changed, and has not been asked for it yet. `told_at`: when it says that the order changed."""

    __tablename__ = "order_hints"
    __table_args__ = (
        within_account("integration_id", "integrations"),
        Index("ix_order_hints_of_integration", "integration_id", "noticed_at"),
    )

    order_row_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    integration_id: Mapped[UUID]
    order_id: Mapped[str]
    told_at: Mapped[datetime]
    noticed_at: Mapped[datetime] = mapped_column(server_default=now)


class NoticeSubscription(Base):
    """What Amazon tells a store's application by itself, of one kind. `refusal`: why it does not, as a code; then the store is asked for."""

    __tablename__ = "notice_subscriptions"
    __table_args__ = (
        within_account("integration_id", "integrations"),
        Index("ix_notice_subscriptions_id", "subscription_id"),
    )

    integration_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    subscription_id: Mapped[str | None]
    refusal: Mapped[str | None]
    checked_at: Mapped[datetime] = mapped_column(server_default=now)


class AmazonPause(Base):
    """The operators have stopped all calls to Amazon of the application with this client id; without a row they go out."""

    __tablename__ = "amazon_pauses"

    client_id: Mapped[str] = mapped_column(primary_key=True)
    paused_at: Mapped[datetime] = mapped_column(server_default=now)
    reason: Mapped[str | None]
    paused_by: Mapped[str | None]
