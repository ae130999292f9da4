"""Use cases of those who look at orders: lists, one order, what has changed, and the card of a conversation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from services.connector.accounts.callers import Caller
from services.connector.http.concurrency import ConcurrencyLimit
from services.connector.orders import listing, queries
from services.connector.orders.card import CopyFacts, Lookup, OrderState, state_of
from services.connector.orders.listing import ListedOrder, OrderFilters, OrderSort
from services.connector.orders.queries import ConversationFacts, OtherConversationRow, WholeOrder
from services.connector.orders.unsealing import OpenedOrder, keys_of, open_order
from services.connector.problems.catalogue import NotFound
from shared.database import Reader, Sessions
from shared.keyring import Keyring

# Of a buyer's other orders and conversations, so many are named.
_MOST_OTHERS: Final = 10


@dataclass(frozen=True, slots=True)
class OrderOfConversation:
    """An order that a proven mail names, and our copy of it, if there is one."""

    order_id: str
    state: OrderState
    opened: OpenedOrder | None


@dataclass(frozen=True, slots=True)
class Card:
    """What an agent sees beside a conversation. Of the others there is one more than are shown if there are more."""

    orders: Sequence[OrderOfConversation]
    other_orders: Sequence[ListedOrder]
    has_more_orders: bool
    other_conversations: Sequence[OtherConversationRow]
    has_more_conversations: bool


async def list_orders(
    sessions: Sessions,
    account_id: UUID,
    filters: OrderFilters,
    sort: OrderSort,
    *,
    searches: ConcurrencyLimit,
    limit: int,
    after: tuple[datetime, UUID] | None,
) -> list[ListedOrder]:
    """A page of the list. Raises ListTooSlow, SearchesBusy."""
    if listing.ends_with_its_page(filters, sort):
        return await listing.list_orders(sessions, account_id, filters, sort, limit=limit, after=after)
    async with searches.slot(account_id), sessions.begin() as session:
        return await listing.list_orders(session, account_id, filters, sort, limit=limit, after=after)


async def find_orders(sessions: Sessions, account_id: UUID, order_id: str) -> list[ListedOrder]:
    """The orders with this number of Amazon's."""
    async with sessions.reading() as reader:
        return await queries.orders_by_number(reader, account_id, order_id)


async def read_order(sessions: Sessions, keyring: Keyring, caller: Caller, row_id: UUID) -> OpenedOrder:
    """One order, opened. Raises NotFound."""
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.reading() as reader:
        found = await queries.orders_of(reader, caller.account_id, [row_id])
    if not found:
        raise NotFound
    return open_order(keys, found[0])


async def read_card(
    sessions: Sessions,
    keyring: Keyring,
    caller: Caller,
    conversation_id: UUID,
    *,
    client_id: str,
    now: datetime,
) -> Card:
    """The orders of a conversation as we have them; what is old or missing is asked for, and nobody waits for it. Raises NotFound.

    `client_id`: our application at Amazon, whose calls the operators may have stopped.
    """
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.reading() as reader:
        facts = await queries.conversation_facts(reader, caller.account_id, conversation_id, client_id)
        if facts is None:
            raise NotFound
        rows = queries.rows_of(facts)
        found = await queries.orders_of(reader, caller.account_id, list(rows))
        copies = {copy.listed.id: copy for copy in found}
        lookups = await queries.last_lookups(reader, caller.account_id, list(rows))
        orders, conversations = await _of_the_same_buyer(reader, caller.account_id, facts, found)
    states = {
        row_id: state_of(_copy_facts(copies.get(row_id), lookups.get(row_id)), facts.store, now)
        for row_id in rows
    }
    if any(state.is_to_be_fetched for state in states.values()):
        async with sessions.begin() as session:
            await queries.ask_for_orders(session, facts.id)
    return Card(
        [
            OrderOfConversation(
                order_id, states[row_id], open_order(keys, copies[row_id]) if row_id in copies else None
            )
            for row_id, order_id in rows.items()
        ],
        orders[:_MOST_OTHERS],
        len(orders) > _MOST_OTHERS,
        conversations[:_MOST_OTHERS],
        len(conversations) > _MOST_OTHERS,
    )


async def changed_orders(
    sessions: Sessions, account_id: UUID, *, after: tuple[datetime, UUID] | None, limit: int
) -> list[ListedOrder]:
    """Orders in the sequence in which our copies changed."""
    return await listing.changed_orders(sessions, account_id, after=after, limit=limit)


def _copy_facts(copy: WholeOrder | None, lookup: Lookup | None) -> CopyFacts:
    if copy is None:
        return CopyFacts(lookup=lookup)
    return CopyFacts(is_there=True, fetched_at=copy.listed.fetched_at, lookup=lookup)


async def _of_the_same_buyer(
    reader: Reader, account_id: UUID, facts: ConversationFacts, copies: Sequence[WholeOrder]
) -> tuple[list[ListedOrder], list[OtherConversationRow]]:
    """By the buyer's own address, as the conversation's mail and its orders have it; one that many share is none."""
    buyers = {facts.buyer_key, *(copy.more.buyer_key for copy in copies)}
    buyer_keys = sorted(key for key in buyers if key is not None)
    if not buyer_keys:
        return [], []
    orders = await queries.other_orders(
        reader,
        account_id,
        facts.integration_id,
        buyer_keys,
        without=[copy.listed.id for copy in copies],
        limit=_MOST_OTHERS + 1,
    )
    conversations = await queries.other_conversations(
        reader, account_id, facts, buyer_keys, limit=_MOST_OTHERS + 1
    )
    return orders, conversations
