"""What was read → what goes over the wire."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from services.connector.http.language import Language
from services.connector.orders.card import OrderState, hindrance_text
from services.connector.orders.listing import ListedOrder
from services.connector.orders.model import personal_ends_at
from services.connector.orders.money import amount_text
from services.connector.orders.queries import OtherConversationRow, Package, SealedItem
from services.connector.orders.schemas import (
    AmountsAnswer,
    CardAnswer,
    Money,
    OrderAnswer,
    OrderedItem,
    OrderSummary,
    OtherConversation,
    PackageAnswer,
    PersonalData,
    WholeOrderAnswer,
)
from services.connector.orders.snapshots import Snapshot
from services.connector.orders.timeline import Progress, timeline_of
from services.connector.orders.unsealing import OpenedItem, OpenedOrder
from shared.marketplaces import BY_COUNTRY, reach


def order_link(order: ListedOrder, amazon_base_url: str | None) -> str:
    """The order in the Seller Central of its marketplace; of one that nobody knows, in the store's own."""
    country = order.country if order.country in BY_COUNTRY else order.home_country
    host = BY_COUNTRY[country].seller_central_host
    return reach(f"https://{host}/orders-v3/order/{order.order_id}", amazon_base_url)


def order_summary(order: ListedOrder, amazon_base_url: str | None) -> OrderSummary:
    return {
        "id": order.id,
        "order_id": order.order_id,
        "integration": {"id": order.integration_id, "name": order.integration_name},
        "country": order.country,
        "status": order.status,
        "fulfilled_by": order.fulfilled_by,
        "programs": order.programs,
        "is_prime": order.is_prime,
        "is_business": order.is_business,
        "is_gift": order.is_gift,
        "is_pickup": order.is_pickup,
        "is_replacement": order.is_replacement,
        "is_exchange": order.is_exchange,
        "is_cancellation_requested": order.is_cancellation_requested,
        "purchased_at": order.purchased_at,
        "last_updated_at": order.last_updated_at,
        "ship_by": order.ship_by,
        "deliver_by": order.deliver_by,
        "shipped_at": order.shipped_at,
        "delivered_at": order.delivered_at,
        "total": _money(order.total, order.currency),
        "item_count": order.item_count,
        "quantity": order.quantity,
        "is_incomplete": bool(order.problems),
        "gone_at": order.gone_at,
        "fetched_at": order.fetched_at,
        "changed_at": order.changed_at,
        "seller_central_url": order_link(order, amazon_base_url),
    }


def order_summaries(orders: Sequence[ListedOrder], amazon_base_url: str | None) -> list[OrderSummary]:
    return [order_summary(order, amazon_base_url) for order in orders]


def order_answer(opened: OpenedOrder, amazon_base_url: str | None, now: datetime) -> OrderAnswer:
    """An order with its parts. Whoever calls it has opened it for somebody who may read it."""
    listed, more = opened.order.listed, opened.order.more
    buyer, recipient, data = opened.buyer, opened.recipient, _personal_data(opened, now)
    ends_at = None
    if data is PersonalData.PRESENT and more.personal_ends_at is not None:
        ends_at = more.personal_ends_at + timedelta(days=more.longer_kept_days or 0)
    return {
        **order_summary(listed, amazon_base_url),
        "sales_channel": more.sales_channel,
        "service_level": more.service_level,
        "replaces_order_id": more.replaces_order_id,
        "ship_after": more.ship_after,
        "deliver_after": more.deliver_after,
        "paid_at": more.paid_at,
        "paid_amount": amount_text(more.paid_amount, listed.currency),
        "payment_methods": more.payment_methods,
        "amounts": {
            "currency": listed.currency,
            "total": amount_text(listed.total, listed.currency),
            "items": amount_text(more.items_amount, listed.currency),
            "shipping": amount_text(more.shipping_amount, listed.currency),
            "tax": amount_text(more.tax_amount, listed.currency),
            "discount": amount_text(more.discount_amount, listed.currency),
            "other": amount_text(more.other_amount, listed.currency),
        },
        "timeline": [
            {"step": step.step, "state": step.state, "at": step.at, "until": step.until}
            for step in timeline_of(_progress(opened))
        ],
        "items": [_item(item) for item in opened.items],
        "packages": [_package(package) for package in opened.order.packages],
        "personal_data": data,
        "personal_data_end_at": ends_at,
        "buyer": None
        if buyer is None
        else {
            "name": buyer.name,
            "email": buyer.email,
            "company": buyer.company,
            "purchase_order": buyer.purchase_order,
        },
        "recipient": None
        if recipient is None
        else {
            "name": recipient.name,
            "company": recipient.company,
            "lines": list(recipient.lines),
            "city": recipient.city,
            "county": recipient.county,
            "state": recipient.state,
            "postal_code": recipient.postal_code,
            "country": recipient.country,
            "phone": recipient.phone,
            "kind": recipient.kind,
            "instructions": recipient.instructions,
        },
        "reported_at": more.reported_at,
        "unreadable": listed.problems,
        "problem": None if opened.is_whole else "seal_broken",
    }


