"""Invents orders: who bought what at which price. What is not given follows from the order's id, so that it is the same each time."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from services.sandbox.state.orders import CARRIERS, FulfilledBy, OrderItem, PlacedOrder, Status, windows
from services.sandbox.state.sellers import Order, Seller, make_order, products_of
from shared.marketplaces import BY_COUNTRY, Region

# How many decimal places a currency's amounts have, where it is not two.
_DECIMAL_PLACES: Final = {"JPY": 0}
_SURNAMES: Final = ("Lichtenberg", "Beauval", "Marino", "Sol", "Tanaka", "van Dijk", "Porter", "Åkesson")
_STREETS: Final = {
    "DE": ("Lindenstraße", "Leipzig", "Sachsen", "04109"),
    "FR": ("Rue des Tilleuls", "Nantes", "Pays de la Loire", "44000"),
    "IT": ("Via dei Tigli", "Parma", "PR", "43121"),
    "ES": ("Calle de los Tilos", "Zaragoza", "Zaragoza", "50001"),
    "GB": ("Lime Tree Walk", "Leeds", "West Yorkshire", "LS1 4DY"),
    "NL": ("Lindelaan", "Utrecht", "Utrecht", "3511 LH"),
    "US": ("Linden Street", "Portland", "OR", "97201"),
    "JP": ("菩提樹通り", "京都市", "京都府", "600-8216"),
}
_OTHER_STREET: Final = ("Linden Road", "Newtown", "", "10001")


@dataclass(frozen=True, slots=True)
class Person:
    """The recipient of an order."""

    name: str
    street: str
    city: str
    state: str
    postal_code: str
    phone: str


def money(amount: Decimal, currency: str) -> str:
    """An amount with as many decimal places as its currency has."""
    return f"{amount:.{_DECIMAL_PLACES.get(currency, 2)}f}"


def recipient(order: Order) -> Person:
    """Who gets an order, and where."""
    digest = hashlib.sha256(f"recipient {order.order_id}".encode()).digest()
    street, city, state, postal_code = _STREETS.get(order.country, _OTHER_STREET)
    number = digest[0] % 120 + 1
    surname = _SURNAMES[digest[1] % len(_SURNAMES)]
    phone = f"+00 {int.from_bytes(digest[2:6]) % 10**9:09d}"
    name = f"{order.buyer_name} {surname}"
    at_front = order.country in {"US", "GB", "FR"}
    line = f"{number} {street}" if at_front else f"{street} {number}"
    return Person(name, line, city, state, postal_code, phone)


def item_of(order: Order, number: int, product: str, asin: str, quantity: int) -> OrderItem:
    """One line of an order, with a price in the currency of its country."""
    digest = hashlib.sha256(f"{order.order_id} {number}".encode()).digest()
    currency = BY_COUNTRY[order.country].currency
    unit = Decimal(990 + int.from_bytes(digest[:2]) % 9_000) / (1 if currency == "JPY" else 100)
    item_id = f"{int.from_bytes(digest[2:10]) % 10**14:014d}"
    shipping = Decimal(490) / (1 if currency == "JPY" else 100) if number == 0 else Decimal(0)
    return OrderItem(item_id, f"SKU-{asin[2:8]}", asin, product, quantity, unit, shipping)


def place(seller_id: str, order: Order, created_at: datetime) -> PlacedOrder:
    """An order as it is just after it was bought."""
    created = created_at.replace(microsecond=0)
    ship_by, deliver_by = windows(created)
    return PlacedOrder(
        order,
        seller_id,
        created,
        created,
        [item_of(order, 0, order.product, order.asin, order.quantity)],
        ship_by,
        deliver_by,
        BY_COUNTRY[order.country].currency,
    )


def first_orders(seller: Seller, now: datetime) -> list[PlacedOrder]:
    """What became of the orders that a seller has at the start: delivered, on its way and new, one in five sent by Amazon."""
    orders = []
    for number, order in enumerate(seller.orders):
        days = 1 + number * 3 % 60
        placed = place(seller.seller_id, order, now - timedelta(days=days, minutes=number % 50))
        if number % 5 == 4:
            placed.fulfilled_by, placed.programs = FulfilledBy.AMAZON, ("PRIME",)
        if number % 3:
            send(placed, placed.created_at + timedelta(hours=9), seller.region)
        if number % 3 == 2:
            placed.deliver(placed.updated_at)
        orders.append(placed)
    return orders


def send(placed: PlacedOrder, at: datetime, region: Region) -> None:
    """Ship all that is left with the region's carrier, while the order is not in the book yet."""
    placed.ship(at, CARRIERS[region], tracking_number(placed))
    placed.updated_at = at


def tracking_number(placed: PlacedOrder) -> str:
    """A number as carriers give them; each package has another one."""
    digest = hashlib.sha256(f"{placed.order_id} package {len(placed.packages)}".encode()).digest()
    return f"00{int.from_bytes(digest[:8]) % 10**18:018d}"


def new_order(
    seller: Seller,
    country: str,
    *,
    order_id: str | None = None,
    product: str | None = None,
    quantity: int = 1,
    buyer_name: str | None = None,
    buyer_local: str | None = None,
) -> Order:
    """An order by a buyer whom nobody has seen yet, unless they are named."""
    number = secrets.randbelow(2**62)
    made = make_order(seller.seller_id, BY_COUNTRY[country], number)
    products = products_of(country)
    wanted = products[number % len(products)] if product is None else product
    asin = f"B0{hashlib.sha256(f'{seller.seller_id} {wanted}'.encode()).hexdigest()[:8].upper()}"
    return Order(
        order_id or made.order_id,
        country,
        buyer_name or made.buyer_name,
        buyer_local or made.buyer_local,
        made.thread_tag,
        wanted,
        asin,
        quantity,
    )


def many_orders(
    seller: Seller, countries: Iterable[str], count: int, since: datetime, until: datetime
) -> list[PlacedOrder]:
    """So many orders, evenly spread over the time: the older ones delivered or shipped, the newest of them new."""
    countries = tuple(countries)
    step = (until - since) / count
    placed_orders = []
    for number in range(count):
        country = countries[number % len(countries)]
        placed = place(seller.seller_id, new_order(seller, country), since + step * number)
        if number % 4 == 3:
            placed.fulfilled_by = FulfilledBy.AMAZON
        age = until - placed.created_at
        if number % 20 == 19:
            placed.cancel("BUYER", "")
            placed.updated_at = min(until, placed.created_at + timedelta(hours=2)).replace(microsecond=0)
        elif age > timedelta(days=1):
            send(placed, placed.created_at + timedelta(hours=20), seller.region)
            if age > timedelta(days=4):
                placed.updated_at = placed.created_at + timedelta(days=3)
                placed.deliver(placed.updated_at)
        elif number % 10 == 9:
            placed.status = Status.PENDING
        placed_orders.append(placed)
    return placed_orders
