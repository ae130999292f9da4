"""The orders of one conversation, asked for one by one: as soon as a proven mail names them, and again when somebody looks.

Whatever the state of the sync: Amazon gives it a page in three minutes, and this an order every two seconds. What became of each
question is kept (`order_lookups`), so that a page can say why an order is not there, and nobody asks for it twice within the quarter of an hour.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.amazon.client import SellerApi
from services.connector.amazon.errors import AmazonPaused, AmazonUnavailable, OrderUnknown, Throttled
from services.connector.amazon.orders import IncludedData, get_order
from services.connector.orders.card import ASKING, FOUND, Lookup, is_due
from services.connector.orders.queries import MOST_ORDERS
from services.connector.orders.reading import INCLUDED_DATA, OrderUnreadable, read_order
from services.connector.orders.snapshots import take_snapshots
from services.connector.orders.storing import store_orders
from services.connector.tokens.service import RenewalBusy, Vault
from shared.database import Sessions, is_unavailable, was_ended_for_others
from shared.errors import Expected
from shared.events import EventKind, announce
from shared.keyring import Keyring
from shared.orders import order_row_id
from shared.tables import Conversation, ConversationOrder, Integration, Order, OrderLookup

log = structlog.get_logger()

_INCLUDED: Final = tuple(IncludedData(part) for part in INCLUDED_DATA)
_UNREADABLE: Final = "order_unreadable"

_SOON: Final = timedelta(seconds=5)
_CLAIM: Final = text("""
    INSERT INTO order_lookups AS known (order_row_id, account_id, integration_id, order_id, outcome, asked_at)
    VALUES (:row, :account, :integration, :order, :outcome, :now)
    ON CONFLICT (order_row_id, account_id) DO UPDATE SET outcome = excluded.outcome, asked_at = excluded.asked_at
    WHERE known.asked_at IS NOT DISTINCT FROM CAST(:seen AS timestamptz)
    RETURNING true
""")
_NOTE: Final = text("""
    INSERT INTO order_lookups (order_row_id, account_id, integration_id, order_id, outcome, asked_at)
    VALUES (:row, :account, :integration, :order, :outcome, :now)
    ON CONFLICT (order_row_id, account_id) DO UPDATE SET outcome = excluded.outcome, asked_at = excluded.asked_at
""")


# During an upgrade the version before goes on delivering mail, after the migration has passed by what it delivers.
_DELIVERED_LATELY: Final = timedelta(hours=24)
_PROVE: Final = text("""
    UPDATE conversation_orders AS known SET is_proven = true
    FROM (
        SELECT account_id, conversation_id, unnest(order_ids) AS order_id FROM messages
        WHERE id >= uuid_at(CAST(:since AS timestamptz)) AND authenticity = 'authentic' AND order_ids <> '{}'
    ) AS named
    WHERE known.account_id = named.account_id AND known.order_id = named.order_id
        AND known.conversation_id = named.conversation_id AND NOT known.is_proven
    RETURNING known.conversation_id
""")


@dataclass(frozen=True, slots=True)
class NamedOrder:
    """An order that a proven mail of a conversation names, and what is known of it."""

    account_id: UUID
    integration_id: UUID
    order_id: str
    fetched_at: datetime | None
    lookup: Lookup | None

    @property
    def row_id(self) -> UUID:
        return order_row_id(self.integration_id, self.order_id)


async def named_orders(session: AsyncSession, account_id: UUID, conversation_id: UUID) -> list[NamedOrder]:
    """The conversation's own orders: those that proven mails name. None of a store that is paused or disconnected."""
    rows = await session.execute(
        select(Conversation.integration_id, ConversationOrder.order_id)
        .join(Conversation, Conversation.id == ConversationOrder.conversation_id)
        .join(Integration, Integration.id == Conversation.integration_id)
        .where(
            ConversationOrder.account_id == account_id,
            ConversationOrder.conversation_id == conversation_id,
            ConversationOrder.is_proven,
            Conversation.account_id == account_id,
            Integration.disconnected_at.is_(None),
            Integration.paused_at.is_(None),
        )
        .order_by(ConversationOrder.order_id)
        .limit(MOST_ORDERS)
    )
    named = {order_row_id(row.integration_id, row.order_id): row for row in rows}
    orders = await session.execute(
        select(Order.id, Order.fetched_at).where(Order.account_id == account_id, Order.id.in_(named))
    )
    fetched = {row.id: row.fetched_at for row in orders}
    lookups = await session.scalars(
        select(OrderLookup).where(OrderLookup.account_id == account_id, OrderLookup.order_row_id.in_(named))
    )
    asked = {lookup.order_row_id: Lookup(lookup.outcome, lookup.asked_at) for lookup in lookups}
    return [
        NamedOrder(
            account_id,
            row.integration_id,
            row.order_id,
            fetched.get(row_id),
            asked.get(row_id),
        )
        for row_id, row in named.items()
    ]


