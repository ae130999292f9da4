"""Routes: orders, what has changed of them, and the orders of a conversation."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from services.connector.dependencies import (
    Cursor,
    InboxOrdersReader,
    KeyringDep,
    LanguageDep,
    Now,
    OrdersReader,
    ReadLogDep,
    SearchesDep,
    SessionsDep,
    SettingsDep,
)
from services.connector.http.etags import etag_of
from services.connector.http.paging import (
    DEFAULT_PAGE,
    MAX_PAGE,
    InvalidCursor,
    decode_cursor,
    encode_cursor,
)
from services.connector.http.routers import api_router
from services.connector.orders import service
from services.connector.orders.listing import OrderFilters, OrderSort, resume_at
from services.connector.orders.schemas import (
    ConversationOrders,
    OrderChanges,
    OrderListRequest,
    OrderPage,
    OrderSearchRequest,
    OrdersFound,
    WholeOrderAnswer,
)
from services.connector.orders.views import (
    card_answer,
    order_summaries,
    other_conversation,
    whole_order_answer,
)

router = api_router("orders")


@router.get("/orders", summary="List orders")
async def list_orders(
    *,
    asked: Annotated[OrderListRequest, Query()],
    caller: OrdersReader,
    sessions: SessionsDep,
    searches: SearchesDep,
    settings: SettingsDep,
) -> OrderPage:
    """The one that Amazon changed last first. Nothing personal is in a list."""
    after = None
    if asked.cursor is not None:
        at, row_id = decode_cursor(asked.cursor)
        if at is None:
            raise InvalidCursor
        after = (at, row_id)
    found = await service.list_orders(
        sessions,
        caller.account_id,
        OrderFilters(
            integration_id=asked.integration_id,
            country=asked.country,
            status=asked.status,
            program=asked.program,
            ship_by_before=asked.ship_by_before,
            updated_since=asked.updated_since,
        ),
        asked.sort,
        searches=searches,
        limit=asked.limit + 1,
        after=after,
    )
    page = found[: asked.limit]
    next_cursor = None
    if len(found) > asked.limit:
        last = page[-1]
        next_cursor = encode_cursor(
            last.ship_by if asked.sort is OrderSort.SHIP_BY else last.last_updated_at, last.id
        )
    return {"items": order_summaries(page, settings.amazon_base_url), "next_cursor": next_cursor}


@router.get("/orders/changes", summary="Read which orders have changed")
async def list_changed_orders(
    *,
    caller: OrdersReader,
    sessions: SessionsDep,
    settings: SettingsDep,
    now: Now,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> OrderChanges:
    """For programs that keep orders of their own. It begins with the order whose copy here has changed the longest ago, and never ends.

    An order comes again whenever it has changed, and sometimes although it has not: `id` and `changed_at` tell. Whoever listens to
    `order.changed` beside it hears of a change at once.
    """
    after = None
    if cursor is not None:
        at, row_id = decode_cursor(cursor)
        if at is None:
            raise InvalidCursor
        after = (at, row_id)
    found = await service.changed_orders(sessions, caller.account_id, after=after, limit=limit + 1)
    page = found[:limit]
    at, row_id = resume_at(page, after, now)
    return {
        "items": order_summaries(page, settings.amazon_base_url),
        "next_cursor": encode_cursor(at, row_id),
        "has_more": len(found) > limit and row_id == page[-1].id,
    }


@router.post("/orders/search", summary="Search orders")
async def search_orders(
    *,
    body: OrderSearchRequest,
    caller: OrdersReader,
    sessions: SessionsDep,
    settings: SettingsDep,
    read_log: ReadLogDep,
) -> OrdersFound:
    """By Amazon's number. More than one store of the account may have it, such as one that was connected twice."""
    found = await service.find_orders(sessions, caller.account_id, body.order_id)
    await read_log.search(caller, len(found))
    return {"items": order_summaries(found, settings.amazon_base_url)}


@router.get("/orders/{order_row_id}", summary="Read an order")
async def read_order(
    *,
    order_row_id: UUID,
    caller: OrdersReader,
    sessions: SessionsDep,
    keyring: KeyringDep,
    settings: SettingsDep,
    now: Now,
    response: Response,
    read_log: ReadLogDep,
) -> WholeOrderAnswer:
    """All that is known of it. Of personal data, what Amazon gives this application, for as long as they may be kept."""
    opened = await service.read_order(sessions, keyring, caller, order_row_id)
    await read_log.order(caller, order_row_id)
    response.headers["ETag"] = etag_of(int(opened.order.listed.changed_at.timestamp() * 1_000_000))
    return whole_order_answer(opened, settings.amazon_base_url, now)


@router.get("/conversations/{conversation_id}/orders", summary="Read a conversation's orders")
async def list_conversation_orders(
    *,
    conversation_id: UUID,
    caller: InboxOrdersReader,
    sessions: SessionsDep,
    keyring: KeyringDep,
    settings: SettingsDep,
    language: LanguageDep,
    now: Now,
    read_log: ReadLogDep,
) -> ConversationOrders:
    """The orders that proven mails of Amazon's name here, as we know them, and what else this store knows of the buyer.

    A copy that is older than 15 minutes, or missing, is asked for at Amazon: once for all who look, and nobody waits for it.
    `order.changed` tells when it has changed.
    """
    card = await service.read_card(
        sessions, keyring, caller, conversation_id, client_id=settings.amazon_client_id, now=now
    )
    for order in card.orders:
        if order.opened is not None:
            await read_log.order(caller, order.opened.order.listed.id)
    return {
        "items": [
            card_answer(
                order.order_id,
                order.state,
                order.opened,
                language=language,
                amazon_base_url=settings.amazon_base_url,
                now=now,
            )
            for order in card.orders
        ],
        "same_buyer": {
            "orders": order_summaries(card.other_orders, settings.amazon_base_url),
            "has_more_orders": card.has_more_orders,
            "conversations": [other_conversation(row) for row in card.other_conversations],
            "has_more_conversations": card.has_more_conversations,
        },
    }
