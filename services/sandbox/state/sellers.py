"""The sellers that the sandbox knows, with their buyers and orders, and what they entered in Seller Central.

Everything is invented and the same on each start, so that a seller id can be written into a test.
"""

import hashlib
import re
from dataclasses import dataclass, field
from enum import StrEnum

from shared.marketplaces import BY_COUNTRY, Marketplace, Region

MAX_ADDRESSES = 10  # per country; Amazon's own bound is not published
ORDERS_PER_COUNTRY = 3
MAX_ORDERS_PER_COUNTRY = 1_000

_ADDRESS = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,64})*"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}",
    re.IGNORECASE,
)
# No vowels beside digits: a made-up address shall not spell a word.
_BUYER_ALPHABET = "bcdfghjkmnpqrstvwxz23456789"
# Amazon's first group of an order id differs by country; these were seen in traffic.
_ORDER_PREFIX = {
    **dict.fromkeys(("DE", "GB"), "302"),
    **dict.fromkeys(("FR", "NL", "BE"), "403"),
    **dict.fromkeys(("IT", "ES"), "404"),
    **dict.fromkeys(("US", "MX", "BR"), "112"),
    "CA": "701",
    **dict.fromkeys(("AU", "JP", "SG"), "250"),
}
_BUYERS = {
    "de": ("Greta", "Jörg", "Anneliese"),
    "fr": ("Hélène", "Gaël", "Margaux"),
    "it": ("Niccolò", "Chiara", "Beatrice"),
    "es": ("Íñigo", "Lucía", "Rocío"),
    "ja": ("Haruka", "Kenji", "Yuki"),
    "nl": ("Sanne", "Joris", "Femke"),
}
_OTHER_BUYERS = ("Robin", "Morgan", "Alex")
_PRODUCTS = {
    "de": (
        "Schreibtischlampe Größe L, weiß",
        "Stehlampe Nussbaum, dimmbar",
        "LED-Leuchtmittel E27, warmweiß",
    ),
    "fr": (
        "Lampe de bureau taille L, blanche",
        "Lampadaire en noyer, variateur",
        "Ampoule LED E27, blanc chaud",
    ),
    "it": (
        "Lampada da scrivania misura L, bianca",
        "Piantana in noce, dimmerabile",
        "Lampadina LED E27, luce calda",
    ),
    "es": (
        "Lámpara de escritorio talla L, blanca",
        "Lámpara de pie de nogal, regulable",
        "Bombilla LED E27, luz cálida",
    ),
    "ja": ("デスクライト L 白", "フロアランプ ウォールナット", "LED電球 E26 電球色"),
    "nl": ("Bureaulamp maat L, wit", "Vloerlamp noten, dimbaar", "Ledlamp E27, warmwit"),
}
_OTHER_PRODUCTS = ("Desk lamp size L, white", "Floor lamp walnut, dimmable", "LED bulb E27, warm white")


class Notification(StrEnum):
    """What Seller Central notifies of under *Messaging*: each has addresses of its own."""

    BUYER_MESSAGES = "buyer_messages"
    CONFIRMATIONS = "confirmations"


class AddressWrong(ValueError):
    """What was entered is not one bare mail address."""


class TooManyAddresses(ValueError):
    """This country has as many addresses as it can have."""


@dataclass(frozen=True, slots=True)
class Order:
    """One order and its buyer. `thread_tag` stands behind the + of the buyer address in each mail about it."""

    order_id: str
    country: str
    buyer_name: str
    buyer_local: str
    thread_tag: str
    product: str
    asin: str
    quantity: int


@dataclass(slots=True)
class SellerProfile:
    """The addresses that buyers of one country are shown. Amazon does not send the buyers' mails to them."""

    service_email: str = ""
    reply_email: str = ""