def whole_order_answer(opened: OpenedOrder, amazon_base_url: str | None, now: datetime) -> WholeOrderAnswer:
    """The same, with what order reports say beyond it."""
    return {
        **order_answer(opened, amazon_base_url, now),
        "report_columns": [
            {"item_id": item.row.item_id, "columns": dict(item.report_columns)}
            for item in opened.items
            if item.report_columns
        ],
    }


def card_answer(
    order_id: str,
    state: OrderState,
    opened: OpenedOrder | None,
    *,
    language: Language,
    amazon_base_url: str | None,
    now: datetime,
) -> CardAnswer:
    hindrance = None if state.reason is None else hindrance_text(state.reason, language)
    return {
        "order_id": order_id,
        "state": state.state,
        "fetched_at": None if opened is None else opened.order.listed.fetched_at,
        "is_refreshing": state.is_refreshing,
        "hindrance": None
        if hindrance is None or state.reason is None
        else {"reason": state.reason, "title": hindrance.title, "cure": hindrance.cure},
        "order": None if opened is None else order_answer(opened, amazon_base_url, now),
    }


def other_conversation(row: OtherConversationRow) -> OtherConversation:
    return {
        "id": row.id,
        "order_id": row.order_id,
        "asin": row.asin,
        "country": row.country,
        "status": "closed" if row.status == "closed" else "open",
        "kind": row.kind,
        "message_count": row.message_count,
        "last_message_at": row.last_message_at,
    }


def snapshot_answer(snapshot: Snapshot) -> dict[str, Any]:
    """For an OrderSnapshotAnswer. What it holds was JSON already."""
    fields = dict(snapshot.fields)
    total, currency = fields.pop("total"), fields.pop("currency")
    money = _money(None if total is None else Decimal(total), currency)
    return {"order_id": snapshot.order_id, "taken_at": snapshot.taken_at, "total": money, **fields}


def _money(amount: Decimal | None, currency: str | None) -> Money | None:
    text = amount_text(amount, currency)
    return None if text is None or currency is None else {"amount": text, "currency": currency}


def _personal_data(opened: OpenedOrder, now: datetime) -> PersonalData:
    listed, more = opened.order.listed, opened.order.more
    sealed = (
        more.buyer,
        more.recipient,
        *(
            part
            for item in opened.order.items
            for part in (item.gift, item.customization, item.report_personal)
        ),
    )
    if any(part is not None for part in sealed):
        return PersonalData.PRESENT
    end = personal_ends_at(
        delivered_at=listed.delivered_at,
        deliver_by=listed.deliver_by,
        purchased_at=listed.purchased_at,
        last_updated_at=listed.last_updated_at,
    )
    has_ended = end + timedelta(days=more.longer_kept_days or 0) <= now
    return PersonalData.ENDED if has_ended else PersonalData.NOT_AVAILABLE


def _progress(opened: OpenedOrder) -> Progress:
    listed, more = opened.order.listed, opened.order.more
    return Progress(
        status=listed.status,
        is_paid=more.paid_at is not None or more.paid_amount is not None,
        purchased_at=listed.purchased_at,
        paid_at=more.paid_at,
        ship_by=listed.ship_by,
        shipped_at=listed.shipped_at,
        deliver_by=listed.deliver_by,
        delivered_at=listed.delivered_at,
    )


def _item(item: OpenedItem) -> OrderedItem:
    row = item.row
    return {
        "item_id": row.item_id,
        "asin": row.asin,
        "sku": row.sku,
        "title": row.title,
        "condition": row.condition,
        "quantity": row.quantity,
        "quantity_shipped": row.quantity_shipped,
        "unit_price": amount_text(row.unit_price, row.currency),
        "amounts": _amounts_of_item(row),
        "gift_wrap": row.gift_wrap,
        "gift_message": item.gift_message,
        "customized_url": item.customized_url,
        "is_cancellation_requested": row.is_cancellation_requested,
        "cancel_reason": row.cancel_reason,
    }


def _amounts_of_item(row: SealedItem) -> AmountsAnswer:
    return {
        "currency": row.currency,
        "total": amount_text(row.total, row.currency),
        "items": amount_text(row.item_amount, row.currency),
        "shipping": amount_text(row.shipping_amount, row.currency),
        "tax": amount_text(row.tax_amount, row.currency),
        "discount": amount_text(row.discount_amount, row.currency),
        "other": amount_text(row.other_amount, row.currency),
    }


def _package(package: Package) -> PackageAnswer:
    return {
        "reference": package.reference,
        "status": package.status,
        "detailed_status": package.detailed_status,
        "carrier": package.carrier,
        "shipping_service": package.shipping_service,
        "tracking_number": package.tracking_number,
        "shipped_at": package.shipped_at,
        "delivered_at": package.delivered_at,
        "contents": [
            {"item_id": item_id, "quantity": int(quantity)} for item_id, quantity in package.contents.items()
        ],
    }
