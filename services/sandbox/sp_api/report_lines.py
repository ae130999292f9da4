"""The lines of order reports: one for each item of an order, tab-separated, without quoting, with CRLF at the end."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Final

from services.sandbox.state.order_making import money, recipient
from services.sandbox.state.orders import FulfilledBy, OrderItem, PlacedOrder, Status
from services.sandbox.state.report_columns import ALL_ORDERS, IN_HEADER, OPTIONAL, ORDER_REPORT
from services.sandbox.state.reports import ORDER_REPORT_TYPE, Report
from services.sandbox.state.sellers import Seller
from shared.marketplaces import BY_COUNTRY, BY_ID

_LINE_END: Final = "\r\n"
_OFFSETS: Final = {"JP": 9, "US": -8, "CA": -8, "MX": -6, "AU": 10}
_PENDING: Final = frozenset({Status.PENDING, Status.PENDING_AVAILABILITY})
_ORDER_STATES: Final = {
    Status.PENDING: "Pending",
    Status.PENDING_AVAILABILITY: "Pending",
    Status.UNSHIPPED: "Unshipped",
    Status.PARTIALLY_SHIPPED: "Shipping",
    Status.SHIPPED: "Shipped",
    Status.CANCELLED: "Cancelled",
    Status.UNFULFILLABLE: "Unfulfillable",
}
_Value = Callable[[PlacedOrder, OrderItem], str]


def columns_of(report: Report, seller: Seller) -> tuple[str, ...]:
    """The columns that a report has: of the order report also those that the seller switched on."""
    if report.report_type != ORDER_REPORT_TYPE:
        return ALL_ORDERS
    return (*ORDER_REPORT, *(name for name in OPTIONAL if name in seller.report_columns))


def header(columns: Iterable[str]) -> str:
    return "\t".join(IN_HEADER.get(name, name) for name in columns) + _LINE_END


def lines(report: Report, columns: tuple[str, ...], orders: Iterable[PlacedOrder]) -> Iterator[str]:
    """The lines of the orders that belong into the report."""
    countries = {BY_ID[marketplace_id].country for marketplace_id in report.marketplace_ids}
    values = [_VALUES.get(name.strip(), _nothing) for name in columns]
    for placed in orders:
        if placed.order.country in countries and _belongs(report, placed):
            for item in placed.items:
                yield "\t".join(value(placed, item) for value in values) + _LINE_END


def made_up_lines(report: Report, columns: tuple[str, ...], like: PlacedOrder, count: int) -> Iterator[str]:
    """So many lines, each of an order of its own and otherwise like this one, made while they are read: several at a time."""
    template = "\t".join(_VALUES.get(name.strip(), _nothing)(like, like.items[0]) for name in columns)
    item_id, order_id = like.items[0].item_id, like.order_id
    template = template.replace("%", "%%").replace(item_id, "%(item)014d").replace(order_id, "%(order)s")
    template += _LINE_END
    prefix = order_id[:3]
    for start in range(0, count, 500):
        yield "".join(
            template % {"item": 10**13 + n, "order": f"{prefix}-{n // 10_000_000:07d}-{n % 10_000_000:07d}"}
            for n in range(start, min(count, start + 500))
        )


def _belongs(report: Report, placed: PlacedOrder) -> bool:
    if report.report_type != ORDER_REPORT_TYPE:
        return report.starts_at <= placed.updated_at <= report.ends_at and not placed.is_gone
    is_fulfillable = placed.is_of_merchant and placed.status not in _PENDING
    return is_fulfillable and report.starts_at <= placed.created_at <= report.ends_at and not placed.is_gone


def _nothing(_placed: PlacedOrder, _item: OrderItem) -> str:
    return ""


def _time(placed: PlacedOrder, time: datetime) -> str:
    """A time in the marketplace's zone, with its offset."""
    hours = _OFFSETS.get(placed.order.country)
    zone = UTC if hours is None else timezone(timedelta(hours=hours))
    return time.astimezone(zone).isoformat(timespec="seconds")


def _yes(is_so: bool) -> str:
    return "true" if is_so else "false"


def _amount(placed: PlacedOrder, amount: Decimal) -> str:
    return money(amount, placed.currency)


def _buyer_email(placed: PlacedOrder, _item: OrderItem) -> str:
    return f"{placed.order.buyer_local}@{BY_COUNTRY[placed.order.country].buyer_mail_domain}"


def _plan(_placed: PlacedOrder, item: OrderItem) -> str:
    return json.dumps([{"supply-source-id": "main", "item-quantity": item.quantity}])


def _preferred_time(_placed: PlacedOrder, _item: OrderItem) -> str:
    return json.dumps({"MON": [{"start": "09:00", "end": "17:00"}], "note": 'ring "twice"'})


def _status(placed: PlacedOrder, _item: OrderItem) -> str:
    return _ORDER_STATES[placed.status]


