"""Manage Orders: the newest orders of a country, and one order that the seller ships, delivers or cancels.

One order has Amazon's own path, so that links into Seller Central lead here. Sellers cannot deliver at Amazon; here the button
stands in for the carrier.
"""

from datetime import datetime
from html import escape
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response

from services.sandbox.dependencies import Language, LanguageDep, SandboxDep, SellerCentralHost
from services.sandbox.login.sign_in import SignedInSeller
from services.sandbox.seller_central.messages import MESSAGES_PATH
from services.sandbox.seller_central.seller_page import (
    alert_text,
    countries_here,
    form_fields,
    links_to_other_hosts,
    redirect_saved,
    saved_notice,
    seller_page,
    wanted_country,
)
from services.sandbox.state.memory import Sandbox
from services.sandbox.state.order_making import money, recipient, tracking_number
from services.sandbox.state.orders import CARRIERS, CannotChange, PackageStatus, PlacedOrder, Status
from services.sandbox.state.sellers import Seller

router = APIRouter()

ORDERS_PATH: Final = "/orders-v3"
ORDER_PATH: Final = "/orders-v3/order"
_MAX_SHOWN: Final = 50
_MAX_CHARS: Final = 100

_TEXTS: Final = {
    "de": {
        "title": "Bestellungen verwalten",
        "country": "Land: {country}",
        "none": "Aus diesem Land gibt es keine Bestellungen.",
        "order": "Bestellung {order_id}",
        "all": "Alle Bestellungen",
        "messages": "Nachrichten zu dieser Bestellung",
        "bought": "Gekauft",
        "changed": "Zuletzt geändert",
        "status": "Stand",
        "ship_by": "Versenden bis",
        "deliver_by": "Zustellen bis",
        "sent_by": "Versand durch",
        "AMAZON": "Amazon",
        "MERCHANT": "Sie",
        "to": "An",
        "items": "Artikel",
        "packages": "Pakete",
        "total": "Summe",
        "asked": "Der Käufer bittet um Stornierung.",
        "ship": "Versand bestätigen",
        "carrier": "Transporteur",
        "number": "Sendungsnummer",
        "deliver": "Zustellen",
        "cancel": "Bestellung stornieren",
        "cannot": "Das geht bei dieser Bestellung nicht mehr.",
    },
    "en": {
        "title": "Manage Orders",
        "country": "Country: {country}",
        "none": "There are no orders from this country.",
        "order": "Order {order_id}",
        "all": "All orders",
        "messages": "Messages about this order",
        "bought": "Bought",
        "changed": "Last changed",
        "status": "State",
        "ship_by": "Ship by",
        "deliver_by": "Deliver by",
        "sent_by": "Shipped by",
        "AMAZON": "Amazon",
        "MERCHANT": "you",
        "to": "To",
        "items": "Items",
        "packages": "Packages",
        "total": "Total",
        "asked": "The buyer asks for cancellation.",
        "ship": "Confirm shipment",
        "carrier": "Carrier",
        "number": "Tracking number",
        "deliver": "Deliver",
        "cancel": "Cancel order",
        "cannot": "This is not possible any more for this order.",
    },
}
_STATES: Final = {
    "de": {
        Status.PENDING_AVAILABILITY: "vorbestellt",
        Status.PENDING: "ausstehend",
        Status.UNSHIPPED: "nicht versandt",
        Status.PARTIALLY_SHIPPED: "teilweise versandt",
        Status.SHIPPED: "versandt",
        Status.CANCELLED: "storniert",
        Status.UNFULFILLABLE: "nicht ausführbar",
    },
    "en": {
        Status.PENDING_AVAILABILITY: "pre-ordered",
        Status.PENDING: "pending",
        Status.UNSHIPPED: "unshipped",
        Status.PARTIALLY_SHIPPED: "partially shipped",
        Status.SHIPPED: "shipped",
        Status.CANCELLED: "cancelled",
        Status.UNFULFILLABLE: "cannot be fulfilled",
    },
}
_PACKAGE_STATES: Final = {
    "de": {PackageStatus.IN_TRANSIT: "unterwegs", PackageStatus.DELIVERED: "zugestellt"},
    "en": {PackageStatus.IN_TRANSIT: "on its way", PackageStatus.DELIVERED: "delivered"},
}


@router.get("/{host}" + ORDERS_PATH)
async def orders_page(
    request: Request,
    seller: SignedInSeller,
    host: SellerCentralHost,
    language: LanguageDep,
    sandbox: SandboxDep,
) -> Response:
    texts = _TEXTS[language]
    known = sandbox.orders.of_seller(seller.seller_id)
    sections = []
    for country in countries_here(seller, host, wanted_country(request)):
        own = [placed for placed in known if placed.order.country == country and not placed.is_gone]
        newest = sorted(own, key=lambda placed: placed.created_at, reverse=True)[:_MAX_SHOWN]
        rows = "".join(
            f'<li><a href="/{host}{ORDER_PATH}/{placed.order_id}">{placed.order_id}</a>, '
            f"{escape(placed.items[0].title)}, {_STATES[language][placed.status]}</li>"
            for placed in newest
        )
        shown = f"<ul>{rows}</ul>" if rows else f"<p>{texts['none']}</p>"
        sections.append(f'<h2 id="{country}">{texts["country"].format(country=country)}</h2>{shown}')
    body = "".join(sections) + links_to_other_hosts(language, host, seller, ORDERS_PATH)
    return seller_page(language, host, seller, texts["title"], body)


