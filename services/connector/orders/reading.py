"""An order as the Orders API v2026-01-01 tells it → an OrderRecord. Pure.

Read field by field: what is missing is None, and what cannot be read is None and named in `problems`, and costs nothing else. Which
fields Amazon has: its model `orders_2026-01-01.json`.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Final

from babel.numbers import list_currencies

from services.connector.orders.model import (
    MOST_ITEMS,
    MOST_PACKAGES,
    STATUSES,
    Address,
    Amounts,
    Buyer,
    OrderItemRecord,
    OrderRecord,
    PackageRecord,
)
from shared.marketplaces import BY_ID
from shared.orders import is_order_id

# What is asked for beside the order itself. Of it, Amazon leaves out what the application has no role for.
INCLUDED_DATA: Final = (
    "BUYER",
    "RECIPIENT",
    "PROCEEDS",
    "PAYMENT",
    "FULFILLMENT",
    "PACKAGES",
    "CANCELLATION",
)
_ID: Final = re.compile(r"[0-9A-Za-z._:-]{1,100}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_MOST_TEXT: Final = 1000
_MOST_WORDS: Final = 20
_LARGEST: Final = Decimal(10) ** 14
_SMALLEST_STEP: Final = Decimal("0.0001")
_LARGEST_QUANTITY: Final = 1_000_000_000
_EARLIEST: Final = datetime(1995, 1, 1, tzinfo=UTC)
_LATEST: Final = timedelta(days=3653)
_UNSEEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
# Amazon's kinds of proceeds and the part of Amounts that each belongs to. A kind that is not here is `other`.
_KINDS: Final = {"ITEM": "items", "SHIPPING": "shipping", "TAX": "tax", "DISCOUNT": "discount"}


class OrderUnreadable(ValueError):
    """It has no order number, or is no object: there is nothing that it could be stored under."""


def read_order(told: object, *, seen_at: datetime) -> OrderRecord:
    """One order of an answer. `seen_at` bounds what its times can be, and stands in for an update time that cannot be read.

    Raises OrderUnreadable.
    """
    order = _Fields(told, seen_at)
    order_id = order.text("orderId")
    if order_id is None or not is_order_id(order_id):
        raise OrderUnreadable("no order number")
    created = order.time("createdTime")
    updated = order.time("lastUpdatedTime")
    if updated is None:
        order.wrong("lastUpdatedTime")
    channel, fulfillment = order.part("salesChannel"), order.part("fulfillment")
    programs = order.words("programs")
    marketplace = BY_ID.get(channel.text("marketplaceId") or "")
    status = _status(fulfillment)
    ship_by, deliver_by = fulfillment.part("shipByWindow"), fulfillment.part("deliverByWindow")
    original, kind = _original(order)
    items = tuple(_item(item, number) for number, item in enumerate(order.list("orderItems", MOST_ITEMS)))
    amounts = _amounts(order.part("proceeds"), "grandTotal")
    payments = order.part("payment").list("paymentExecutions", MOST_PACKAGES)
    packages = _packages(order)
    return OrderRecord(
        order_id=order_id,
        last_updated_at=updated or created or seen_at,
        is_time_known=updated is not None,
        marketplace_id=channel.text("marketplaceId"),
        country=None if marketplace is None else marketplace.country,
        sales_channel=channel.text("channelName"),
        status=status,
        fulfilled_by=fulfillment.text("fulfilledBy"),
        service_level=fulfillment.text("fulfillmentServiceLevel"),
        programs=programs,
        is_business="AMAZON_BUSINESS" in programs,
        is_prime="PRIME" in programs,
        is_pickup="IN_STORE_PICK_UP" in programs,
        is_replacement=kind == "REPLACEMENT_ORIGINAL_ID",
        is_exchange=kind == "EXCHANGE_ORIGINAL_ID",
        replaces_order_id=original,
        purchased_at=created,
        ship_after=ship_by.time("earliestDateTime"),
        ship_by=ship_by.time("latestDateTime"),
        deliver_after=deliver_by.time("earliestDateTime"),
        deliver_by=deliver_by.time("latestDateTime"),
        paid_amount=_paid(payments, amounts.currency),
        payment_methods=_distinct(payment.text("paymentMethod") for payment in payments)
        if payments
        else None,
        amounts=amounts if amounts.currency is not None else _sum_of(items, order),
        buyer=_buyer(order),
        recipient=_recipient(order),
        items=items,
        packages=packages,
        problems=order.problems,
    )


def _status(fulfillment: "_Fields") -> str | None:
    status = fulfillment.text("fulfillmentStatus")
    if status is not None and status not in STATUSES:
        fulfillment.wrong("fulfillmentStatus")
    return status


def _original(order: "_Fields") -> tuple[str | None, str | None]:
    """The order that this one replaces, and in which way."""
    for associated in order.list("associatedOrders", _MOST_WORDS):
        original, kind = associated.text("orderId"), associated.text("associationType")
        if original is not None and is_order_id(original) and kind is not None:
            return original, kind
    return None, None


def _item(item: "_Fields", number: int) -> OrderItemRecord:
    product, fulfillment = item.part("product"), item.part("fulfillment")
    item_id = item.text("orderItemId")
    if item_id is None or _ID.fullmatch(item_id) is None:
        item.wrong("orderItemId")
        item_id = f"without-id-{number}"
    gift = fulfillment.part("packing").part("giftOption")
    cancellation = item.part("cancellation")
    request = cancellation.part("cancellationRequest")
    price = product.part("price").part("unitPrice")
    amounts = _amounts(item.part("proceeds"), "proceedsTotal")
    unit_price, currency = price.money()
    return OrderItemRecord(
        item_id=item_id,
        asin=product.text("asin"),
        sku=product.text("sellerSku"),
        title=product.text("title"),
        condition=_joined(
            product.part("condition").text("conditionType"),
            product.part("condition").text("conditionSubtype"),
        ),
        quantity=item.quantity("quantityOrdered"),
        quantity_shipped=fulfillment.quantity("quantityFulfilled"),
        unit_price=unit_price,
        amounts=amounts if amounts.currency is not None else Amounts(currency=currency),
        gift_wrap=gift.text("giftWrapLevel"),
        gift_message=gift.text("giftMessage"),
        customized_url=product.part("customization").text("customizedUrl"),
        is_cancellation_requested=request.is_there,
        cancel_reason=request.text("cancelReason")
        or cancellation.part("cancellationExecution").text("cancelReason"),
        problems=item.problems,
    )


def _packages(order: "_Fields") -> tuple[PackageRecord, ...] | None:
    """None if nothing is said of packages: Amazon does not of those that it sends itself."""
    if not order.has("packages"):
        return None
    found = []
    for number, package in enumerate(order.list("packages", MOST_PACKAGES)):
        state = package.part("packageStatus")
        contents = {
            item_id: content.quantity("quantity") or 0
            for content in package.list("packageItems", MOST_ITEMS)
            if (item_id := content.text("orderItemId")) is not None
        }
        found.append(
            PackageRecord(
                reference=package.text("packageReferenceId") or f"without-reference-{number}",
                status=state.text("status"),
                detailed_status=state.text("detailedStatus"),
                carrier=package.text("carrier"),
                shipping_service=package.text("shippingService"),
                tracking_number=package.text("trackingNumber"),
                shipped_at=package.time("shipTime"),
                contents=contents,
            )
        )
    return tuple(found)


def _buyer(order: "_Fields") -> Buyer | None:
    told = order.part("buyer")
    buyer = Buyer(
        name=told.text("buyerName"),
        email=told.text("buyerEmail"),
        company=told.text("buyerCompanyName"),
        purchase_order=told.text("buyerPurchaseOrderNumber"),
    )
    return None if buyer == Buyer() else buyer


def _recipient(order: "_Fields") -> Address | None:
    recipient = order.part("recipient")
    told, preference = recipient.part("deliveryAddress"), recipient.part("deliveryPreference")
    extended = told.part("extendedFields")
    street = _joined(extended.text("streetName"), extended.text("streetNumber"))
    lines = [told.text(f"addressLine{number}") for number in (1, 2, 3)]
    more = [street, extended.text("complement"), extended.text("neighborhood")]
    address = Address(
        name=told.text("name"),
        company=told.text("companyName"),
        lines=_distinct([*lines, *more]),
        city=told.text("city") or told.text("municipality"),
        county=told.text("districtOrCounty"),
        state=told.text("stateOrRegion"),
        postal_code=told.text("postalCode"),
        country=told.text("countryCode"),
        phone=told.text("phone"),
        kind=told.text("addressType"),
        instructions=_joined(preference.text("dropOffLocation"), preference.text("addressInstruction")),
    )
    return None if address == Address() else address


def _amounts(proceeds: "_Fields", total_name: str) -> Amounts:
    """What Amazon lists by kind. All must be in the currency of the total; what is not is left out, and told."""
    total, currency = proceeds.part(total_name).money()
    added: dict[str, Decimal] = {}
    for listed in proceeds.list("breakdowns", _MOST_WORDS * 5):
        amount, its_currency = listed.part("subtotal").money()
        currency = currency or its_currency
        if amount is None or its_currency != currency:
            listed.wrong("subtotal")
            continue
        part = _KINDS.get(listed.text("type") or "", "other")
        added[part] = added.get(part, Decimal(0)) + amount
    return Amounts(currency=currency, total=total, **_storable(added, proceeds, "breakdowns"))


def _storable(added: Mapping[str, Decimal], fields: "_Fields", name: str) -> dict[str, Decimal]:
    """Sums without those that no column takes, although each of their parts is an amount; of these it is told."""
    storable = {part: amount for part, amount in added.items() if abs(amount) < _LARGEST}
    if len(storable) < len(added):
        fields.wrong(name)
    return storable


def _sum_of(items: Sequence[OrderItemRecord], order: "_Fields") -> Amounts:
    """The order's amounts where Amazon gives them by item only."""
    currencies = {item.amounts.currency for item in items if item.amounts.total is not None}
    if len(currencies) != 1 or any(item.amounts.total is None for item in items):
        return Amounts()
    added: dict[str, Decimal] = {}
    for item in items:
        for part in ("total", "items", "shipping", "tax", "discount", "other"):
            amount: Decimal | None = getattr(item.amounts, part)
            if amount is not None:
                added[part] = added.get(part, Decimal(0)) + amount
    return Amounts(currency=currencies.pop(), **_storable(added, order, "proceeds"))


