"""Order reports as Amazon writes them, of any size, for tests and benchmarks: headers and rows of the two kinds that are read."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

ALL_ORDERS: Final = (
    "amazon-order-id",
    "merchant-order-id",
    "purchase-date",
    "last-updated-date",
    "order-status",
    "fulfillment-channel",
    "sales-channel",
    "order-channel",
    "ship-service-level",
    "product-name",
    "sku",
    "asin",
    "item-status",
    "quantity",
    "currency",
    "item-price",
    "item-tax",
    "shipping-price",
    "shipping-tax",
    "gift-wrap-price",
    "gift-wrap-tax",
    "item-promotion-discount",
    "ship-promotion-discount",
    "ship-city",
    "ship-state",
    "ship-postal-code",
    "ship-country",
    "promotion-ids",
    "is-business-order",
    "purchase-order-number",
    "price-designation",
)
ORDER_REPORT: Final = (
    "order-id",
    "order-item-id",
    "purchase-date",
    "payments-date",
    "buyer-email",
    "buyer-name",
    "buyer-phone-number",
    "sku",
    "product-name",
    "quantity-purchased",
    "currency",
    "item-price",
    "item-tax",
    "shipping-price",
    "shipping-tax",
    "ship-service-level",
    "recipient-name",
    "ship-address-1",
    "ship-address-2",
    "ship-address-3",
    "ship-city",
    "ship-state",
    "ship-postal-code",
    "ship-country",
    "ship-phone-number",
    "delivery-start-date",
    "delivery-end-date",
    "delivery-time-zone",
    "delivery-Instructions",
    "sales-channel",
)
_FIRST: Final = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)


def order_number(number: int) -> str:
    return f"303-{number // 10_000_000 % 10_000_000:07d}-{number % 10_000_000:07d}"


def line_of(columns: Sequence[str], cells: Mapping[str, str]) -> str:
    """One line without its end. A column without a cell is empty."""
    return "\t".join(cells.get(column, "") for column in columns)


def report_of(columns: Sequence[str], rows: Sequence[Mapping[str, str]], *, end: str = "\r\n") -> str:
    """A whole file."""
    return "".join(f"{line}{end}" for line in ["\t".join(columns), *(line_of(columns, row) for row in rows)])


def all_orders_row(number: int, **cells: str) -> dict[str, str]:
    """A row of "All Orders"; names of cells with `_` for `-`."""
    moment = _FIRST + timedelta(seconds=number)
    row = {
        "amazon-order-id": order_number(number),
        "purchase-date": moment.isoformat(),
        "last-updated-date": (moment + timedelta(hours=5)).isoformat(),
        "order-status": "Shipped",
        "fulfillment-channel": "Merchant",
        "sales-channel": "Amazon.de",
        "ship-service-level": "Standard",
        "product-name": f"Schreibtischlampe Modell {number % 997} mit schwenkbarem Arm, warmweiß",
        "sku": f"LAMP-{number % 997:04d}",
        "asin": f"B0{number % 997:08d}",
        "item-status": "Shipped",
        "quantity": str(1 + number % 3),
        "currency": "EUR",
        "item-price": f"{20 + number % 80}.{number % 100:02d}",
        "item-tax": f"{3 + number % 9}.19",
        "shipping-price": "4.90",
        "shipping-tax": "0.78",
        "item-promotion-discount": "1.00" if number % 10 == 0 else "",
        "ship-city": "Osnabrück",
        "ship-state": "Niedersachsen",
        "ship-postal-code": f"49{number % 1000:03d}",
        "ship-country": "DE",
        "promotion-ids": "PLCC Free-Financing Universal" if number % 10 == 0 else "",
        "is-business-order": "false",
    }
    return row | {name.replace("_", "-"): cell for name, cell in cells.items()}


def order_report_row(number: int, **cells: str) -> dict[str, str]:
    """A row of the order report with names and addresses; names of cells with `_` for `-`."""
    moment = _FIRST + timedelta(seconds=number)
    row = {
        "order-id": order_number(number),
        "order-item-id": f"{10_000_000_000_000 + number}",
        "purchase-date": moment.isoformat(),
        "payments-date": (moment + timedelta(minutes=10)).isoformat(),
        "buyer-email": f"buyer{number:09d}@marketplace.amazon.de",
        "buyer-name": f"Buyer Number {number}",
        "buyer-phone-number": "0541 000000",
        "sku": f"LAMP-{number % 997:04d}",
        "product-name": f"Schreibtischlampe Modell {number % 997}",
        "quantity-purchased": str(1 + number % 3),
        "currency": "EUR",
        "item-price": f"{20 + number % 80}.{number % 100:02d}",
        "item-tax": "3.19",
        "shipping-price": "4.90",
        "shipping-tax": "0.78",
        "ship-service-level": "Standard",
        "recipient-name": f"Recipient Number {number}",
        "ship-address-1": f"Teststraße {number % 200}",
        "ship-city": "Osnabrück",
        "ship-postal-code": f"49{number % 1000:03d}",
        "ship-country": "DE",
        "ship-phone-number": "0541 000001",
        "sales-channel": "Amazon.de",
    }
    return row | {name.replace("_", "-"): cell for name, cell in cells.items()}


def all_orders_chunks(rows: int, *, per_chunk: int = 500) -> Iterator[bytes]:
    """A file of "All Orders" of so many rows, made as it is read; each fifth order has two items."""
    yield ("\t".join(ALL_ORDERS) + "\r\n").encode()
    written = 0
    order = 0
    chunk: list[str] = []
    while written < rows:
        for item in range(2 if order % 5 == 0 else 1):
            if written < rows:
                cells = all_orders_row(order) if not item else all_orders_row(order, sku=f"BULB-{order % 89}")
                chunk.append(line_of(ALL_ORDERS, cells) + "\r\n")
                written += 1
        order += 1
        if len(chunk) >= per_chunk:
            yield "".join(chunk).encode()
            chunk = []
    yield "".join(chunk).encode()