_ORDER_VALUES: Final[dict[str, _Value]] = {
    "order-id": lambda o, _: o.order_id,
    "amazon-order-id": lambda o, _: o.order_id,
    "merchant-order-id": lambda o, _: o.seller_order_id,
    "order-item-id": lambda _, i: i.item_id,
    "purchase-date": lambda o, _: _time(o, o.created_at),
    "payments-date": lambda o, _: _time(o, o.created_at),
    "last-updated-date": lambda o, _: _time(o, o.updated_at),
    "order-status": _status,
    "item-status": _status,
    "fulfillment-channel": lambda o, _: "Merchant" if o.is_of_merchant else "Amazon",
    "sales-channel": lambda o, _: f"Amazon.{BY_COUNTRY[o.order.country].retail_domain.partition('.')[2]}",
    "ship-service-level": lambda o, _: o.service_level.capitalize(),
    "product-name": lambda _, i: i.title,
    "sku": lambda _, i: i.sku,
    "asin": lambda _, i: i.asin,
    "quantity": lambda _, i: str(i.quantity),
    "quantity-purchased": lambda _, i: str(i.quantity),
    "currency": lambda o, _: o.currency,
    "item-price": lambda o, i: _amount(o, i.price),
    "item-tax": lambda o, i: _amount(o, i.tax),
    "shipping-price": lambda o, i: _amount(o, i.shipping_price),
    "shipping-tax": lambda o, _: _amount(o, Decimal(0)),
    "gift-wrap-price": lambda o, _: _amount(o, Decimal(0)),
    "gift-wrap-tax": lambda o, _: _amount(o, Decimal(0)),
    "ship-city": lambda o, _: recipient(o.order).city,
    "ship-state": lambda o, _: recipient(o.order).state,
    "ship-postal-code": lambda o, _: recipient(o.order).postal_code,
    "ship-country": lambda o, _: o.order.country,
}
_PERSONAL_VALUES: Final[dict[str, _Value]] = {
    "buyer-email": _buyer_email,
    "buyer-name": lambda o, _: recipient(o.order).name,
    "buyer-phone-number": lambda o, _: recipient(o.order).phone,
    "recipient-name": lambda o, _: recipient(o.order).name,
    "ship-address-1": lambda o, _: recipient(o.order).street,
    "ship-phone-number": lambda o, _: recipient(o.order).phone,
    "gift-message-text": lambda _, i: i.gift_message.replace("\n", " "),
    "customized-url": lambda _, i: i.customized_url,
    "bill-name": lambda o, _: recipient(o.order).name,
    "bill-address-1": lambda o, _: recipient(o.order).street,
    "bill-city": lambda o, _: recipient(o.order).city,
    "bill-state": lambda o, _: recipient(o.order).state,
    "bill-postal-code": lambda o, _: recipient(o.order).postal_code,
    "bill-country": lambda o, _: o.order.country,
}
_OPTIONAL_VALUES: Final[dict[str, _Value]] = {
    "item-promotion-discount": lambda o, i: _amount(o, i.discount),
    "ship-promotion-discount": lambda o, _: _amount(o, Decimal(0)),
    "item-promotion-id": lambda _, i: i.promotion_id,
    "promotion-ids": lambda _, i: i.promotion_id,
    "gift-wrap-type": lambda _, i: i.gift_wrap,
    "is-business-order": lambda o, _: _yes(bool(o.company)),
    "purchase-order-number": lambda o, _: o.purchase_order,
    "price-designation": lambda o, _: "Business Price" if o.company else "",
    "buyer-company-name": lambda o, _: o.company,
    "order-channel": lambda _o, _i: "WebsiteOrderChannel",
    "earliest-ship-date": lambda o, _: _time(o, o.ship_by.earliest),
    "latest-ship-date": lambda o, _: _time(o, o.ship_by.latest),
    "earliest-delivery-date": lambda o, _: _time(o, o.deliver_by.earliest),
    "latest-delivery-date": lambda o, _: _time(o, o.deliver_by.latest),
    "is-prime": lambda o, _: _yes("PRIME" in o.programs),
    "is-premium-order": lambda o, _: _yes("PREMIUM" in o.programs),
    "is-global-express": lambda _o, _i: "false",
    "ship-service-name": lambda o, _: f"Std {o.order.country} Dom",
    "fulfilled-by": lambda o, _: "Amazon" if o.fulfilled_by is FulfilledBy.AMAZON else "Merchant",
    "shipment-status": _status,
    "Address-Type": lambda o, _: "Commercial" if o.company else "Residential",
    "Number-of-items": lambda o, _: str(sum(item.quantity for item in o.items)),
    "is-ispu-order": lambda o, _: _yes("IN_STORE_PICK_UP" in o.programs),
    "is-pickup-point-order": lambda o, _: _yes("IN_STORE_PICK_UP" in o.programs),
    "default-ship-from-address-city": lambda _o, _i: "Leipzig",
    "default-ship-from-address-country": lambda _o, _i: "DE",
    "tax-collection-model": lambda _o, _i: "MarketplaceFacilitator",
    "tax-collection-responsible-party": lambda _o, _i: "Amazon Services Europe Sàrl",
    "ioss-number": lambda _o, _i: "IM4420001201",
    "is-sold-by-ab": lambda _o, _i: "false",
    "is-iba": lambda _o, _i: "false",
    "payment-method": lambda _o, _i: "Other",
    "payment-method-details": lambda _o, _i: "CreditCard",
    "delivery-preferred-time": _preferred_time,
    "drop-off-location": lambda _o, _i: "FRONTDOOR",
    "is-transparency": lambda _o, _i: "false",
    "fulfillment plan": _plan,
    "amazon-programs": lambda o, _: ",".join(o.programs),
    "signature-confirmation-recommended": lambda _o, _i: "false",
    "is-buyer-requested-cancellation": lambda _, i: _yes(bool(i.cancel_request)).upper(),
    "buyer-requested-cancel-reason": lambda _, i: i.cancel_request,
    "is-replacement-order": lambda o, _: _yes(bool(o.replaces)),
    "is-exchange-order": lambda _o, _i: "false",
    "original-order-id": lambda o, _: o.replaces,
    "handling-time": lambda _o, _i: "1",
    "transit-time": lambda _o, _i: "2",
    "verge-of-cancellation": lambda _o, _i: "false",
    "verge-of-lateShipment": lambda _o, _i: "false",
    "is-shipping-settings-automation-enabled": lambda _o, _i: "false",
}
_VALUES: Final = _ORDER_VALUES | _PERSONAL_VALUES | _OPTIONAL_VALUES
