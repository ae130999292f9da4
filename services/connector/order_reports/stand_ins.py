"""Items of a report that does not tell their ids: which of the stored items they are. Pure.

"All Orders" has a SKU and no item id. Such an item takes the id of a stored one with its SKU; without one it gets an id of our own, which
goes when the item is told with Amazon's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from services.connector.order_reports.queries import KnownItem
from services.connector.order_reports.records import BY_SKU
from services.connector.orders.model import OrderItemRecord, OrderRecord


def has_stand_ins(order: OrderRecord) -> bool:
    """Whether an item of it has no id of Amazon's."""
    return any(item.item_id.startswith(BY_SKU) for item in order.items)


def with_known_ids(order: OrderRecord, known: Sequence[KnownItem]) -> OrderRecord:
    """The order with the ids of the stored items that its own ones are."""
    real = [item for item in known if not item.item_id.startswith(BY_SKU)]
    if not real:
        return order
    free = list(real)
    items = []
    for item in order.items:
        same = next((each for each in free if _is_same(item, each)), None)
        if item.item_id.startswith(BY_SKU) and same is not None:
            free.remove(same)
            items.append(replace(item, item_id=same.item_id))
        else:
            items.append(item)
    return replace(order, items=tuple(items))


def _is_same(item: OrderItemRecord, known: KnownItem) -> bool:
    if item.sku is not None and known.sku is not None:
        return item.sku == known.sku
    return item.asin is not None and item.asin == known.asin


def by_order(known: Iterable[KnownItem]) -> Mapping[UUID, list[KnownItem]]:
    """The items of each order."""
    found: dict[UUID, list[KnownItem]] = {}
    for item in known:
        found.setdefault(item.order_row_id, []).append(item)
    return found