def _paid(payments: Sequence["_Fields"], currency: str | None) -> Decimal | None:
    amounts = [payment.part("paymentAmount").money() for payment in payments]
    paid = [amount for amount, its_currency in amounts if amount is not None and its_currency == currency]
    if not paid or len(paid) < len(amounts):
        return None
    return _storable({"paid": sum(paid, Decimal(0))}, payments[0], "paymentAmount").get("paid")


def _distinct(texts: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text is not None))


def _joined(*texts: str | None) -> str | None:
    return " ".join(_distinct(texts)) or None


@cache
def _currencies() -> frozenset[str]:
    return frozenset(list_currencies())


class _Fields:
    """An object of JSON, asked for its fields by their kind. All parts of an order share one list of problems, items have their own."""

    def __init__(
        self, told: object, seen_at: datetime, *, path: str = "", problems: dict[str, None] | None = None
    ) -> None:
        self._told: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
        self._seen_at = seen_at
        self._path = path
        self._problems: dict[str, None] = {} if problems is None else problems
        if told is not None and not isinstance(told, Mapping):
            self.wrong()

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(self._problems)[:_MOST_WORDS]

    @property
    def is_there(self) -> bool:
        return bool(self._told)

    def has(self, name: str) -> bool:
        return self._told.get(name) is not None

    def wrong(self, name: str = "") -> None:
        """Note that this field cannot be read."""
        self._problems[(self._path + name).rstrip(".")] = None

    def part(self, name: str) -> "_Fields":
        return _Fields(
            self._told.get(name), self._seen_at, path=f"{self._path}{name}.", problems=self._problems
        )

    def list(self, name: str, most: int) -> "list[_Fields]":
        told = self._told.get(name)
        if told is None:
            return []
        if not isinstance(told, list):
            self.wrong(name)
            return []
        if len(told) > most:
            self.wrong(name)
        own = name == "orderItems"
        return [
            _Fields(
                each, self._seen_at, path="" if own else f"{name}.", problems=None if own else self._problems
            )
            for each in told[:most]
        ]

    def words(self, name: str) -> tuple[str, ...]:
        told = self._told.get(name)
        if told is None:
            return ()
        if not isinstance(told, list):
            self.wrong(name)
            return ()
        words = [word for word in told[:_MOST_WORDS] if isinstance(word, str) and _ID.fullmatch(word)]
        if len(words) < len(told):
            self.wrong(name)
        return _distinct(words)

    def text(self, name: str) -> str | None:
        told = self._told.get(name)
        if told is None:
            return None
        if not isinstance(told, str):
            self.wrong(name)
            return None
        text = _UNSEEN.sub(" ", told).strip()
        if len(text) > _MOST_TEXT:
            self.wrong(name)
        return text[:_MOST_TEXT] or None

    def quantity(self, name: str) -> int | None:
        told = self._told.get(name)
        if told is None:
            return None
        if isinstance(told, bool) or not isinstance(told, int) or not 0 <= told <= _LARGEST_QUANTITY:
            self.wrong(name)
            return None
        return told

    def time(self, name: str) -> datetime | None:
        """ISO 8601. One without a zone is taken for UTC, and told."""
        told = self._told.get(name)
        if told is None:
            return None
        try:
            time = datetime.fromisoformat(told)
        except (TypeError, ValueError):
            self.wrong(name)
            return None
        if time.tzinfo is None:
            self.wrong(name)
            time = time.replace(tzinfo=UTC)
        try:
            time = time.astimezone(UTC)
        except OverflowError:
            self.wrong(name)
            return None
        if not _EARLIEST <= time <= self._seen_at + _LATEST:
            self.wrong(name)
            return None
        return time

    def money(self) -> tuple[Decimal | None, str | None]:
        """The amount and its currency: both or none. A negative amount, and a currency that nobody knows, are kept and told."""
        if not self._told:
            return None, None
        currency, told = self._told.get("currencyCode"), self._told.get("amount")
        try:
            amount = Decimal(str(told)) if isinstance(told, str | int | float) else None
        except InvalidOperation:
            amount = None
        if amount is None or not amount.is_finite() or amount.copy_abs() >= _LARGEST:
            self.wrong("amount")
            return None, None
        if not isinstance(currency, str) or _CURRENCY.fullmatch(currency) is None:
            self.wrong("currencyCode")
            return None, None
        if currency not in _currencies():
            self.wrong("currencyCode")
        if amount < 0 and not self._path.endswith("subtotal."):
            self.wrong("amount")
        if amount != (rounded := amount.quantize(_SMALLEST_STEP)):
            self.wrong("amount")
        return rounded, currency
