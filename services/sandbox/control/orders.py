"""The sellers' orders, `/control/orders`: new ones, and what becomes of them.

GET    /control/orders                     a seller's orders, the newest last (query: seller_id, limit)
POST   /control/orders                     one new order, or several alike
POST   /control/orders/many                thousands, spread over a time
GET    /control/orders/{order_id}          one order, whole
POST   /control/orders/change              change orders, as if Amazon or the seller had
POST   /control/orders/ship · deliver · cancel · request-cancellation · vanish
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException
from pydantic import AwareDatetime, Field, StringConstraints

from services.sandbox.control.requests import ControlRequest, seller_or_404
from services.sandbox.dependencies import SandboxDep
from services.sandbox.state.memory import Sandbox
from services.sandbox.state.order_book import TooManyOrders
from services.sandbox.state.order_making import (
    item_of,
    many_orders,
    new_order,
    place,
    recipient,
    tracking_number,
)
from services.sandbox.state.orders import (
    CARRIERS,
    CannotChange,
    FulfilledBy,
    OrderItem,
    PlacedOrder,
    Status,
    Window,
)
from services.sandbox.state.sellers import Seller
from shared.marketplaces import BY_COUNTRY

router = APIRouter(prefix="/control/orders")

_MAX_AT_ONCE: Final = 100_000
_MAX_SHOWN: Final = 10_000
_Line = Annotated[str, StringConstraints(max_length=2_000, pattern=r"^[^\t\r\n]*$")]
_Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\t\r\n]*$")]
_OrderId = Annotated[str, StringConstraints(pattern=r"^[0-9]{3}-[0-9]{7}-[0-9]{7}$")]
_Amount = Annotated[Decimal, Field(max_digits=18, decimal_places=4)]
_Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
_Programs = Annotated[tuple[_Name, ...], Field(max_length=20)]


class NewItem(ControlRequest):
    """What is left out is made up."""

    title: _Line | None = None
    quantity: int = Field(1, ge=1, le=10_000)
    unit_price: _Amount | None = None
    shipping_price: _Amount | None = None
    tax: _Amount = Decimal(0)
    discount: _Amount = Decimal(0)
    sku: _Name | None = None
    asin: _Name | None = None
    promotion_id: _Line = ""
    gift_message: _Line = ""
    gift_wrap: _Line = ""
    customized_url: _Line = ""


class OrderFields(ControlRequest):
    """What can be said of an order when it is new, and changed later."""

    status: Status | None = None
    fulfilled_by: FulfilledBy | None = None
    service_level: _Name | None = None
    programs: _Programs | None = None
    company: _Line | None = None
    purchase_order: _Line | None = None
    replaces: _OrderId | None = None
    seller_order_id: _Line | None = None
    currency: _Currency | None = None
    ship_by: AwareDatetime | None = None
    deliver_by: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None
    searchable_in_seconds: float | None = Field(None, ge=0, le=10 * 365 * 86_400)


class NewOrders(OrderFields):
    """`count` orders alike; an order's id and its buyer's local part can be given to a single one."""

    seller_id: str
    country: str
    count: int = Field(1, ge=1, le=10_000)
    order_id: _OrderId | None = None
    buyer_name: _Name | None = None
    buyer_local: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{5,40}$")] | None = None
    created_at: AwareDatetime | None = None
    items: tuple[NewItem, ...] = Field((NewItem(),), min_length=1, max_length=500)


class ManyOrders(ControlRequest):
    seller_id: str
    count: int = Field(ge=1, le=_MAX_AT_ONCE)
    days: float = Field(365, gt=0, le=10 * 365)
    countries: tuple[str, ...] | None = Field(None, min_length=1, max_length=len(BY_COUNTRY))


class Chosen(ControlRequest):
    """The orders that something happens to, and when: now, or at a time of the past that Amazon tells."""

    order_ids: tuple[_OrderId, ...] = Field(min_length=1, max_length=10_000)
    at: AwareDatetime | None = None


class Change(OrderFields):
    order_ids: tuple[_OrderId, ...] = Field(min_length=1, max_length=10_000)


class Shipment(Chosen):
    """`items`: how many of which item; all that is left without it."""

    carrier: _Name | None = None
    tracking_number: _Name | None = None
    items: dict[str, int] | None = Field(None, max_length=500)


class Reason(Chosen):
    reason: _Line = ""
    by: Annotated[str, StringConstraints(pattern=r"^(BUYER|MERCHANT|AMAZON)$")] = "MERCHANT"


@router.get("")
async def list_orders(sandbox: SandboxDep, seller_id: str, limit: int = 100) -> list[dict[str, Any]]:
    seller_or_404(sandbox, seller_id)
    shown = sandbox.orders.of_seller(seller_id)[-max(1, min(limit, _MAX_SHOWN)) :]
    return [_brief(placed) for placed in shown if not placed.is_gone]


@router.post("", status_code=201)
async def create_orders(new: NewOrders, sandbox: SandboxDep) -> list[dict[str, Any]]:
    seller = seller_or_404(sandbox, new.seller_id)
    if new.country not in seller.countries:
        raise HTTPException(422, "the seller does not sell in this country")
    if new.order_id is not None and (new.count > 1 or sandbox.find_order(new.order_id) is not None):
        raise HTTPException(409, "an order's id is for one order")
    made = [_make(sandbox, seller, new) for _ in range(new.count)]
    _add(sandbox, seller, made, "OrderStatusChange")
    return [_whole(placed) for placed in made]


@router.post("/many", status_code=201)
async def create_many(many: ManyOrders, sandbox: SandboxDep) -> dict[str, Any]:
    """Nobody is told of them: they are what was there before."""
    seller = seller_or_404(sandbox, many.seller_id)
    countries = many.countries or seller.countries
    if not set(countries) <= set(seller.countries):
        raise HTTPException(422, "the seller does not sell in this country")
    now = sandbox.now()
    made = many_orders(seller, countries, many.count, now - timedelta(days=many.days), now)
    _add(sandbox, seller, made, None)
    return {"created": len(made), "first": made[0].order_id, "last": made[-1].order_id}


@router.get("/{order_id}")
async def read_order(order_id: str, sandbox: SandboxDep) -> dict[str, Any]:
    return _whole(_order(sandbox, order_id))


@router.post("/change")
async def change(wanted: Change, sandbox: SandboxDep) -> list[dict[str, Any]]:
    return _each(sandbox, wanted.order_ids, wanted.updated_at, lambda placed: _apply(sandbox, placed, wanted))


@router.post("/ship")
async def ship(shipment: Shipment, sandbox: SandboxDep) -> list[dict[str, Any]]:
    at = shipment.at or sandbox.now()

    def send(placed: PlacedOrder) -> None:
        region = BY_COUNTRY[placed.order.country].region
        placed.ship(
            at.astimezone(UTC).replace(microsecond=0),
            shipment.carrier or CARRIERS[region],
            shipment.tracking_number or tracking_number(placed),
            shipment.items,
        )

    return _each(sandbox, shipment.order_ids, shipment.at, send)


@router.post("/deliver")
async def deliver(chosen: Chosen, sandbox: SandboxDep) -> list[dict[str, Any]]:
    at = (chosen.at or sandbox.now()).astimezone(UTC).replace(microsecond=0)
    return _each(sandbox, chosen.order_ids, chosen.at, lambda placed: placed.deliver(at))


@router.post("/cancel")
async def cancel(reason: Reason, sandbox: SandboxDep) -> list[dict[str, Any]]:
    return _each(sandbox, reason.order_ids, reason.at, lambda placed: placed.cancel(reason.by, reason.reason))


@router.post("/request-cancellation")
async def request_cancellation(reason: Reason, sandbox: SandboxDep) -> list[dict[str, Any]]:
    words = reason.reason or "NO_LONGER_NEEDED"
    return _each(
        sandbox,
        reason.order_ids,
        reason.at,
        lambda placed: placed.request_cancellation(words),
        why="BuyerRequestedChange",
    )


@router.post("/vanish", status_code=204)
async def vanish(chosen: Chosen, sandbox: SandboxDep) -> None:
    """No operation finds these orders any more, and nobody is told of it."""
    for order_id in chosen.order_ids:
        _order(sandbox, order_id).is_gone = True


def _make(sandbox: Sandbox, seller: Seller, new: NewOrders) -> PlacedOrder:
    first = new.items[0]
    order = new_order(
        seller,
        new.country,
        order_id=new.order_id,
        product=first.title,
        quantity=first.quantity,
        buyer_name=new.buyer_name,
        buyer_local=new.buyer_local,
    )
    created_at = (new.created_at or sandbox.now()).astimezone(UTC)
    placed = place(seller.seller_id, order, created_at)
    placed.items = [_item(placed, number, item) for number, item in enumerate(new.items)]
    placed.order = replace(order, asin=placed.items[0].asin)
    _apply(sandbox, placed, new)
    if new.updated_at is not None:
        placed.updated_at = new.updated_at.astimezone(UTC).replace(microsecond=0)
    return placed


def _item(placed: PlacedOrder, number: int, new: NewItem) -> OrderItem:
    order = placed.order
    made = item_of(order, number, new.title or order.product, new.asin or order.asin, new.quantity)
    if new.unit_price is not None:
        made.unit_price = new.unit_price
    if new.shipping_price is not None:
        made.shipping_price = new.shipping_price
    if new.sku is not None:
        made.sku = new.sku
    made.tax, made.discount, made.promotion_id = new.tax, new.discount, new.promotion_id
    made.gift_message, made.gift_wrap, made.customized_url = (
        new.gift_message,
        new.gift_wrap,
        new.customized_url,
    )
    return made


def _apply(sandbox: Sandbox, placed: PlacedOrder, wanted: OrderFields) -> None:
    given = wanted.model_dump(
        exclude_none=True,
        include={
            *("status", "fulfilled_by", "service_level", "programs", "company", "purchase_order"),
            *("replaces", "seller_order_id", "currency"),
        },
    )
    for name, value in given.items():
        setattr(placed, name, value)
    if wanted.ship_by is not None:
        placed.ship_by = Window(placed.ship_by.earliest, wanted.ship_by.astimezone(UTC))
    if wanted.deliver_by is not None:
        placed.deliver_by = Window(placed.deliver_by.earliest, wanted.deliver_by.astimezone(UTC))
    if wanted.searchable_in_seconds is not None:
        placed.searchable_at = sandbox.now() + timedelta(seconds=wanted.searchable_in_seconds)


def _each(
    sandbox: Sandbox,
    order_ids: tuple[str, ...],
    at: datetime | None,
    happen: Callable[[PlacedOrder], None],
    *,
    why: str = "OrderStatusChange",
) -> list[dict[str, Any]]:
    """Let something happen to each order; 404 and nothing is changed if one is unknown, 409 if it cannot happen to one."""
    orders = [_order(sandbox, order_id) for order_id in order_ids]
    time = (at or sandbox.now()).astimezone(UTC)
    for placed in orders:
        try:
            with sandbox.orders.changing(placed, time, why):
                happen(placed)
        except CannotChange as error:
            raise HTTPException(409, f"{placed.order_id}: {error}") from error
    return [_whole(placed) for placed in orders]


def _add(sandbox: Sandbox, seller: Seller, made: list[PlacedOrder], why: str | None) -> None:
    try:
        sandbox.add_orders(seller, made, why)
    except TooManyOrders as error:
        raise HTTPException(409, "too many orders") from error


def _order(sandbox: Sandbox, order_id: str) -> PlacedOrder:
    placed = sandbox.placed_order(order_id)
    if placed is None:
        raise HTTPException(404, "no such order")
    return placed


def _brief(placed: PlacedOrder) -> dict[str, Any]:
    return {
        "order_id": placed.order_id,
        "country": placed.order.country,
        "status": placed.status,
        "fulfilled_by": placed.fulfilled_by,
        "created_at": placed.created_at.isoformat(),
        "updated_at": placed.updated_at.isoformat(),
    }


def _whole(placed: PlacedOrder) -> dict[str, Any]:
    return {**asdict(placed), "order_id": placed.order_id, "recipient": asdict(recipient(placed.order))}
