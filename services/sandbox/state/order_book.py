"""All orders of the sandbox, found by id, by creation and by last change. Only here an order's last change is moved."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from services.sandbox.state.orders import PlacedOrder

MAX_ORDERS: Final = 400_000

_Place = tuple[datetime, str]


class TooManyOrders(Exception):
    """The sandbox holds as many orders as it can."""


class OrderBook:
    """The orders of each seller. `told` is called after each change of one, with why."""

    def __init__(self, told: Callable[[PlacedOrder, str], None]) -> None:
        self._told = told
        self._orders: dict[str, dict[str, PlacedOrder]] = {}
        self._by_creation: dict[str, list[_Place]] = {}
        self._by_update: dict[str, list[_Place]] = {}
        self.count = 0

    def forget_seller(self, seller_id: str) -> None:
        self.count -= len(self._orders.pop(seller_id, {}))
        self._by_creation.pop(seller_id, None)
        self._by_update.pop(seller_id, None)

    def add(self, seller_id: str, orders: list[PlacedOrder]) -> None:
        """Put new orders of one seller into the book. Nobody is told. Raises TooManyOrders."""
        if self.count + len(orders) > MAX_ORDERS:
            raise TooManyOrders
        known = self._orders.setdefault(seller_id, {})
        by_creation = self._by_creation.setdefault(seller_id, [])
        by_update = self._by_update.setdefault(seller_id, [])
        for placed in orders:
            known[placed.order_id] = placed
            by_creation.append((placed.created_at, placed.order_id))
            by_update.append((placed.updated_at, placed.order_id))
        # Both are nearly sorted, which sorting makes use of.
        by_creation.sort()
        by_update.sort()
        self.count += len(orders)

    def tell(self, placed: PlacedOrder, why: str) -> None:
        self._told(placed, why)

    def get(self, seller_id: str, order_id: str) -> PlacedOrder | None:
        """The order, unless it is gone."""
        placed = self._orders.get(seller_id, {}).get(order_id)
        return None if placed is None or placed.is_gone else placed

    def of_seller(self, seller_id: str) -> list[PlacedOrder]:
        """Every order of a seller in the order in which they came into the book, the gone ones too."""
        return list(self._orders.get(seller_id, {}).values())

    def last_changed(self, most: int) -> list[PlacedOrder]:
        """Of all orders those that changed last, at most so many, in the order in which they came."""
        known = [placed for orders in self._orders.values() for placed in orders.values()]
        if len(known) > most:
            oldest = sorted((placed.updated_at for placed in known), reverse=True)[most - 1]
            known = [placed for placed in known if placed.updated_at >= oldest][:most]
        return known

    @contextmanager
    def changing(self, placed: PlacedOrder, at: datetime, why: str) -> Iterator[PlacedOrder]:
        """Change an order inside; afterwards its last change is `at`."""
        yield placed
        places = self._by_update[placed.seller_id]
        del places[bisect_left(places, (placed.updated_at, placed.order_id))]
        placed.updated_at = at.replace(microsecond=0)
        insort(places, (placed.updated_at, placed.order_id))
        self._told(placed, why)

    def between(
        self, seller_id: str, after: datetime, before: datetime, *, by_update: bool, behind: str = ""
    ) -> Iterator[tuple[datetime, PlacedOrder]]:
        """The orders created or changed between both times, oldest first; at the first time itself only those after the id `behind`."""
        places = (self._by_update if by_update else self._by_creation).get(seller_id, [])
        orders = self._orders.get(seller_id, {})
        start = bisect_left(places, (after, behind))
        for index in range(start, len(places)):
            time, order_id = places[index]
            if time > before:
                return
            if (time, order_id) != (after, behind) and not orders[order_id].is_gone:
                yield time, orders[order_id]
