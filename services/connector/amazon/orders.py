"""The Orders API v2026-01-01: orders by the time of their last change, and one order. What is inside an order is read elsewhere.

Which personal data an order holds is decided by the application's roles, not by a token: what it may not see is absent.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import structlog

from services.connector.amazon.client import Bounds, SellerApi
from services.connector.amazon.errors import (
    AmazonUnavailable,
    AnswerTooLarge,
    ClientMisconfigured,
    OrderUnknown,
    PageTokenRefused,
)
from services.connector.amazon.times import time_of, time_text
from shared.orders import is_order_id

log = structlog.get_logger()

_SEARCH: Final = "searchOrders"
_GET: Final = "getOrder"
_PATH: Final = "/orders/2026-01-01/orders"
# As Amazon's model says.
MOST_PER_PAGE: Final = 100
_MOST_MARKETPLACES: Final = 50
_TOKEN: Final = re.compile(r"[ -~]{1,8192}")
# A hundred orders of a few items are half a megabyte; one of 500 items, with all that there is to know of each, about two.
SEARCH_BOUNDS: Final = Bounds(most_bytes=16 * 1024 * 1024, seconds=30)
GET_BOUNDS: Final = Bounds(most_bytes=8 * 1024 * 1024, seconds=15)
# A page that is too long is asked for again with so many fewer orders.
_FEWER: Final = 4


class IncludedData(StrEnum):
    """The parts of an order that Amazon tells only if they are asked for."""

    BUYER = "BUYER"
    RECIPIENT = "RECIPIENT"
    PROCEEDS = "PROCEEDS"
    EXPENSE = "EXPENSE"
    PROMOTION = "PROMOTION"
    CANCELLATION = "CANCELLATION"
    FULFILLMENT = "FULFILLMENT"
    PACKAGES = "PACKAGES"
    TAX = "TAX"
    PAYMENT = "PAYMENT"
    FULFILLMENT_ORDERS = "FULFILLMENT_ORDERS"


@dataclass(frozen=True, slots=True)
class OrderPage:
    """Some of the orders that were searched for. `next_token` asks for the next ones, with unchanged parameters and for 24 hours.

    `last_updated_before` and `created_before`: up to when Amazon has looked; it says the one that belongs to the search.
    """

    orders: Sequence[Mapping[str, Any]]
    next_token: str | None
    last_updated_before: datetime | None = None
    created_before: datetime | None = None


async def search_orders(
    api: SellerApi,
    *,
    last_updated_after: datetime | None = None,
    last_updated_before: datetime | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    marketplace_ids: Sequence[str] = (),
    included_data: Sequence[IncludedData] = (),
    page_token: str | None = None,
    bounds: Bounds = SEARCH_BOUNDS,
) -> OrderPage:
    """One page of orders. Exactly one of `last_updated_after` and `created_after` is given; its `before` ends two minutes ago or earlier.

    A page that is too long for `bounds` is asked for again with fewer orders, which Amazon allows for the same token. Raises
    PageTokenRefused, and what `SpApiClient.get` raises; ValueError if Amazon would refuse it anyway.
    """
    if (last_updated_after is None) == (created_after is None):
        raise ValueError("a search asks for changes or for purchases since a moment")
    if len(marketplace_ids) > _MOST_MARKETPLACES:
        raise ValueError(f"Amazon takes at most {_MOST_MARKETPLACES} marketplaces")
    times = {
        "lastUpdatedAfter": last_updated_after,
        "lastUpdatedBefore": last_updated_before,
        "createdAfter": created_after,
        "createdBefore": created_before,
    }
    question = {name: time_text(time) for name, time in times.items() if time is not None}
    question |= _list("marketplaceIds", marketplace_ids) | _list("includedData", included_data)
    if page_token is not None:
        question["paginationToken"] = page_token
    page = _page(await _search(api, question, bounds))
    if page.next_token is not None and page.next_token == page_token:
        # Whoever followed it would ask for this page for ever, and be told of no change any more.
        raise AmazonUnavailable(operation=_SEARCH, reason="same_page_again")
    return page


async def get_order(
    api: SellerApi,
    order_id: str,
    *,
    included_data: Sequence[IncludedData] = (),
    bounds: Bounds = GET_BOUNDS,
) -> Mapping[str, Any]:
    """One order. Raises OrderUnknown, and what `SpApiClient.get` raises; ValueError if `order_id` is none of Amazon's form."""
    if not is_order_id(order_id):
        raise ValueError("this is no order number of Amazon's")
    try:
        answer = await api.get(
            _GET, f"{_PATH}/{order_id}", _list("includedData", included_data), bounds=bounds
        )
    except ClientMisconfigured as refused:
        if refused.fields.get("status") == 404:
            raise OrderUnknown(**refused.fields) from None
        raise
    order = answer.get("order")
    if not isinstance(order, dict):
        raise AmazonUnavailable(operation=_GET, reason="unexpected_form")
    return order


async def _search(api: SellerApi, question: Mapping[str, str], bounds: Bounds) -> dict[str, Any]:
    size = MOST_PER_PAGE
    while True:
        try:
            return await api.get(_SEARCH, _PATH, {**question, "maxResultsPerPage": str(size)}, bounds=bounds)
        except AnswerTooLarge:
            if size == 1:
                raise
            size = max(1, size // _FEWER)
        except ClientMisconfigured as refused:
            if "paginationToken" in question and refused.fields.get("status") == 400:
                raise PageTokenRefused(**refused.fields) from None
            raise


def _page(answer: Mapping[str, Any]) -> OrderPage:
    orders, pagination = answer.get("orders"), answer.get("pagination")
    if not isinstance(orders, list) or not isinstance(pagination, dict | None):
        raise AmazonUnavailable(operation=_SEARCH, reason="unexpected_form")
    token = (pagination or {}).get("nextToken") or None
    # It is stored with the page: what PostgreSQL does not take would keep the page from being stored for ever.
    if token is not None and not (isinstance(token, str) and _TOKEN.fullmatch(token)):
        raise AmazonUnavailable(operation=_SEARCH, reason="unexpected_form")
    whole = [order for order in orders if isinstance(order, dict)]
    if len(whole) < len(orders):
        log.warning("orders_of_no_form", operation=_SEARCH, count=len(orders) - len(whole))
    return OrderPage(
        whole, token, time_of(answer.get("lastUpdatedBefore")), time_of(answer.get("createdBefore"))
    )


def _list(name: str, values: Sequence[str]) -> dict[str, str]:
    """Lists go comma-joined. Each value once and always in the same order: a page's token wants the parameters of the page before."""
    if any("," in value for value in values):
        raise ValueError(f"a value of {name} holds a comma")
    return {name: ",".join(sorted(set(values)))} if values else {}