class OrderFetcher:
    """Asks Amazon for single orders. There is one in a worker process."""

    def __init__(self, sessions: Sessions, keyring: Keyring, vault: Vault) -> None:
        self._sessions = sessions
        self._keyring = keyring
        self._vault = vault

    async def refuse_if_paused(self) -> None:
        """See `Vault.refuse_if_paused`."""
        await self._vault.refuse_if_paused()

    async def prove_orders(self, now: datetime) -> int:
        """Make the orders that proven mails of the last day name their conversations' own, where a mail worker of before did not; how many."""
        async with self._sessions.begin() as session:
            proven = await session.scalars(_PROVE, {"since": now - _DELIVERED_LATELY})
            return len(proven.all())

    async def fetch_of_conversation(self, conversation_id: UUID, now: datetime) -> timedelta | None:
        """Ask for what is due; how long to wait before what could not be asked for is tried again, or None. Raises AmazonPaused."""
        await self.refuse_if_paused()
        async with self._sessions.begin() as session:
            account_id = await session.scalar(
                select(Conversation.account_id).where(Conversation.id == conversation_id)
            )
            named = [] if account_id is None else await named_orders(session, account_id, conversation_id)
        waits = [
            await self.fetch(order, now) for order in named if is_due(order.fetched_at, order.lookup, now)
        ]
        if account_id is not None and named:
            async with self._sessions.begin() as session:
                await take_snapshots(session, account_id, conversation_id, now=now)
        return max((wait for wait in waits if wait is not None), default=None)

    async def fetch(self, order: NamedOrder, now: datetime) -> timedelta | None:
        """Ask for one order and store what comes of it; how long to wait before it is tried again, or None if that would change nothing."""
        if not await self._claim(order, now):
            return _SOON

        async def operation(api: SellerApi) -> object:
            return await get_order(api, order.order_id, included_data=_INCLUDED)

        try:
            told = await self._vault.call(order.account_id, order.integration_id, operation)
            record = read_order(told, seen_at=now)
        except (AmazonUnavailable, AmazonPaused, RenewalBusy) as failure:
            is_stopped = isinstance(failure, AmazonPaused)
            await self._note(order, failure.code if is_stopped else AmazonUnavailable.code, now)
            return _wait_after(failure)
        except OrderUnreadable:
            await self._note(order, _UNREADABLE, now)
            return None
        except Expected as failure:
            # The vault has written down what it means for the store.
            await self._note(order, failure.code, now)
            return None
        keys = await self._keyring.of(self._sessions, order.account_id)
        try:
            async with self._sessions.begin() as session:
                await store_orders(session, keys, order.integration_id, [record], now=now)
                await session.execute(_NOTE, _columns(order, FOUND, now))
        except Exception as error:
            if is_unavailable(error) or was_ended_for_others(error):
                raise
            # A mistake of ours, which must hold up neither other orders nor other stores.
            log.exception("order_not_storable", integration_id=str(order.integration_id))
            await self._note(order, _UNREADABLE, now)
        return None

    async def _claim(self, order: NamedOrder, now: datetime) -> bool:
        """Whether it is ours to ask: of all that found the order as it is, one is."""
        async with self._sessions.begin() as session:
            found = await session.scalar(
                _CLAIM, _columns(order, ASKING, now) | {"seen": order.lookup and order.lookup.asked_at}
            )
        return found is not None

    async def _note(self, order: NamedOrder, outcome: str, now: datetime) -> None:
        """Write down why it was not given, and let those who look know, if it is another reason than before."""
        async with self._sessions.begin() as session:
            if outcome == OrderUnknown.code:
                await session.execute(
                    update(Order)
                    .where(
                        Order.account_id == order.account_id,
                        Order.id == order.row_id,
                        Order.gone_at.is_(None),
                    )
                    .values(gone_at=now, changed_at=func.clock_timestamp())
                )
            await session.execute(_NOTE, _columns(order, outcome, now))
            if order.lookup is None or outcome != order.lookup.outcome:
                await announce(
                    session,
                    order.account_id,
                    EventKind.ORDER_CHANGED,
                    integration_id=order.integration_id,
                    order_row_id=order.row_id,
                )
        log.info("order_not_given", integration_id=str(order.integration_id), outcome=outcome)


def _columns(order: NamedOrder, outcome: str, now: datetime) -> dict[str, object]:
    return {
        "row": order.row_id,
        "account": order.account_id,
        "integration": order.integration_id,
        "order": order.order_id,
        "outcome": outcome,
        "now": now,
    }


def _wait_after(failure: Expected) -> timedelta:
    if isinstance(failure, Throttled):
        return timedelta(seconds=int(failure.fields.get("retry_after_seconds", 2)))
    return timedelta(seconds=30)
