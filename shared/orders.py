"""Amazon's order numbers, and the ids of the rows that hold a store's orders.

These are derived from the numbers, so that a row is found, sealed and written without being read first, and two that store the same order meet in one row (docs/adr/0024).
"""

import hashlib
import re
from typing import Final
from uuid import UUID

# Amazon's order number, such as 303-1234567-1234567.
ORDER_ID_PATTERN: Final = "[0-9A-Z]{3}-[0-9]{7}-[0-9]{7}"
_ORDER_ID: Final = re.compile(ORDER_ID_PATTERN)
_VERSION_AND_VARIANT: Final = 0xFFFF_FFFF_FFFF_0FFF_3FFF_FFFF_FFFF_FFFF
_VERSION_8: Final = 0x0000_0000_0000_8000_8000_0000_0000_0000


def is_order_id(text: str) -> bool:
    """Whether this has the form of Amazon's order numbers."""
    return _ORDER_ID.fullmatch(text) is not None


def order_row_id(integration_id: UUID, order_id: str) -> UUID:
    """The row of this store's order; `order_id` is Amazon's number, such as 303-1234567-1234567."""
    return _derived(integration_id, "order", order_id)


def item_row_id(order: UUID, item_id: str) -> UUID:
    """The row of an item of the order with this row; `item_id` is Amazon's orderItemId."""
    return _derived(order, "item", item_id)


def package_row_id(order: UUID, reference: str) -> UUID:
    """The row of a package of the order with this row; `reference` is Amazon's packageReferenceId."""
    return _derived(order, "package", reference)


def _derived(within: UUID, kind: str, name: str) -> UUID:
    """A UUID of version 8 (RFC 9562, section 5.8): 122 bits of a SHA-256."""
    digest = hashlib.sha256(within.bytes + kind.encode() + b"\0" + name.encode()).digest()
    return UUID(int=(int.from_bytes(digest[:16]) & _VERSION_AND_VARIANT) | _VERSION_8)
