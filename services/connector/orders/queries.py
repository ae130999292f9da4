"""Reads of orders, their parts, and what belongs beside a conversation: the account bounds every one of them, and none opens anything.

Any number of orders costs three statements: one for the rows, one for the items of all of them, one for the packages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Integer, LargeBinary, Uuid, and_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.orders.card import Lookup, StoreFacts
from services.connector.orders.listing import LISTED, ListedOrder, orders
from shared.crypto.envelope import Sealed
from shared.database import Reader
from shared.jobs import Job, enqueue
from shared.orders import order_row_id
from shared.tables import (
    Account,
    AmazonPause,
    Authenticity,
    Conversation,
    ConversationOrder,
    ConversationStatus,
    Grant,
    Integration,
    JobRow,
    Message,
    Order,
    OrderItem,
    OrderLookup,
    OrderPackage,
)

# A conversation that names more has no card for the rest.
MOST_ORDERS: Final = 20


class SealedOrder(NamedTuple):
    """What an order has beyond its row in a list, still sealed. `longer_kept_days`: for how much longer the account keeps what is personal."""

    sales_channel: str | None
    service_level: str | None
    replaces_order_id: str | None
    ship_after: datetime | None
    deliver_after: datetime | None
    paid_at: datetime | None
    paid_amount: Decimal | None
    payment_methods: list[str]
    items_amount: Decimal | None
    shipping_amount: Decimal | None
    tax_amount: Decimal | None
    discount_amount: Decimal | None
    other_amount: Decimal | None
    reported_at: datetime | None
    personal_ends_at: datetime | None
    buyer: Sealed | None
    buyer_key: bytes | None
    recipient: Sealed | None
    longer_kept_days: int | None


class SealedItem(NamedTuple):
    """An item of an order, still sealed."""

    id: UUID
    order_row_id: UUID
    item_id: str
    asin: str | None
    sku: str | None
    title: str | None
    condition: str | None
    quantity: int | None
    quantity_shipped: int | None
    currency: str | None
    unit_price: Decimal | None
    item_amount: Decimal | None
    shipping_amount: Decimal | None
    tax_amount: Decimal | None
    discount_amount: Decimal | None
    other_amount: Decimal | None
    total: Decimal | None
    gift_wrap: str | None
    gift: Sealed | None
    customization: Sealed | None
    is_cancellation_requested: bool
    cancel_reason: str | None
    report_columns: dict[str, str] | None
    report_personal: Sealed | None


class Package(NamedTuple):
    """A package of an order."""

    order_row_id: UUID
    reference: str
    status: str | None
    detailed_status: str | None
    carrier: str | None
    shipping_service: str | None
    tracking_number: str | None
    shipped_at: datetime | None
    delivered_at: datetime | None
    contents: dict[str, str]


@dataclass(frozen=True, slots=True)
class WholeOrder:
    """An order with its parts, still sealed."""

    listed: ListedOrder
    more: SealedOrder
    items: Sequence[SealedItem]
    packages: Sequence[Package]


@dataclass(frozen=True, slots=True)
class ConversationFacts:
    """A conversation as its orders are looked for. `order_ids`: those that proven mails name, of which there is none in quarantine.

    `buyer_key`: None as long as no mail in it is proven to be Amazon's.
    """

    id: UUID
    integration_id: UUID
    buyer_key: bytes | None
    order_ids: Sequence[str]
    store: StoreFacts


class OtherConversationRow(NamedTuple):
    """Another conversation of the same buyer."""

    id: UUID
    order_id: str | None
    asin: str | None
    country: str | None
    status: str
    kind: str
    message_count: int
    last_message_at: datetime


# Built once: building a statement takes longer than reading an order.
_ORDERS: Final = orders().add_columns(
    *(getattr(Order, name) for name in SealedOrder._fields[:-1]),
    select(Account.longer_kept_days)
    .where(Account.id == Order.account_id)
    .scalar_subquery()
    .label("longer_kept_days"),
)
_BY_ID: Final = _ORDERS.where(Order.id == func.any(bindparam("ids", type_=ARRAY(Uuid))))
_BY_NUMBER: Final = (
    orders()
    .where(Order.order_id == bindparam("order_id"))
    .order_by(Order.last_updated_at.desc(), Order.id.desc())
    .limit(100)
)
_OF_THESE: Final = bindparam("ids", type_=ARRAY(Uuid))
_ITEMS: Final = (
    select(*(getattr(OrderItem, name) for name in SealedItem._fields))
    .where(OrderItem.account_id == bindparam("account_id"), OrderItem.order_row_id == func.any(_OF_THESE))
    .order_by(OrderItem.order_row_id, OrderItem.position, OrderItem.id)
)
_PACKAGES: Final = (
    select(*(getattr(OrderPackage, name) for name in Package._fields))
    .where(
        OrderPackage.account_id == bindparam("account_id"), OrderPackage.order_row_id == func.any(_OF_THESE)
    )
    .order_by(OrderPackage.order_row_id, OrderPackage.position, OrderPackage.id)
)
_LOOKUPS: Final = select(OrderLookup.order_row_id, OrderLookup.outcome, OrderLookup.asked_at).where(
    OrderLookup.account_id == bindparam("account_id"), OrderLookup.order_row_id == func.any(_OF_THESE)
)
_IS_JOB: Final = and_(
    JobRow.kind == Job.FETCH_ORDERS_OF_CONVERSATION.value, JobRow.subject_id == Conversation.id
)
_SHOWN_ID: Final = (
    select(func.coalesce(Conversation.merged_into, Conversation.id))
    .where(
        Conversation.id == bindparam("conversation_id"), Conversation.account_id == bindparam("account_id")
    )
    .scalar_subquery()
)
_FACTS: Final = (
    select(
        Conversation.id,
        Conversation.integration_id,
        Conversation.status,
        Conversation.buyer_key,
        Integration.disconnected_at,
        Integration.paused_at,
        (func.octet_length(Grant.refresh_token) > 0).label("has_tokens"),
        Grant.revoked_at,
        Grant.role_missing_operation,
        select(AmazonPause.client_id)
        .where(AmazonPause.client_id == bindparam("client_id"))
        .exists()
        .label("is_stopped"),
        # A mail that was released from quarantine may name any address: alone, it shows nothing of whoever has it.
        select(Message.id)
        .where(
            Message.conversation_id == Conversation.id,
            Message.account_id == Conversation.account_id,
            Message.authenticity == Authenticity.AUTHENTIC,
        )
        .exists()
        .label("is_authentic"),
        JobRow.subject_id.label("job"),
        JobRow.held_at,
        func.array(
            select(ConversationOrder.order_id)
            .where(
                ConversationOrder.conversation_id == Conversation.id,
                ConversationOrder.account_id == Conversation.account_id,
                ConversationOrder.is_proven,
            )
            .order_by(ConversationOrder.order_id)
            .limit(MOST_ORDERS)
            .scalar_subquery()
        ).label("order_ids"),
    )
    .join(Integration, Integration.id == Conversation.integration_id)
    .outerjoin(Grant, Grant.integration_id == Conversation.integration_id)
    .outerjoin(JobRow, _IS_JOB)
    .where(Conversation.id == _SHOWN_ID, Conversation.account_id == bindparam("account_id"))
)
_KEYS: Final = func.any(bindparam("buyer_keys", type_=ARRAY(LargeBinary)))
_LIMIT: Final = bindparam("limit", type_=Integer())
_OTHER_ORDERS: Final = (
    orders()
    .where(
        Order.integration_id == bindparam("integration_id"),
        Order.buyer_key == _KEYS,
        Order.id != func.all(_OF_THESE),
    )
    .order_by(Order.last_updated_at.desc(), Order.id.desc())
    .limit(_LIMIT)
)
_OTHER_CONVERSATIONS: Final = (
    select(*(getattr(Conversation, name) for name in OtherConversationRow._fields))
    .where(
        Conversation.account_id == bindparam("account_id"),
        Conversation.integration_id == bindparam("integration_id"),
        Conversation.buyer_key == _KEYS,
        Conversation.id != bindparam("conversation_id"),
        Conversation.merged_into.is_(None),
        Conversation.status != ConversationStatus.QUARANTINE,
    )
    .order_by(Conversation.last_message_at.desc(), Conversation.id.desc())
    .limit(_LIMIT)
)
# Whatever Amazon does not let us do with orders; of other operations an order says nothing.
_ORDER_OPERATIONS: Final = frozenset({"getOrder", "searchOrders"})


async def orders_of(reader: Reader, account_id: UUID, ids: Sequence[UUID]) -> list[WholeOrder]:
    """These orders as far as the account has them, with all of their parts, in no sequence."""
    values = {"account_id": account_id, "ids": list(ids)}
    rows = (await reader.execute(_BY_ID, values)).all() if ids else ()
    if not rows:
        return []
    items: dict[UUID, list[SealedItem]] = {}
    for row in await reader.execute(_ITEMS, values):
        items.setdefault(row.order_row_id, []).append(SealedItem._make(row))
    packages: dict[UUID, list[Package]] = {}
    for row in await reader.execute(_PACKAGES, values):
        packages.setdefault(row.order_row_id, []).append(Package._make(row))
    return [
        WholeOrder(
            ListedOrder._make(row[: len(LISTED)]),
            SealedOrder._make(row[len(LISTED) :]),
            items.get(row.id, []),
            packages.get(row.id, []),
        )
        for row in rows
    ]


async def orders_by_number(reader: Reader, account_id: UUID, order_id: str) -> list[ListedOrder]:
    """The account's orders with this number of Amazon's: one in each store that has it."""
    rows = await reader.execute(_BY_NUMBER, {"account_id": account_id, "order_id": order_id})
    return [ListedOrder._make(row) for row in rows]


async def last_lookups(reader: Reader, account_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Lookup]:
    """When Amazon was last asked for these, and what came of it; of those for which it was."""
    if not ids:
        return {}
    rows = await reader.execute(_LOOKUPS, {"account_id": account_id, "ids": list(ids)})
    return {row.order_row_id: Lookup(row.outcome, row.asked_at) for row in rows}


async def conversation_facts(
    reader: Reader, account_id: UUID, conversation_id: UUID, client_id: str
) -> ConversationFacts | None:
    """What its card is made of; of a merged conversation, that of the one that it was merged into."""
    values = {"account_id": account_id, "conversation_id": conversation_id, "client_id": client_id}
    row = (await reader.execute(_FACTS, values)).one_or_none()
    if row is None:
        return None
    is_quarantined = row.status == ConversationStatus.QUARANTINE
    return ConversationFacts(
        row.id,
        row.integration_id,
        row.buyer_key if row.is_authentic and not is_quarantined else None,
        () if is_quarantined else row.order_ids,
        StoreFacts(
            is_disconnected=row.disconnected_at is not None,
            has_grant=bool(row.has_tokens) and row.revoked_at is None,
            is_stopped=row.is_stopped,
            is_paused=row.paused_at is not None,
            is_role_missing=row.role_missing_operation in _ORDER_OPERATIONS,
            is_asked_for=row.job is not None,
            has_failed=row.held_at is not None,
        ),
    )


async def other_orders(
    reader: Reader,
    account_id: UUID,
    integration_id: UUID,
    buyer_keys: Sequence[bytes],
    *,
    without: Sequence[UUID],
    limit: int,
) -> list[ListedOrder]:
    """What else these buyers have bought in this store, the latest change first."""
    values = {
        "account_id": account_id,
        "integration_id": integration_id,
        "buyer_keys": list(buyer_keys),
        "ids": list(without),
        "limit": limit,
    }
    return [ListedOrder._make(row) for row in await reader.execute(_OTHER_ORDERS, values)]


async def other_conversations(
    reader: Reader,
    account_id: UUID,
    conversation: ConversationFacts,
    buyer_keys: Sequence[bytes],
    *,
    limit: int,
) -> list[OtherConversationRow]:
    """What else these buyers have written to this store, the newest message first; without what is not proven."""
    values = {
        "account_id": account_id,
        "integration_id": conversation.integration_id,
        "buyer_keys": list(buyer_keys),
        "conversation_id": conversation.id,
        "limit": limit,
    }
    return [OtherConversationRow._make(row) for row in await reader.execute(_OTHER_CONVERSATIONS, values)]


async def named_order(
    reader: Reader, account_id: UUID, integration_id: UUID, conversation_id: UUID, order_id: str
) -> WholeOrder | None:
    """Our copy of this order, if a proven mail of the conversation names it."""
    named = select(ConversationOrder.order_id).where(
        ConversationOrder.account_id == account_id,
        ConversationOrder.conversation_id == conversation_id,
        ConversationOrder.order_id == order_id,
        ConversationOrder.is_proven,
    )
    if (await reader.execute(named)).first() is None:
        return None
    found = await orders_of(reader, account_id, [order_row_id(integration_id, order_id)])
    return found[0] if found else None


async def ask_for_orders(session: AsyncSession, conversation_id: UUID) -> None:
    """Have the orders of a conversation fetched, once for all who look at it meanwhile."""
    await enqueue(session, Job.FETCH_ORDERS_OF_CONVERSATION, conversation_id)


def rows_of(conversation: ConversationFacts) -> dict[UUID, str]:
    """The rows in which a conversation's orders would be, with Amazon's numbers."""
    return {
        order_row_id(conversation.integration_id, order_id): order_id for order_id in conversation.order_ids
    }