@dataclass(slots=True)
class Seller:
    """One seller account in one region."""

    seller_id: str
    store_name: str
    region: Region
    countries: tuple[str, ...]
    not_participating: tuple[str, ...] = ()
    suspended: tuple[str, ...] = ()
    orders_per_country: int = ORDERS_PER_COUNTRY
    orders: tuple[Order, ...] = ()
    notification_addresses: dict[str, list[str]] = field(default_factory=dict)
    confirmation_addresses: dict[str, list[str]] = field(default_factory=dict)
    messaging_permissions: dict[str, dict[str, bool]] = field(default_factory=dict)
    profiles: dict[str, SellerProfile] = field(default_factory=dict)
    report_columns: set[str] = field(default_factory=set)
    # By country; where there is nothing the account is in order.
    account_status: dict[str, str] = field(default_factory=dict)

    def orders_in(self, country: str) -> tuple[Order, ...]:
        return tuple(order for order in self.orders if order.country == country)

    def order(self, order_id: str) -> Order | None:
        return next((order for order in self.orders if order.order_id == order_id), None)

    def addresses_in(
        self, country: str, notification: Notification = Notification.BUYER_MESSAGES
    ) -> list[str]:
        """Where Amazon sends a notification of Messaging's about this country's buyers. Without an address it does not."""
        confirms = notification is Notification.CONFIRMATIONS
        entered = self.confirmation_addresses if confirms else self.notification_addresses
        return entered.setdefault(country, [])

    def permissions_in(self, country: str) -> dict[str, bool]:
        """The addresses under Messaging Permissions, and whether each is approved."""
        return self.messaging_permissions.setdefault(country, {})

    def profile_in(self, country: str) -> SellerProfile:
        return self.profiles.setdefault(country, SellerProfile())

    def may_send_from(self, address: str, country: str) -> bool:
        """Whether Amazon passes on this sender's mail to buyers of the country: an approved address, or the registered customer-service
        address. Another address of the same mailbox, such as one with a `+tag`, is another sender.
        """
        permissions = self.messaging_permissions.get(country, {})
        senders = {sender.lower() for sender, approved in permissions.items() if approved}
        if country in self.profiles:
            senders.add(self.profiles[country].service_email.lower())
        return address != "" and address.lower() in senders

    def knows_sender(self, address: str) -> bool:
        """Whether the seller entered this address anywhere."""
        entered = {
            *(a for addresses in self.notification_addresses.values() for a in addresses),
            *(a for permissions in self.messaging_permissions.values() for a in permissions),
            *(profile.service_email for profile in self.profiles.values()),
        }
        return address.lower() in {known.lower() for known in entered}

    def set_permission(self, country: str, entered: str, *, approved: bool) -> str:
        """Add an address to Messaging Permissions, or change its state. Raises AddressWrong, TooManyAddresses."""
        address = bare_address(entered)
        permissions = self.permissions_in(country)
        if address not in permissions and len(permissions) >= MAX_ADDRESSES:
            raise TooManyAddresses
        permissions[address] = approved
        return address


def enter_address(addresses: list[str], entered: str) -> str:
    """Add an address to a list of a seller's. Raises AddressWrong, TooManyAddresses."""
    address = bare_address(entered)
    if address not in addresses:
        if len(addresses) >= MAX_ADDRESSES:
            raise TooManyAddresses
        addresses.append(address)
    return address


def bare_address(entered: str) -> str:
    """The address without surrounding blanks. Raises AddressWrong for anything but one plain address."""
    address = entered.strip()
    if len(address) > 254 or _ADDRESS.fullmatch(address) is None:
        raise AddressWrong
    return address


def language_of(marketplace: Marketplace) -> str:
    """The language of a marketplace's locale, such as `de`."""
    return marketplace.locale.partition("_")[0]


def make_seller(
    seller_id: str,
    store_name: str,
    region: Region,
    countries: tuple[str, ...],
    orders_per_country: int = ORDERS_PER_COUNTRY,
) -> Seller:
    """A seller with a few orders in each country; the same id gives the same orders."""
    orders = tuple(
        make_order(seller_id, BY_COUNTRY[country], number)
        for country in countries
        for number in range(orders_per_country)
    )
    return Seller(
        seller_id, store_name, region, countries, orders_per_country=orders_per_country, orders=orders
    )


def seeded_sellers() -> list[Seller]:
    """The sellers that are there at the start."""
    return [
        make_seller("A1LAMPENLADEN7", "Lampenladen", Region.EU, ("DE", "FR", "IT")),
        make_seller("A2CASAVERDE34K", "Casa Verde", Region.EU, ("ES", "GB", "NL")),
        make_seller("A3BRIGHTPORCH9", "Bright Porch", Region.NA, ("US", "CA", "MX")),
        make_seller("A4HARBOURLITE2", "Harbour Lights", Region.FE, ("AU", "JP", "SG")),
    ]


def products_of(country: str) -> tuple[str, ...]:
    """What can be bought in a country, in its language."""
    return _PRODUCTS.get(language_of(BY_COUNTRY[country]), _OTHER_PRODUCTS)


def make_order(seller_id: str, marketplace: Marketplace, number: int) -> Order:
    """The order that a seller has under this number in this country."""
    digest = hashlib.sha256(f"{seller_id} {marketplace.country} {number}".encode()).digest()
    digits = f"{int.from_bytes(digest[:8]) % 10**14:014d}"
    language = language_of(marketplace)
    local = "".join(_BUYER_ALPHABET[byte % len(_BUYER_ALPHABET)] for byte in digest[8 : 22 + digest[22] % 2])
    tag = digest[16:].hex()
    return Order(
        order_id=f"{_ORDER_PREFIX.get(marketplace.country, '305')}-{digits[:7]}-{digits[7:]}",
        country=marketplace.country,
        buyer_name=_BUYERS.get(language, _OTHER_BUYERS)[number % 3],
        buyer_local=local,
        thread_tag=f"{tag[:8]}-{tag[8:12]}-4{tag[13:16]}-8{tag[17:20]}-{tag[20:32]}",
        product=products_of(marketplace.country)[number % 3],
        asin=f"B0{digest[24:28].hex().upper()}",
        quantity=1 + digest[30] % 3,
    )
