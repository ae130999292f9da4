"""Everything that is stored of one buyer in one account: found, exported, erased.

A buyer is found by the keyed hash of their address at Amazon, or by an order: then by that order and by the address that it or its
conversation has. An address that Amazon gives to many finds nobody.
"""

import base64
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import system_audit_entry
from services.connector.privacy import deletion, ended_orders
from shared.addresses import own_buyer_address
from shared.blobs import BlobStore
from shared.blobs.sealed import fetch_sealed, sealed_or_blob
from shared.crypto.envelope import AccountKeys, Place, SealBroken, Sealed
from shared.database import Sessions
from shared.errors import Expected
from shared.tables import (
    Attachment,
    Conversation,
    ConversationOrder,
    Message,
    Note,
    Order,
    OrderItem,
    OrderPackage,
    OutboundMessage,
    ReplyDraft,
    ReplyFile,
    SealedColumn,
)

# Columns that say nothing of the buyer: keys, hashes, and copies of what stands elsewhere.
_LEFT_OUT: Final = frozenset({
    "account_id", "raw_key", "word_keys", "thread_keys", "thread_key", "sent_to_keys", "buyer_key", "blob_key", "blob_digest", "api_digest",
    "report_digest", "snippet",
})  # fmt: skip
_PAGE: Final = 100

_Written = Message | OutboundMessage | Note | ReplyDraft
_Row = Conversation | _Written | Attachment | ReplyFile | Order | OrderItem | OrderPackage


@dataclass(frozen=True, slots=True)
class Found:
    """What an account stores of a buyer, by rows."""

    conversations: Sequence[UUID]
    orders: Sequence[UUID]


async def find(sessions: Sessions, keys: AccountKeys, buyer: str) -> Found:
    """The conversations and orders of a buyer, whom an address at Amazon or an order's number names."""
    account_id = keys.account_id
    async with sessions.begin() as session:
        buyer_keys: set[bytes] = set()
        named: set[UUID] = set()
        if "@" in buyer:
            own = own_buyer_address(buyer)
            if own is not None:
                buyer_keys.add(keys.lookup_hash("buyer", own))
        else:
            proven = select(ConversationOrder.conversation_id).where(
                ConversationOrder.account_id == account_id,
                ConversationOrder.order_id == buyer,
                ConversationOrder.is_proven,
            )
            named = set(await session.scalars(proven))
            buyer_keys = await _keys_of(session, account_id, buyer, named)
        by_key = await session.scalars(
            select(Conversation.id).where(
                Conversation.account_id == account_id, Conversation.buyer_key.in_(buyer_keys)
            )
        )
        known = named | set(by_key)
        merged = select(Conversation.id).where(Conversation.merged_into.in_(known))
        conversations = known | set(await session.scalars(merged))
        orders = await session.scalars(
            select(Order.id).where(
                Order.account_id == account_id,
                or_(Order.order_id == buyer, Order.buyer_key.in_(buyer_keys)),
            )
        )
        return Found(sorted(conversations), sorted(orders))


async def _keys_of(
    session: AsyncSession, account_id: UUID, order_id: str, conversations: set[UUID]
) -> set[bytes]:
    of_order = select(Order.buyer_key).where(Order.account_id == account_id, Order.order_id == order_id)
    of_conversations = select(Conversation.buyer_key).where(Conversation.id.in_(conversations))
    found = [*await session.scalars(of_order), *await session.scalars(of_conversations)]
    return {bytes(key) for key in found if key is not None}


async def erase(sessions: Sessions, blobs: BlobStore, keys: AccountKeys, found: Found, now: datetime) -> None:
    """Delete the conversations with all that they have, and overwrite what is personal in the orders, for good.

    What comes of the buyer after `now` stays. Raises BlobsUnavailable; then it may be run again.
    """
    for begin in range(0, len(found.conversations), _PAGE):
        ids = found.conversations[begin : begin + _PAGE]
        await deletion.delete_conversations(sessions, blobs, ids, before=now)
    await ended_orders.erase_personal(sessions, keys.account_id, list(found.orders), now)
    async with sessions.begin() as session:
        session.add(system_audit_entry(keys.account_id, "buyer_erased", keys.account_id, **_counts(found)))


