"""An order as Orders v2026-01-01 tells it: what was asked for in `includedData`, and of personal data what the roles allow."""

from collections.abc import Set as AbstractSet
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from services.sandbox.state.order_making import money, recipient
from services.sandbox.state.orders import OrderItem, Package, PackageStatus, PlacedOrder, Status, Window
from services.sandbox.state.roles import TAX_ROLES, RestrictedRole
from shared.marketplaces import BY_COUNTRY

DATA_SETS: Final = frozenset(
    {
        *("BUYER", "RECIPIENT", "PROCEEDS", "EXPENSE", "PROMOTION", "CANCELLATION", "FULFILLMENT"),
        *("PACKAGES", "TAX", "PAYMENT", "FULFILLMENT_ORDERS"),
    }
)
_WITH_EMAIL: Final = frozenset({Status.UNSHIPPED, Status.PARTIALLY_SHIPPED, Status.SHIPPED})
_Json = dict[str, Any]


def time_text(time: datetime) -> str:
    """A time as the SP-API writes it: UTC, whole seconds."""
    return f"{time:%Y-%m-%dT%H:%M:%S}Z"


def order_json(
    placed: PlacedOrder, included: AbstractSet[str], roles: AbstractSet[RestrictedRole], now: datetime
) -> _Json:
    """The order with the data sets that were asked for. An order that is pending has no amounts yet, as at Amazon."""
    marketplace = BY_COUNTRY[placed.order.country]
    shows_amounts = placed.status not in {Status.PENDING, Status.PENDING_AVAILABILITY}
    sees_personal_data = RestrictedRole.DIRECT_TO_CONSUMER_SHIPPING in roles
    answer: _Json = {
        "orderId": placed.order_id,
        "createdTime": time_text(placed.created_at),
        "lastUpdatedTime": time_text(placed.updated_at),
        "programs": list(placed.programs),
        "salesChannel": {
            "channelName": "AMAZON",
            "marketplaceId": marketplace.marketplace_id,
            "marketplaceName": f"Amazon.{marketplace.retail_domain.partition('.')[2]}",
        },
        "orderItems": [
            _item(item, placed, included, shows_amounts=shows_amounts, sees_personal_data=sees_personal_data)
            for item in placed.items
        ],
    }
    if placed.seller_order_id:
        answer["orderAliases"] = [{"aliasId": placed.seller_order_id, "aliasType": "SELLER_ORDER_ID"}]
    if placed.replaces:
        original = {"orderId": placed.replaces, "associationType": "REPLACEMENT_ORIGINAL_ID"}
        answer["associatedOrders"] = [original]
    if "BUYER" in included:
        answer["buyer"] = _buyer(placed, roles)
    if "RECIPIENT" in included:
        answer["recipient"] = {"deliveryAddress": _address(placed, now, sees_all=sees_personal_data)}
    if "PROCEEDS" in included and shows_amounts:
        answer["proceeds"] = _order_proceeds(placed)
    if "PAYMENT" in included and shows_amounts:
        paid = {"paymentMethod": "CreditCard", "paymentAmount": _money(placed.total, placed.currency)}
        answer["payment"] = {"paymentExecutions": [paid]}
    if "TAX" in included:
        answer["tax"] = {}
    if "FULFILLMENT" in included:
        answer["fulfillment"] = {
            "fulfillmentStatus": placed.status,
            "fulfilledBy": placed.fulfilled_by,
            "fulfillmentServiceLevel": placed.service_level,
            "shipByWindow": _window(placed.ship_by),
            "deliverByWindow": _window(placed.deliver_by),
        }
    if "PACKAGES" in included and placed.is_of_merchant:
        answer["packages"] = [_package(package) for package in placed.packages]
    return answer


def _buyer(placed: PlacedOrder, roles: AbstractSet[RestrictedRole]) -> _Json:
    buyer = {}
    if roles if placed.is_of_merchant else roles & TAX_ROLES:
        buyer["buyerName"] = recipient(placed.order).name
    may_write = RestrictedRole.DIRECT_TO_CONSUMER_SHIPPING in roles and placed.status in _WITH_EMAIL
    if may_write and placed.is_of_merchant:
        domain = BY_COUNTRY[placed.order.country].buyer_mail_domain
        buyer["buyerEmail"] = f"{placed.order.buyer_local}@{domain}"
    if placed.company:
        buyer["buyerCompanyName"] = placed.company
    if placed.purchase_order:
        buyer["buyerPurchaseOrderNumber"] = placed.purchase_order
    return buyer


