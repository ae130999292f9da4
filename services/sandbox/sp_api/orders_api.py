"""Orders v2026-01-01: searchOrders and getOrder. Personal data comes by role; no restricted data token is needed.

Pages are of a window of time that the first page fixes: an order that changes while somebody reads leaves the window, and the
next search finds it. No order is told twice, and none that stays as it is is passed over.
"""

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.datastructures import QueryParams

from services.sandbox.amazon_hosts import API_HOSTS
from services.sandbox.dependencies import SandboxDep
from services.sandbox.sp_api.operation import (
    Operation,
    refused,
    require_seller,
    success,
    unauthorized,
)
from services.sandbox.sp_api.order_json import order_json, time_text
from services.sandbox.sp_api.order_questions import (
    Question,
    give_token,
    read_included_data,
    read_page_size,
    read_question,
    refuse_unknown_parameters,
    take_token,
)
from services.sandbox.sp_api.strange_orders import as_scenarios_say, is_findable
from services.sandbox.state.memory import Sandbox
from services.sandbox.state.orders import PlacedOrder
from services.sandbox.state.sellers import Seller

router = APIRouter()

SEARCH_ORDERS: Final = Operation("searchOrders", rate=0.0056, burst=20)
GET_ORDER: Final = Operation("getOrder", rate=0.5, burst=30)
_ORDERS_PATH: Final = "/orders/2026-01-01/orders"


async def _search_orders(request: Request, sandbox: SandboxDep) -> Response:
    seller = await require_seller(request, sandbox, SEARCH_ORDERS)
    if sandbox.scenarios.happens("orders-forbidden", seller.seller_id, SEARCH_ORDERS.name):
        raise unauthorized("")
    query, now, tokens = request.query_params, sandbox.now(), sandbox.page_tokens
    refuse_unknown_parameters(query)
    size, included = read_page_size(query), read_included_data(query)
    question = read_question(query, seller.region, now)
    start = question.after, ""
    if "paginationToken" in query:
        is_expired = sandbox.scenarios.happens("orders-page-token-expired", seller.seller_id)
        token = take_token(tokens, seller.seller_id, query, now, is_expired=is_expired)
        question, start = token.question, (token.time, token.order_id)
    found = _page(sandbox, seller, question, start, size + 1)
    answer: dict[str, Any] = {
        "orders": [_tell(sandbox, placed, included) for _, placed in found[:size]],
        "lastUpdatedBefore" if question.by_update else "createdBefore": time_text(question.before),
    }
    if len(found) > size:
        time, last = found[size - 1]
        following = give_token(tokens, seller.seller_id, query, question, last=(time, last.order_id), now=now)
        answer["pagination"] = {"nextToken": following}
    return success(sandbox, SEARCH_ORDERS, answer)


async def _get_order(request: Request, order_id: str, sandbox: SandboxDep) -> Response:
    seller = await require_seller(request, sandbox, GET_ORDER)
    if sandbox.scenarios.happens("orders-forbidden", seller.seller_id, GET_ORDER.name):
        raise unauthorized("")
    query: QueryParams = request.query_params
    refuse_unknown_parameters(query, {"includedData"})
    included = read_included_data(query)
    placed = sandbox.orders.get(seller.seller_id, order_id)
    if placed is None or sandbox.scenarios.is_on("orders-vanish", seller.seller_id):
        raise refused(404, "NotFound", "The order does not exist.", "not_found")
    return success(sandbox, GET_ORDER, {"order": _tell(sandbox, placed, included)})


def _page(
    sandbox: Sandbox, seller: Seller, question: Question, start: tuple[Any, str], count: int
) -> list[tuple[Any, PlacedOrder]]:
    after, behind = start
    now = sandbox.now()
    found = []
    for time, placed in sandbox.orders.between(
        seller.seller_id, after, question.before, by_update=question.by_update, behind=behind
    ):
        if question.is_met_by(placed, now) and is_findable(sandbox, placed):
            found.append((time, placed))
            if len(found) == count:
                break
    return found


def _tell(sandbox: Sandbox, placed: PlacedOrder, included: frozenset[str]) -> dict[str, Any]:
    shown = placed.as_bought() if sandbox.scenarios.is_on("orders-regress", placed.seller_id) else placed
    answer = order_json(shown, included, sandbox.restricted_roles, sandbox.now())
    return as_scenarios_say(sandbox, placed.seller_id, answer)


for _host in API_HOSTS:
    router.add_api_route(f"/{_host}{_ORDERS_PATH}", _search_orders, methods=["GET"])
    router.add_api_route(f"/{_host}{_ORDERS_PATH}/{{order_id}}", _get_order, methods=["GET"])
