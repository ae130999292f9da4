"""Buy something, and ask for a cancellation: the part of the buyer's page that makes orders."""

from html import escape
from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from services.sandbox.dependencies import Language, SandboxDep
from services.sandbox.html_page import hidden, option
from services.sandbox.state.memory import Sandbox
from services.sandbox.state.order_book import TooManyOrders
from services.sandbox.state.order_making import new_order, place
from services.sandbox.state.orders import CannotChange, FulfilledBy
from services.sandbox.state.sellers import Seller, products_of

router = APIRouter()

BUYING_PATH: Final = "/buyer/orders"
CANCELLATION_PATH: Final = "/buyer/orders/cancellation"
_MAX_QUANTITY: Final = 20
_KINDS: Final = ("merchant", "prime", "amazon", "gift", "business", "pick_up")

_TEXTS: Final = {
    "de": {
        "title": "Etwas kaufen",
        "product": "Produkt",
        "quantity": "Menge",
        "kind": "Wie?",
        "buy": "Kaufen",
        "bought": "Gekauft: Bestellung",
        "cancel": "Um Stornierung bitten",
        "cancelled": "Der Verkäufer ist um Stornierung gebeten.",
        "too_late": "Dafür ist es bei dieser Bestellung zu spät.",
    },
    "en": {
        "title": "Buy something",
        "product": "Product",
        "quantity": "Quantity",
        "kind": "How?",
        "buy": "Buy",
        "bought": "Bought: order",
        "cancel": "Ask for cancellation",
        "cancelled": "The seller is asked to cancel.",
        "too_late": "It is too late for that with this order.",
    },
}
_KIND_NAMES: Final = {
    "de": (
        "vom Verkäufer",
        "Prime, vom Verkäufer",
        "Versand durch Amazon",
        "als Geschenk",
        "als Firma",
        "Abholung im Laden",
    ),
    "en": (
        "from the seller",
        "Prime, from the seller",
        "shipped by Amazon",
        "as a gift",
        "as a company",
        "pick-up in store",
    ),
}


@router.post(BUYING_PATH)
async def buy(request: Request, sandbox: SandboxDep) -> Response:
    fields = await _fields(request)
    seller, country = _store(sandbox, fields)
    quantity, kind = fields.get("quantity", ""), fields.get("kind", _KINDS[0])
    if fields.get("product") not in products_of(country) or kind not in _KINDS:
        raise HTTPException(422)
    if not quantity.isascii() or not quantity.isdigit() or not 0 < int(quantity[:9]) <= _MAX_QUANTITY:
        raise HTTPException(422)
    order = new_order(seller, country, product=fields["product"], quantity=int(quantity))
    placed = place(seller.seller_id, order, sandbox.now())
    [item] = placed.items
    if kind == "amazon":
        placed.fulfilled_by, placed.programs = FulfilledBy.AMAZON, ("PRIME",)
    elif kind == "prime":
        placed.programs = ("PRIME",)
    elif kind == "gift":
        item.gift_wrap, item.gift_message = "PREMIUM", "♥"
    elif kind == "business":
        placed.programs, placed.company, placed.purchase_order = (
            ("AMAZON_BUSINESS",),
            "Lichtwerk GmbH",
            "PO 4711",
        )
    elif kind == "pick_up":
        placed.programs = ("IN_STORE_PICK_UP",)
    try:
        sandbox.add_orders(seller, [placed], "OrderStatusChange")
    except TooManyOrders as error:
        raise HTTPException(409) from error
    return _back(seller, country, order.order_id, "bought")


@router.post(CANCELLATION_PATH)
async def ask_for_cancellation(request: Request, sandbox: SandboxDep) -> Response:
    fields = await _fields(request)
    seller, country = _store(sandbox, fields)
    placed = sandbox.orders.get(seller.seller_id, fields.get("order_id", ""))
    if placed is None:
        raise HTTPException(404)
    try:
        with sandbox.orders.changing(placed, sandbox.now(), "BuyerRequestedChange"):
            placed.request_cancellation("NO_LONGER_NEEDED")
    except CannotChange:
        return _back(seller, country, placed.order_id, "too_late")
    return _back(seller, country, placed.order_id, "cancelled")


def buying_notice(language: Language, done: str, order_id: str) -> str:
    """What was done before this page came back, if it was one of these."""
    texts = _TEXTS[language]
    if done == "bought":
        shown = escape(order_id)
        return (
            f'<p class="note" id="bought" role="status" data-order-id="{shown}">{texts["bought"]} {shown}</p>'
        )
    if done in {"cancelled", "too_late"}:
        return f'<p class="note" id="{done.replace("_", "-")}" role="status">{texts[done]}</p>'
    return ""


def buying_forms(language: Language, seller: Seller, country: str, orders: str) -> str:
    """The forms to buy in a country and to ask for a cancellation; `orders` are the options of the buyer's orders."""
    texts = _TEXTS[language]
    products = "".join(option(product, product) for product in products_of(country))
    kinds = "".join(option(k, name) for k, name in zip(_KINDS, _KIND_NAMES[language], strict=True))
    store = hidden(seller_id=seller.seller_id, country=country)
    return f"""<h2>{texts["title"]}</h2><form method="post" action="{BUYING_PATH}">{store}
<label for="product">{texts["product"]}</label><select id="product" name="product">{products}</select>
<label for="quantity">{texts["quantity"]}</label>
<input type="number" id="quantity" name="quantity" value="1" min="1" max="{_MAX_QUANTITY}" required>
<label for="how">{texts["kind"]}</label><select id="how" name="kind">{kinds}</select>
<button class="main" id="buy" type="submit">{texts["buy"]}</button></form>
<h2>{texts["cancel"]}</h2><form method="post" action="{CANCELLATION_PATH}">{store}
<select id="cancel_order_id" name="order_id" aria-label="{texts["cancel"]}" required>{orders}</select>
<button id="ask-for-cancellation" type="submit">{texts["cancel"]}</button></form>"""


async def _fields(request: Request) -> dict[str, str]:
    async with request.form(max_files=0, max_fields=10, max_part_size=4_096) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


def _store(sandbox: Sandbox, fields: dict[str, str]) -> tuple[Seller, str]:
    seller, country = sandbox.sellers.get(fields.get("seller_id", "")), fields.get("country", "")
    if seller is None or country not in seller.countries:
        raise HTTPException(404)
    return seller, country


def _back(seller: Seller, country: str, order_id: str, done: str) -> RedirectResponse:
    query = {"seller_id": seller.seller_id, "country": country, "order_id": order_id, "done": done}
    return RedirectResponse(f"/buyer?{urlencode(query)}", 303)
