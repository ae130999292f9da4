"""One order in one shape, whether the SP-API or a report has told it. Pure.

A field that is None is one of which the source says nothing; stored, it leaves what another source has said. Amounts are totals for
the quantity, as Amazon's are, but for `unit_price`.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

# What is over is gone after this, within Amazon's deadlines: the purge comes once a night, and when a clock has jumped it waits for a day.
PURGE_TAKES: Final = timedelta(days=2)
# Amazon's Data Protection Policy, 2.1: personal data are kept for 30 days after delivery at most.
PERSONAL_AFTER_DELIVERY: Final = timedelta(days=30) - PURGE_TAKES
# Where neither a delivery nor a date of it is known.
PERSONAL_AFTER_PURCHASE: Final = timedelta(days=60)
# The policy's 1.7: what is not personal, at most 18 months.
ORDERS_KEPT: Final = timedelta(days=548) - PURGE_TAKES
# One buyer has no more; what is longer is cut, and `problems` says so.
MOST_ITEMS: Final = 500
MOST_PACKAGES: Final = 200

UNKNOWN_STATUS: Final = "UNKNOWN"
STATUSES: Final = (
    "PENDING_AVAILABILITY",
    "PENDING",
    "UNSHIPPED",
    "PARTIALLY_SHIPPED",
    "SHIPPED",
    "CANCELLED",
    "UNFULFILLABLE",
)


class Source(StrEnum):
    """Who says it. A report lacks much that the SP-API has, and the other way round."""

    API = "api"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Address:
    """Where an order goes. Personal."""

    name: str | None = None
    company: str | None = None
    lines: tuple[str, ...] = ()
    city: str | None = None
    county: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None
    phone: str | None = None
    kind: str | None = None
    instructions: str | None = None


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who bought. Personal."""

    name: str | None = None
    email: str | None = None
    company: str | None = None
    purchase_order: str | None = None


@dataclass(frozen=True, slots=True)
class Amounts:
    """What was paid, by kind, in one currency. `other`: gift wrap, cash on delivery, tips and the rest."""

    currency: str | None = None
    total: Decimal | None = None
    items: Decimal | None = None
    shipping: Decimal | None = None
    tax: Decimal | None = None
    discount: Decimal | None = None
    other: Decimal | None = None


@dataclass(frozen=True, slots=True)
class OrderItemRecord:
    """One line of an order. `gift_message` and `customized_url` are personal; so is what stands in `report_personal`."""

    item_id: str
    asin: str | None = None
    sku: str | None = None
    title: str | None = None
    condition: str | None = None
    quantity: int | None = None
    quantity_shipped: int | None = None
    unit_price: Decimal | None = None
    amounts: Amounts = Amounts()
    gift_wrap: str | None = None
    gift_message: str | None = None
    customized_url: str | None = None
    is_cancellation_requested: bool | None = None
    cancel_reason: str | None = None
    report_columns: dict[str, str] | None = None
    report_personal: dict[str, str] | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PackageRecord:
    """A package. `contents`: how many of which item id."""

    reference: str
    status: str | None = None
    detailed_status: str | None = None
    carrier: str | None = None
    shipping_service: str | None = None
    tracking_number: str | None = None
    shipped_at: datetime | None = None
    contents: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """One order. `last_updated_at` orders what is told of it. `items` and `packages` are all that there are, or None if the source does not
    tell all of them. `status` is Amazon's word in the SP-API's spelling. `is_time_known`: Amazon has said when it was updated last.
    """

    order_id: str
    last_updated_at: datetime
    source: Source = Source.API
    marketplace_id: str | None = None
    country: str | None = None
    sales_channel: str | None = None
    status: str | None = None
    fulfilled_by: str | None = None
    service_level: str | None = None
    programs: tuple[str, ...] | None = None
    is_business: bool | None = None
    is_prime: bool | None = None
    is_pickup: bool | None = None
    is_replacement: bool | None = None
    is_exchange: bool | None = None
    replaces_order_id: str | None = None
    purchased_at: datetime | None = None
    ship_after: datetime | None = None
    ship_by: datetime | None = None
    deliver_after: datetime | None = None
    deliver_by: datetime | None = None
    paid_at: datetime | None = None
    paid_amount: Decimal | None = None
    payment_methods: tuple[str, ...] | None = None
    amounts: Amounts = Amounts()
    buyer: Buyer | None = None
    recipient: Address | None = None
    items: tuple[OrderItemRecord, ...] = ()
    packages: tuple[PackageRecord, ...] | None = None
    problems: tuple[str, ...] = ()
    is_time_known: bool = field(default=True, repr=False)


def personal_ends_at(
    *,
    delivered_at: datetime | None,
    deliver_by: datetime | None,
    purchased_at: datetime | None,
    last_updated_at: datetime,
) -> datetime:
    """When what is personal in an order ends: 28 days after its delivery, or the latest date promised for it; else 60 after the purchase."""
    reached = delivered_at or deliver_by
    if reached is not None:
        return reached + PERSONAL_AFTER_DELIVERY
    return (purchased_at or last_updated_at) + PERSONAL_AFTER_PURCHASE
