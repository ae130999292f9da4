"""What becomes of an order: bought, shipped, delivered, cancelled. The few rules of it are here, and nothing of how it is told."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from services.sandbox.state.sellers import Order

NOTHING: Final = Decimal(0)
CARRIERS: Final = {"eu": "DHL", "na": "UPS", "fe": "Yamato Transport"}


class Status(StrEnum):
    """The state of an order's fulfilment, as the SP-API names it."""

    PENDING_AVAILABILITY = "PENDING_AVAILABILITY"
    PENDING = "PENDING"
    UNSHIPPED = "UNSHIPPED"
    PARTIALLY_SHIPPED = "PARTIALLY_SHIPPED"
    SHIPPED = "SHIPPED"
    CANCELLED = "CANCELLED"
    UNFULFILLABLE = "UNFULFILLABLE"


class FulfilledBy(StrEnum):
    """Who sends the goods."""

    MERCHANT = "MERCHANT"
    AMAZON = "AMAZON"


class PackageStatus(StrEnum):
    """Where a package is."""

    IN_TRANSIT = "IN_TRANSIT"
    DELIVERED = "DELIVERED"


class CannotChange(ValueError):
    """The order is in a state in which this cannot happen any more."""


@dataclass(frozen=True, slots=True)
class Window:
    """From when until when something shall happen."""

    earliest: datetime
    latest: datetime


@dataclass(slots=True)
class OrderItem:
    """One product of an order. Amounts other than `unit_price` are for the whole quantity."""

    item_id: str
    sku: str
    asin: str
    title: str
    quantity: int
    unit_price: Decimal
    shipping_price: Decimal = NOTHING
    tax: Decimal = NOTHING
    discount: Decimal = NOTHING
    shipped: int = 0
    promotion_id: str = ""
    gift_message: str = ""
    gift_wrap: str = ""
    customized_url: str = ""
    cancel_request: str = ""

    @property
    def price(self) -> Decimal:
        return self.unit_price * self.quantity

    @property
    def total(self) -> Decimal:
        return self.price + self.shipping_price + self.tax - self.discount


@dataclass(slots=True)
class Package:
    """One package, with how many of which items are in it."""

    reference: str
    carrier: str
    tracking_number: str
    shipped_at: datetime
    contents: dict[str, int]
    status: PackageStatus = PackageStatus.IN_TRANSIT
    delivered_at: datetime | None = None


@dataclass(slots=True)
class PlacedOrder:
    """An order with all that has happened to it. Times are whole seconds, as Amazon's are.

    `searchable_at` is when searchOrders finds it, if that is later than its last change. `is_gone`: nobody finds it any more.
    """

    order: Order
    seller_id: str
    created_at: datetime
    updated_at: datetime
    items: list[OrderItem]
    ship_by: Window
    deliver_by: Window
    currency: str
    status: Status = Status.UNSHIPPED
    fulfilled_by: FulfilledBy = FulfilledBy.MERCHANT
    service_level: str = "STANDARD"
    programs: tuple[str, ...] = ()
    packages: list[Package] = field(default_factory=list)
    company: str = ""
    purchase_order: str = ""
    replaces: str = ""
    cancelled_by: str = ""
    cancel_reason: str = ""
    seller_order_id: str = ""
    searchable_at: datetime | None = None
    is_gone: bool = False

    @property
    def order_id(self) -> str:
        return self.order.order_id

    @property
    def is_of_merchant(self) -> bool:
        return self.fulfilled_by is FulfilledBy.MERCHANT

    @property
    def total(self) -> Decimal:
        return sum((item.total for item in self.items), NOTHING)

    def ship(
        self, at: datetime, carrier: str, tracking_number: str, quantities: dict[str, int] | None = None
    ) -> None:
        """Hand a package over: with everything that is left, or with so many of each item. Raises CannotChange."""
        if self.status in {Status.CANCELLED, Status.SHIPPED, Status.UNFULFILLABLE}:
            raise CannotChange(f"The order is {self.status}.")
        left = {item.item_id: item.quantity - item.shipped for item in self.items}
        contents = {
            item_id: count for item_id, count in (left if quantities is None else quantities).items() if count
        }
        if not contents or any(not 0 < count <= left.get(item_id, 0) for item_id, count in contents.items()):
            raise CannotChange("There is not so much left to ship.")
        for item in self.items:
            item.shipped += contents.get(item.item_id, 0)
        reference = str(len(self.packages) + 1)
        self.packages.append(Package(reference, carrier, tracking_number, at, contents))
        all_shipped = all(item.shipped == item.quantity for item in self.items)
        self.status = Status.SHIPPED if all_shipped else Status.PARTIALLY_SHIPPED

    def deliver(self, at: datetime) -> None:
        """Bring every package that is on its way. Raises CannotChange."""
        travelling = [package for package in self.packages if package.status is PackageStatus.IN_TRANSIT]
        if not travelling:
            raise CannotChange("No package is on its way.")
        for package in travelling:
            package.status, package.delivered_at = PackageStatus.DELIVERED, at

    def request_cancellation(self, reason: str) -> None:
        """What a buyer may ask for until everything is shipped. Raises CannotChange."""
        if self.status in {Status.SHIPPED, Status.CANCELLED}:
            raise CannotChange(f"The order is {self.status}.")
        for item in self.items:
            item.cancel_request = reason

    def cancel(self, by: str, reason: str) -> None:
        """End an order of which nothing is shipped. Raises CannotChange."""
        if self.packages or self.status is Status.CANCELLED:
            raise CannotChange("It is cancelled already, or something is shipped.")
        self.status, self.cancelled_by, self.cancel_reason = Status.CANCELLED, by, reason

    def as_bought(self) -> "PlacedOrder":
        """The order as it was when it was bought: an older state than today's."""
        items = [replace(item, shipped=0, cancel_request="") for item in self.items]
        return replace(
            self,
            updated_at=self.created_at,
            items=items,
            packages=[],
            status=Status.PENDING if self.status is Status.PENDING else Status.UNSHIPPED,
            cancelled_by="",
            cancel_reason="",
        )


def windows(created_at: datetime, days_to_ship: int = 1, days_on_the_way: int = 2) -> tuple[Window, Window]:
    """By when an order is to be shipped and delivered, if nobody says otherwise."""
    midnight = created_at.replace(hour=0, minute=0, second=0, microsecond=0)
    day, last_moment = timedelta(days=1), timedelta(hours=23, minutes=59, seconds=59)
    shipped = midnight + days_to_ship * day + last_moment
    return (
        Window(created_at, shipped),
        Window(midnight + days_to_ship * day + day, shipped + days_on_the_way * day),
    )
