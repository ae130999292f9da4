"""What scenarios make of an order: amounts, currencies, states and dates that nobody expects, and orders that appear late."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from services.sandbox.state.memory import Sandbox
from services.sandbox.state.orders import PlacedOrder

_LATE_SECONDS: Final = 3_600
_MANY_ITEMS: Final = 500
_Json = dict[str, Any]
_PIGEON: Final = "AWAITING_CARRIER_PIGEON"
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")


def is_findable(sandbox: Sandbox, placed: PlacedOrder) -> bool:
    """Whether searchOrders finds the order, as far as scenarios go."""
    if sandbox.scenarios.is_on("orders-vanish", placed.seller_id):
        return False
    late = next(
        (
            switch
            for switch in sandbox.scenarios.now_on()
            if switch.name == "orders-late" and switch.seller_id in {None, placed.seller_id}
        ),
        None,
    )
    if late is None:
        return True
    return sandbox.now() >= placed.updated_at + timedelta(seconds=late.seconds or _LATE_SECONDS)


def as_scenarios_say(sandbox: Sandbox, seller_id: str, order: _Json) -> _Json:
    """The order with whatever scenarios are on for its seller."""
    for name, change in _CHANGES.items():
        if sandbox.scenarios.is_on(name, seller_id):
            order = change(order)
    return order


def _of_500_items(order: _Json) -> _Json:
    first = order["orderItems"][0]
    items = [{**first, "orderItemId": f"{first['orderItemId'][:10]}{n:04d}"} for n in range(_MANY_ITEMS)]
    return {**order, "orderItems": items}


def _negative(order: _Json) -> _Json:
    changed: _Json = _each(order, "amount", lambda amount: amount if amount.startswith("-") else f"-{amount}")
    return changed


def _of_unknown_currency(order: _Json) -> _Json:
    changed: _Json = _each(order, "currencyCode", lambda _: "XQX")
    return changed


def _of_unknown_status(order: _Json) -> _Json:
    strange: _Json = _each(_each(order, "fulfillmentStatus", lambda _: _PIGEON), "status", lambda _: _PIGEON)
    return strange


def _without_zone(order: _Json) -> _Json:
    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: change(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [change(inner) for inner in value]
        return value[:-1] if isinstance(value, str) and _TIME.fullmatch(value) else value

    changed: _Json = change(order)
    return changed


def _each(value: Any, name: str, change: Callable[[str], str]) -> Any:
    """The value with every field of this name changed, however deep it is."""
    if isinstance(value, list):
        return [_each(inner, name, change) for inner in value]
    if not isinstance(value, dict):
        return value
    return {
        key: change(inner) if key == name and isinstance(inner, str) else _each(inner, name, change)
        for key, inner in value.items()
    }


_CHANGES: Final = {
    "orders-of-500-items": _of_500_items,
    "orders-negative-amounts": _negative,
    "orders-unknown-currency": _of_unknown_currency,
    "orders-unknown-status": _of_unknown_status,
    "orders-dates-without-zone": _without_zone,
}