async def export(sessions: Sessions, blobs: BlobStore, keys: AccountKeys, found: Found) -> AsyncIterator[str]:
    """What is stored, as the parts of one JSON document; no more than a message with its files is held at a time."""
    yield '{"conversations": ['
    between = ""
    for conversation_id in found.conversations:
        async with sessions.begin() as session:
            conversation = await session.get(Conversation, conversation_id)
        if conversation is None:
            continue
        yield between + _opened(keys, conversation)[:-1]
        between = ",\n"
        for name, table in (
            ("messages", Message),
            ("replies", OutboundMessage),
            ("notes", Note),
            ("drafts", ReplyDraft),
        ):
            yield f', "{name}": ['
            async for part in _rows_of(sessions, blobs, keys, table, conversation_id):
                yield part
            yield "]"
        yield "}"
    yield '],\n"orders": ['
    between = ""
    for order_id in found.orders:
        yield between + await _order(sessions, keys, order_id)
        between = ",\n"
    yield "]}\n"
    async with sessions.begin() as session:
        session.add(system_audit_entry(keys.account_id, "buyer_exported", keys.account_id, **_counts(found)))


def _counts(found: Found) -> dict[str, str]:
    return {"conversations": str(len(found.conversations)), "orders": str(len(found.orders))}


async def _rows_of(
    sessions: Sessions,
    blobs: BlobStore,
    keys: AccountKeys,
    table: type[_Written],
    conversation_id: UUID,
) -> AsyncIterator[str]:
    after, between = UUID(int=0), ""
    while True:
        page = select(table).where(table.conversation_id == conversation_id, table.id > after)
        async with sessions.begin() as session:
            row = cast("_Written | None", await session.scalar(page.order_by(table.id).limit(1)))
            if row is None:
                return
            files: Sequence[Attachment | ReplyFile] = ()
            if isinstance(row, Message):
                files = (
                    await session.scalars(
                        select(Attachment)
                        .where(Attachment.message_id == row.id)
                        .order_by(Attachment.position)
                    )
                ).all()
            elif isinstance(row, OutboundMessage):
                files = (
                    await session.scalars(
                        select(ReplyFile)
                        .where(ReplyFile.outbound_message_id == row.id)
                        .order_by(ReplyFile.position)
                    )
                ).all()
        yield between + _opened(keys, row)[:-1] + ', "files": ['
        between = ",\n"
        for number, file in enumerate(files):
            yield ("," if number else "") + await _file(blobs, keys, file)
        yield "]}"
        after = row.id


async def _file(blobs: BlobStore, keys: AccountKeys, file: Attachment | ReplyFile) -> str:
    content: str | None = None
    try:
        sealed = await fetch_sealed(blobs, sealed_or_blob(file.content, file.blob_key, file.blob_digest))
        opened = keys.open(Place(file.__tablename__, "content", file.id), sealed)
        content = base64.b64encode(opened).decode()
    except Expected:  # gone, damaged, or sealed with a key that is not there: the rest is told all the same
        pass
    told = json.loads(_opened(keys, file, without=frozenset({"content"})))
    return json.dumps(told | {"content_base64": content}, ensure_ascii=False)


async def _order(sessions: Sessions, keys: AccountKeys, row_id: UUID) -> str:
    account = {"account_id": keys.account_id}
    async with sessions.begin() as session:
        order = await session.get_one(Order, {"id": row_id} | account)
        items = (
            await session.scalars(
                select(OrderItem).where(
                    OrderItem.account_id == keys.account_id, OrderItem.order_row_id == row_id
                )
            )
        ).all()
        packages = (
            await session.scalars(
                select(OrderPackage).where(
                    OrderPackage.account_id == keys.account_id, OrderPackage.order_row_id == row_id
                )
            )
        ).all()
    told = json.loads(_opened(keys, order))
    told["items"] = [json.loads(_opened(keys, item)) for item in items]
    told["packages"] = [json.loads(_opened(keys, package)) for package in packages]
    return json.dumps(told, ensure_ascii=False)


def _opened(keys: AccountKeys, row: _Row, *, without: frozenset[str] = frozenset()) -> str:
    """All columns of a row, opened. What does not open is null, and named in `broken`."""
    told: dict[str, Any] = {}
    broken = []
    for column in row.__table__.columns:
        if column.name in _LEFT_OUT or column.name in without:
            continue
        value = getattr(row, column.name)
        if isinstance(column.type, SealedColumn) and value is not None:
            try:
                value = _open(keys, Place(row.__tablename__, column.name, row.id), value)
            except SealBroken:
                value = None
                broken.append(column.name)
        told[column.name] = value
    if broken:
        told["broken"] = broken
    return json.dumps(told, ensure_ascii=False, default=str)


def _open(keys: AccountKeys, place: Place, sealed: Sealed) -> Any:
    text = keys.open_text(place, sealed)
    is_json = place.table in {"orders", "order_items"} and text.startswith("{")
    return json.loads(text) if is_json else text