@router.get("/{host}" + ORDER_PATH + "/{order_id}")
async def order_page(
    request: Request,
    order_id: str,
    *,
    seller: SignedInSeller,
    host: SellerCentralHost,
    language: LanguageDep,
    sandbox: SandboxDep,
) -> Response:
    placed = _order_of(sandbox, seller, host, order_id)
    return _show(language, host, seller, placed, saved_notice(request, language))


@router.post("/{host}" + ORDER_PATH + "/{order_id}")
async def change_order(
    request: Request,
    order_id: str,
    *,
    seller: SignedInSeller,
    host: SellerCentralHost,
    language: LanguageDep,
    sandbox: SandboxDep,
) -> Response:
    placed = _order_of(sandbox, seller, host, order_id)
    fields = await form_fields(request)
    now = sandbox.now().replace(microsecond=0)
    try:
        with sandbox.orders.changing(placed, now, "OrderStatusChange"):
            _do(placed, fields, seller, now)
    except CannotChange:
        warning = alert_text(_TEXTS[language]["cannot"])
        return _show(language, host, seller, placed, warning, status=409)
    return redirect_saved(host, f"{ORDER_PATH}/{order_id}", "")


def _do(placed: PlacedOrder, fields: dict[str, str], seller: Seller, at: datetime) -> None:
    """What a form asks for. Raises CannotChange."""
    action = fields.get("action", "")
    if action == "ship":
        carrier = fields.get("carrier", "").strip()[:_MAX_CHARS] or CARRIERS[seller.region]
        number = fields.get("tracking_number", "").strip()[:_MAX_CHARS] or tracking_number(placed)
        placed.ship(at, carrier, number)
    elif action == "deliver":
        placed.deliver(at)
    elif action == "cancel":
        placed.cancel("MERCHANT", "")
    else:
        raise HTTPException(422)


def _order_of(sandbox: Sandbox, seller: Seller, host: str, order_id: str) -> PlacedOrder:
    placed = sandbox.orders.get(seller.seller_id, order_id)
    if placed is None or placed.order.country not in countries_here(seller, host, ""):
        raise HTTPException(404)
    return placed


def _show(
    language: Language, host: str, seller: Seller, placed: PlacedOrder, notice: str, *, status: int = 200
) -> Response:
    texts, currency = _TEXTS[language], placed.currency
    person = recipient(placed.order)
    facts = (
        (
            "status",
            f'<span id="status" data-status="{placed.status}">{_STATES[language][placed.status]}</span>',
        ),
        ("bought", f"{placed.created_at:%Y-%m-%d %H:%M} UTC"),
        ("changed", f"{placed.updated_at:%Y-%m-%d %H:%M} UTC"),
        ("ship_by", f"{placed.ship_by.latest:%Y-%m-%d}"),
        ("deliver_by", f"{placed.deliver_by.latest:%Y-%m-%d}"),
        ("sent_by", texts[placed.fulfilled_by]),
        ("to", escape(f"{person.name}, {person.street}, {person.postal_code} {person.city}")),
        ("total", f"{money(placed.total, currency)} {currency}"),
    )
    rows = "".join(f"<dt>{texts[name]}</dt><dd>{value}</dd>" for name, value in facts)
    items = "".join(
        f"<li>{item.quantity} x {escape(item.title)} ({escape(item.sku)}), {money(item.price, currency)} {currency}</li>"
        for item in placed.items
    )
    packages = "".join(
        f"<li>{escape(package.carrier)} <code>{escape(package.tracking_number)}</code>, "
        f"{_PACKAGE_STATES[language][package.status]}</li>"
        for package in placed.packages
    )
    shown = f'<h2>{texts["packages"]}</h2><ul id="packages">{packages}</ul>' if packages else ""
    asked = f'<p class="note" id="asked">{texts["asked"]}</p>' if placed.items[0].cancel_request else ""
    body = f"""{notice}{asked}<dl>{rows}</dl><h2>{texts["items"]}</h2><ul>{items}</ul>{shown}{_forms(language, host, placed)}
<p><a href="/{host}{MESSAGES_PATH}?ss={placed.order.thread_tag}">{texts["messages"]}</a> ·
<a href="/{host}{ORDERS_PATH}?country={placed.order.country}">{texts["all"]}</a></p>"""
    title = texts["order"].format(order_id=placed.order_id)
    return seller_page(language, host, seller, title, body, status=status)


def _forms(language: Language, host: str, placed: PlacedOrder) -> str:
    """The buttons for what can happen next."""
    texts, action = _TEXTS[language], f"/{host}{ORDER_PATH}/{placed.order_id}"
    is_open = placed.status in {Status.PENDING, Status.UNSHIPPED, Status.PARTIALLY_SHIPPED}
    forms = ""
    if is_open:
        forms += f"""<form method="post" action="{action}"><input type="hidden" name="action" value="ship">
<label for="carrier">{texts["carrier"]}</label><input id="carrier" name="carrier" maxlength="{_MAX_CHARS}">
<label for="tracking_number">{texts["number"]}</label><input id="tracking_number" name="tracking_number" maxlength="{_MAX_CHARS}">
<button class="main" id="ship" type="submit">{texts["ship"]}</button></form>"""
    if any(package.status is PackageStatus.IN_TRANSIT for package in placed.packages):
        forms += _button(action, "deliver", texts["deliver"])
    if is_open and not placed.packages:
        forms += _button(action, "cancel", texts["cancel"])
    return forms


def _button(path: str, action: str, label: str) -> str:
    return f"""<form method="post" action="{path}">
<button id="{action}" name="action" value="{action}" type="submit">{label}</button></form>"""
