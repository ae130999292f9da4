"""What is personal in an order, sealed for its row and opened again. JSON inside, so that one value holds what belongs together."""

import json
from dataclasses import asdict
from typing import Any
from uuid import UUID

from services.connector.orders.model import Address, Buyer, OrderItemRecord, OrderRecord
from shared.addresses import own_buyer_address
from shared.crypto.envelope import AccountKeys, Place, Sealed


def is_personal(order: OrderRecord) -> bool:
    """Whether anything personal is told."""
    return (
        order.buyer is not None
        or order.recipient is not None
        or any(item.gift_message or item.customized_url or item.report_personal for item in order.items)
    )


def seal_buyer(keys: AccountKeys, row_id: UUID, buyer: Buyer | None) -> Sealed | None:
    return None if buyer is None else _seal(keys, Place("orders", "buyer", row_id), _told(buyer))


def open_buyer(keys: AccountKeys, row_id: UUID, sealed: Sealed) -> Buyer:
    """Raises SealBroken."""
    return Buyer(**_open(keys, Place("orders", "buyer", row_id), sealed))


def seal_recipient(keys: AccountKeys, row_id: UUID, recipient: Address | None) -> Sealed | None:
    return None if recipient is None else _seal(keys, Place("orders", "recipient", row_id), _told(recipient))


def open_recipient(keys: AccountKeys, row_id: UUID, sealed: Sealed) -> Address:
    """Raises SealBroken."""
    told = _open(keys, Place("orders", "recipient", row_id), sealed)
    return Address(**{**told, "lines": tuple(told.get("lines", ()))})


def seal_gift(keys: AccountKeys, row_id: UUID, item: OrderItemRecord) -> Sealed | None:
    message = item.gift_message
    return None if message is None else keys.seal_text(Place("order_items", "gift", row_id), message)


def open_gift(keys: AccountKeys, row_id: UUID, sealed: Sealed) -> str:
    """The message on the gift. Raises SealBroken."""
    return keys.open_text(Place("order_items", "gift", row_id), sealed)


def seal_customization(keys: AccountKeys, row_id: UUID, item: OrderItemRecord) -> Sealed | None:
    url = item.customized_url
    return None if url is None else keys.seal_text(Place("order_items", "customization", row_id), url)


def open_customization(keys: AccountKeys, row_id: UUID, sealed: Sealed) -> str:
    """The address of what the buyer wants made. Raises SealBroken."""
    return keys.open_text(Place("order_items", "customization", row_id), sealed)


def seal_report_cells(keys: AccountKeys, row_id: UUID, item: OrderItemRecord) -> Sealed | None:
    cells = item.report_personal
    return None if not cells else _seal(keys, Place("order_items", "report_personal", row_id), cells)


def open_report_cells(keys: AccountKeys, row_id: UUID, sealed: Sealed) -> dict[str, str]:
    """By column. Raises SealBroken."""
    return _open(keys, Place("order_items", "report_personal", row_id), sealed)


def buyer_key(keys: AccountKeys, buyer: Buyer | None) -> bytes | None:
    """By which this buyer's other orders and conversations are found; None without an address of their own."""
    address = None if buyer is None or buyer.email is None else own_buyer_address(buyer.email)
    return None if address is None else keys.lookup_hash("buyer", address)


def _told(value: Buyer | Address) -> dict[str, Any]:
    return {name: part for name, part in asdict(value).items() if part}


def _seal(keys: AccountKeys, place: Place, value: dict[str, Any]) -> Sealed:
    return keys.seal(place, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _open(keys: AccountKeys, place: Place, sealed: Sealed) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(keys.open(place, sealed))
    return told