def _address(placed: PlacedOrder, now: datetime, *, sees_all: bool) -> _Json:
    person = recipient(placed.order)
    is_pick_up = "IN_STORE_PICK_UP" in placed.programs
    kind = "PICKUP_POINT" if is_pick_up else "COMMERCIAL" if placed.company else "RESIDENTIAL"
    address = {
        "city": person.city,
        "stateOrRegion": person.state,
        "countryCode": placed.order.country,
        "addressType": kind,
    }
    if sees_all and placed.is_of_merchant:
        address |= {
            "name": person.name,
            "addressLine1": person.street,
            "postalCode": person.postal_code,
        }
        is_over = placed.status is Status.SHIPPED and now > placed.deliver_by.latest
        if not is_over:
            address["phone"] = person.phone
    return address


def _item(
    item: OrderItem,
    placed: PlacedOrder,
    included: AbstractSet[str],
    *,
    shows_amounts: bool,
    sees_personal_data: bool,
) -> _Json:
    product: _Json = {
        "asin": item.asin,
        "title": item.title,
        "sellerSku": item.sku,
        "condition": {"conditionType": "NEW", "conditionSubtype": "NEW"},
    }
    if shows_amounts:
        product["price"] = {"unitPrice": _money(item.unit_price, placed.currency)}
        if placed.company:
            product["price"]["priceDesignation"] = "BUSINESS_PRICE"
    if item.customized_url and sees_personal_data:
        product["customization"] = {"customizedUrl": item.customized_url}
    answer: _Json = {"orderItemId": item.item_id, "quantityOrdered": item.quantity, "product": product}
    if "PROCEEDS" in included and shows_amounts:
        answer["proceeds"] = {
            "proceedsTotal": _money(item.total, placed.currency),
            "breakdowns": _breakdowns([item], placed.currency),
        }
    if "PROMOTION" in included and item.promotion_id:
        answer["promotion"] = {"breakdowns": [{"promotionId": item.promotion_id}]}
    if "CANCELLATION" in included:
        cancellation = _cancellation(item, placed)
        if cancellation:
            answer["cancellation"] = cancellation
    if "FULFILLMENT" in included:
        answer["fulfillment"] = _item_fulfillment(item, placed, sees_personal_data=sees_personal_data)
    return answer


def _item_fulfillment(item: OrderItem, placed: PlacedOrder, *, sees_personal_data: bool) -> _Json:
    is_open = placed.status is not Status.CANCELLED
    fulfillment: _Json = {
        "quantityFulfilled": item.shipped,
        "quantityUnfulfilled": item.quantity - item.shipped if is_open else 0,
    }
    gift = {}
    if item.gift_wrap:
        gift["giftWrapLevel"] = item.gift_wrap
    if item.gift_message and sees_personal_data:
        gift["giftMessage"] = item.gift_message
    if gift:
        fulfillment["packing"] = {"giftOption": gift}
    return fulfillment


def _cancellation(item: OrderItem, placed: PlacedOrder) -> _Json:
    cancellation: _Json = {}
    if item.cancel_request:
        cancellation["cancellationRequest"] = {"requester": "BUYER", "cancelReason": item.cancel_request}
    if placed.cancelled_by:
        execution = {"cancelledBy": placed.cancelled_by, "cancelReason": placed.cancel_reason}
        cancellation["cancellationExecution"] = execution
    return cancellation


def _package(package: Package) -> _Json:
    is_there = package.status is PackageStatus.DELIVERED
    return {
        "packageReferenceId": package.reference,
        "createdTime": time_text(package.shipped_at),
        "packageStatus": {
            "status": package.status,
            "detailedStatus": "DELIVERED" if is_there else "IN_TRANSIT",
        },
        "carrier": package.carrier,
        "shipTime": time_text(package.shipped_at),
        "trackingNumber": package.tracking_number,
        "packageItems": [
            {"orderItemId": item_id, "quantity": quantity} for item_id, quantity in package.contents.items()
        ],
    }


def _order_proceeds(placed: PlacedOrder) -> _Json:
    return {
        "grandTotal": _money(placed.total, placed.currency),
        "breakdowns": _breakdowns(placed.items, placed.currency),
    }


def _breakdowns(items: list[OrderItem], currency: str) -> list[_Json]:
    amounts = {
        "ITEM": sum((item.price for item in items), Decimal(0)),
        "SHIPPING": sum((item.shipping_price for item in items), Decimal(0)),
        "TAX": sum((item.tax for item in items), Decimal(0)),
        "DISCOUNT": -sum((item.discount for item in items), Decimal(0)),
    }
    return [
        {"type": kind, "subtotal": _money(amount, currency)}
        for kind, amount in amounts.items()
        if amount or kind == "ITEM"
    ]


def _money(amount: Decimal, currency: str) -> _Json:
    return {"amount": money(amount, currency), "currencyCode": currency}


def _window(window: Window) -> _Json:
    return {"earliestDateTime": time_text(window.earliest), "latestDateTime": time_text(window.latest)}
