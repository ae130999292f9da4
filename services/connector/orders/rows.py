"""What a source tells of an order → the columns of its row, its items' and its packages'. What is personal is sealed here."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.connector.orders import personal
from services.connector.orders.model import (
    UNKNOWN_STATUS,
    OrderItemRecord,
    OrderRecord,
    PackageRecord,
    Source,
)
from services.connector.orders.upserts import BETWEEN
from shared.crypto.envelope import AccountKeys
from shared.orders import item_row_id

_DELIVERED: Final = "DELIVERED"


def order_columns(
    keys: AccountKeys,
    row_id: UUID,
    order: OrderRecord,
    *,
    digest: bytes,
    personal_ends_at: datetime | None,
    now: datetime,
) -> dict[str, Any]:
    """The row of an order, but for its keys."""
    is_api = order.source is Source.API
    quantities = [max(item.quantity or 0, 0) for item in order.items]
    shipped = [package.shipped_at for package in order.packages or () if package.shipped_at is not None]
    return {
        "marketplace_id": order.marketplace_id,
        "country": order.country,
        "sales_channel": order.sales_channel,
        "status": order.status or UNKNOWN_STATUS,
        "fulfilled_by": order.fulfilled_by,
        "service_level": order.service_level,
        "programs": BETWEEN.join(order.programs or ()),
        "is_business": bool(order.is_business),
        "is_prime": bool(order.is_prime),
        "is_gift": any(item.gift_wrap or item.gift_message for item in order.items),
        "is_pickup": bool(order.is_pickup),
        "is_replacement": bool(order.is_replacement),
        "is_exchange": bool(order.is_exchange),
        "replaces_order_id": order.replaces_order_id,
        "is_cancellation_requested": any(item.is_cancellation_requested for item in order.items),
        "purchased_at": order.purchased_at,
        "last_updated_at": order.last_updated_at,
        "ship_after": order.ship_after,
        "ship_by": order.ship_by,
        "deliver_after": order.deliver_after,
        "deliver_by": order.deliver_by,
        "shipped_at": min(shipped, default=None),
        "delivered_at": delivered_at(order),
        "paid_at": order.paid_at,
        "currency": order.amounts.currency,
        "total": order.amounts.total,
        "items_amount": order.amounts.items,
        "shipping_amount": order.amounts.shipping,
        "tax_amount": order.amounts.tax,
        "discount_amount": order.amounts.discount,
        "other_amount": order.amounts.other,
        "paid_amount": order.paid_amount,
        "payment_methods": BETWEEN.join(order.payment_methods or ()),
        "item_count": len(each_once(order.items)),
        "quantity": min(sum(quantities), 2_000_000_000),
        "buyer": personal.seal_buyer(keys, row_id, order.buyer),
        "buyer_key": personal.buyer_key(keys, order.buyer),
        "recipient": personal.seal_recipient(keys, row_id, order.recipient),
        "personal_ends_at": personal_ends_at,
        "problems": BETWEEN.join(_problems(order)),
        "api_digest": digest if is_api else None,
        "report_digest": None if is_api else digest,
        "fetched_at": now if is_api else None,
        "reported_at": None if is_api else now,
        "gone_at": None,
    }


def _problems(order: OrderRecord) -> list[str]:
    return sorted({*order.problems, *(problem for item in order.items for problem in item.problems)})


def item_columns(keys: AccountKeys, order: UUID, item: OrderItemRecord, position: int) -> dict[str, Any]:
    """The row of an item of the order with this row, but for its keys."""
    row_id = item_row_id(order, item.item_id)
    return {
        "item_id": item.item_id,
        "position": position,
        "asin": item.asin,
        "sku": item.sku,
        "title": item.title,
        "condition": item.condition,
        "quantity": item.quantity,
        "quantity_shipped": item.quantity_shipped,
        "currency": item.amounts.currency,
        "unit_price": item.unit_price,
        "item_amount": item.amounts.items,
        "shipping_amount": item.amounts.shipping,
        "tax_amount": item.amounts.tax,
        "discount_amount": item.amounts.discount,
        "other_amount": item.amounts.other,
        "total": item.amounts.total,
        "gift_wrap": item.gift_wrap,
        "gift": personal.seal_gift(keys, row_id, item),
        "customization": personal.seal_customization(keys, row_id, item),
        "is_cancellation_requested": bool(item.is_cancellation_requested),
        "cancel_reason": item.cancel_reason,
        "problems": BETWEEN.join(item.problems),
        "report_columns": None if item.report_columns is None else json.dumps(item.report_columns),
        "report_personal": personal.seal_report_cells(keys, row_id, item),
    }


def package_columns(order: OrderRecord, package: PackageRecord, position: int) -> dict[str, Any]:
    """The row of a package, but for its keys."""
    return {
        "reference": package.reference,
        "position": position,
        "status": package.status,
        "detailed_status": package.detailed_status,
        "carrier": package.carrier,
        "shipping_service": package.shipping_service,
        "tracking_number": package.tracking_number,
        "shipped_at": package.shipped_at,
        "delivered_at": order.last_updated_at if package.status == _DELIVERED else None,
        "contents": json.dumps({item_id: str(count) for item_id, count in package.contents.items()}),
    }


def delivered_at(order: OrderRecord) -> datetime | None:
    """When the whole order was seen to be delivered. No source tells the moment itself."""
    if not order.packages or any(package.status != _DELIVERED for package in order.packages):
        return None
    return order.last_updated_at


def each_once(items: Sequence[OrderItemRecord]) -> list[OrderItemRecord]:
    """An order's items without those that it names twice."""
    return list({item.item_id: item for item in items}.values())
