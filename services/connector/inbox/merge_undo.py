"""What merging conversations has changed is remembered, and undone: every message goes back to where it was, and those that came since
to where they would have come. What a colleague has changed since stays.

The conversations are locked, and nothing here is committed by itself.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    LargeBinary,
    Uuid,
    all_,
    any_,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.callers import Caller
from services.connector.inbox.answering import UNDONE_WITHIN
from services.connector.inbox.unsealing import Opener
from services.connector.inbox.written import move_written, part_drafts
from shared import conversations
from shared.crypto.envelope import AccountKeys, Place, Sealed
from shared.errors import Expected
from shared.tables import (
    Conversation,
    ConversationMerge,
    ConversationOrder,
    ConversationStatus,
    ConversationThread,
    Message,
    Note,
    OutboundMessage,
    ReplyDraft,
    ReplyFile,
)

# What a conversation's messages say of it.
_SAID: Final = ("order_id", "asin", "country", "kind")
_WRITTEN: Final = (
    (Note, "note_ids"),
    (OutboundMessage, "reply_ids"),
    (ReplyFile, "file_ids"),
    (ReplyDraft, "draft_ids"),
)

_BACK: Final = text(
    "UPDATE messages SET conversation_id = :source, placed_by = its.placed_by"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:placed_by AS uuid[])) AS its (id, placed_by)"
    " WHERE messages.id = its.id AND messages.conversation_id = :target RETURNING messages.id"
)


class MergeNotUndoable(Expected):
    """It was undone already, something was merged on top of it, its time is over, or one of the two would be empty."""

    code = "merge_not_undoable"


async def remember(
    session: AsyncSession, caller: Caller, source: Conversation, target: Conversation
) -> ConversationMerge:
    """What the two are before they are merged."""

    async def ids(table: Any, conversation_id: UUID) -> list[UUID]:
        return list(
            await session.scalars(
                select(table.id).where(table.conversation_id == conversation_id).order_by(table.id)
            )
        )

    async def threads(conversation_id: UUID) -> list[bytes]:
        its = select(ConversationThread.thread_key).where(
            ConversationThread.conversation_id == conversation_id
        )
        return list(await session.scalars(its.order_by(ConversationThread.thread_key)))

    moved = (
        await session.execute(
            select(Message.id, Message.placed_by)
            .where(Message.conversation_id == source.id)
            .order_by(Message.id)
        )
    ).all()
    merged = select(Conversation.id).where(Conversation.merged_into == source.id).order_by(Conversation.id)
    return ConversationMerge(
        account_id=source.account_id,
        source_id=source.id,
        target_id=target.id,
        merged_by=caller.user_id,
        message_ids=[row.id for row in moved],
        placed_by=[row.placed_by for row in moved],
        target_message_ids=await ids(Message, target.id),
        source_threads=await threads(source.id),
        target_threads=await threads(target.id),
        **{column: await ids(table, source.id) for table, column in _WRITTEN},
        merged_ids=list(await session.scalars(merged)),
        source_orders=await _orders(session, source.id),
        target_orders=await _orders(session, target.id),
        was_source_unread=source.is_unread,
        target_before=_decided(target) | {name: getattr(target, name) for name in _SAID},
        target_buyer_key=target.buyer_key,
        target_buyer_name=target.buyer_name,
        target_buyer_address=target.buyer_address,
    )


async def complete(
    session: AsyncSession,
    keys: AccountKeys,
    merge: ConversationMerge,
    source: Conversation,
    target: Conversation,
) -> None:
    """Once they are merged: whose buyer the target has is named by it, and what it has become is remembered."""
    await session.flush()
    await session.refresh(target)
    if target.buyer_key != merge.target_buyer_key:
        of_source = Opener(keys, "conversations", source.id)

        def given(column: str, sealed: Sealed | None) -> Sealed | None:
            words = of_source.text(column, sealed)
            return None if words is None else keys.seal_text(Place("conversations", column, target.id), words)

        merge.is_renamed = True
        target.buyer_name = given("buyer_name", source.buyer_name)
        target.buyer_address = given("buyer_address", source.buyer_address)
    else:
        merge.target_buyer_name = merge.target_buyer_address = None
    merge.target_after = _decided(target)
    session.add(merge)


async def undo(
    session: AsyncSession,
    keys: AccountKeys,
    merge: ConversationMerge,
    source: Conversation,
    target: Conversation,
    *,
    now: datetime,
) -> None:
    """Make two of one again. Raises MergeNotUndoable."""
    newest = (
        select(ConversationMerge.id)
        .where(ConversationMerge.target_id == target.id, ConversationMerge.undone_at.is_(None))
        .order_by(ConversationMerge.id.desc())
        .limit(1)
    )
    if (
        merge.undone_at is not None
        or source.merged_into != target.id
        or now - merge.merged_at > UNDONE_WITHIN
        or await session.scalar(newest) != merge.id
    ):
        raise MergeNotUndoable(days=UNDONE_WITHIN.days)
    merge.undone_at = now
    back = await _move_messages(session, merge, source.integration_id)
    is_target_newer = await _is_newer(session, merge)
    await part_drafts(session, keys, source.id, target.id)
    await _move_written(session, merge, back)
    await _move_orders(session, merge)
    await session.execute(
        update(Conversation)
        .where(Conversation.id == any_(_uuids(merge.merged_ids)))
        .values(merged_into=source.id)
    )
    source.merged_into = None
    source.is_unread = merge.was_source_unread
    if set(back) - set(merge.message_ids):
        source.is_unread |= target.is_unread
        source.status, source.snoozed_until = ConversationStatus.OPEN.value, None
    _decide_again(merge, target, is_newer=is_target_newer)
    for name in _SAID:
        setattr(target, name, merge.target_before[name])
    if merge.is_renamed and target.buyer_key == source.buyer_key:
        target.buyer_key = merge.target_buyer_key
        target.buyer_name = merge.target_buyer_name
        target.buyer_address = merge.target_buyer_address
    await session.flush()
    for conversation_id in (source.id, target.id):
        await conversations.recount(session, conversation_id)


def _decided(row: Conversation) -> dict[str, Any]:
    """What agents decide of a conversation, as it goes into JSON."""
    return {
        "status": row.status,
        "snoozed_until": None if row.snoozed_until is None else row.snoozed_until.isoformat(),
        "is_unread": row.is_unread,
        "assignee_id": None if row.assignee_id is None else str(row.assignee_id),
        "tag_ids": [str(tag_id) for tag_id in row.tag_ids],
    }


def _decide_again(merge: ConversationMerge, target: Conversation, *, is_newer: bool) -> None:
    """What merging has made of the target is again what agents had decided, but for what has been changed since."""
    before, after, current = merge.target_before, merge.target_after, _decided(target)

    def is_unchanged(*names: str) -> bool:
        return all(current[name] == after[name] for name in names)

    if is_unchanged("status", "snoozed_until") and not is_newer:
        until = before["snoozed_until"]
        target.status = before["status"]
        target.snoozed_until = None if until is None else datetime.fromisoformat(until)
    if is_unchanged("is_unread") and not is_newer:
        target.is_unread = before["is_unread"]
    if is_unchanged("assignee_id"):
        target.assignee_id = None if before["assignee_id"] is None else UUID(before["assignee_id"])
    if is_unchanged("tag_ids"):
        target.tag_ids = [UUID(tag_id) for tag_id in before["tag_ids"]]


async def _move_messages(session: AsyncSession, merge: ConversationMerge, integration_id: UUID) -> list[UUID]:
    """Those that were moved go back, and those that came since and would have come there; their ids. Raises MergeNotUndoable."""
    moved = await session.scalars(
        _BACK,
        {
            "source": merge.source_id,
            "target": merge.target_id,
            "ids": merge.message_ids,
            "placed_by": merge.placed_by,
        },
    )
    back = list(moved)
    since = (
        await session.execute(
            select(Message.id, Message.thread_keys)
            .where(
                Message.conversation_id == merge.target_id,
                Message.placed_by.is_(None),
                Message.id != all_(_uuids(merge.target_message_ids)),
            )
            .order_by(Message.id)
        )
    ).all()
    leads, placed = conversations.follow(
        [
            conversations.Threads(merge.account_id, integration_id, tuple(row.thread_keys), merge.target_id)
            for row in since
        ],
        _led(merge, integration_id),
    )
    came = [row.id for row, place in zip(since, placed, strict=True) if place == merge.source_id]
    await session.execute(
        update(Message).where(Message.id == any_(_uuids(came))).values(conversation_id=merge.source_id)
    )
    keys = [key for (_, key), place in leads.items() if place == merge.source_id]
    await session.execute(
        update(ConversationThread)
        .where(
            ConversationThread.conversation_id == merge.target_id,
            ConversationThread.thread_key == any_(literal(keys, ARRAY(LargeBinary))),
        )
        .values(conversation_id=merge.source_id)
    )
    is_left = await session.scalar(
        select(literal(1)).where(Message.conversation_id == merge.target_id).limit(1)
    )
    if not back or is_left is None:
        raise MergeNotUndoable(days=UNDONE_WITHIN.days)
    return back + came


def _led(merge: ConversationMerge, integration_id: UUID) -> conversations.Leads:
    """Where the threads led before."""
    of_target = {(integration_id, key): merge.target_id for key in merge.target_threads}
    return of_target | {(integration_id, key): merge.source_id for key in merge.source_threads}


async def _is_newer(session: AsyncSession, merge: ConversationMerge) -> bool:
    """Whether the buyer or a colleague has written in the target since, so that what it was before counts no more."""
    message = select(Message.id).where(
        Message.conversation_id == merge.target_id, Message.id != all_(_uuids(merge.target_message_ids))
    )
    reply = select(OutboundMessage.id).where(
        OutboundMessage.conversation_id == merge.target_id, OutboundMessage.created_at > merge.merged_at
    )
    return any([await session.scalar(each.limit(1)) is not None for each in (message, reply)])


async def _move_written(session: AsyncSession, merge: ConversationMerge, back: Sequence[UUID]) -> None:
    """What agents had written in the source, and what they have answered to its messages since."""
    for table, column in _WRITTEN:
        ids = any_(_uuids(getattr(merge, column)))
        await session.execute(
            update(table)
            .where(table.id == ids, table.conversation_id == merge.target_id)
            .values(conversation_id=merge.source_id)
            .execution_options(synchronize_session=False)
        )
    await move_written(session, back, merge.target_id, merge.source_id)


async def _orders(session: AsyncSession, conversation_id: UUID) -> dict[str, bool]:
    its = select(ConversationOrder.order_id, ConversationOrder.is_proven).where(
        ConversationOrder.conversation_id == conversation_id
    )
    return {row.order_id: row.is_proven for row in await session.execute(its)}


async def _move_orders(session: AsyncSession, merge: ConversationMerge) -> None:
    """Each has its own again, and what its messages name by now."""
    its = select(ConversationOrder).where(ConversationOrder.conversation_id == merge.target_id)
    for link in (await session.scalars(its)).all():
        if link.order_id not in merge.source_orders:
            continue
        if link.order_id in merge.target_orders:
            link.is_proven = merge.target_orders[link.order_id]
        else:
            await session.delete(link)
    for order_id, is_proven in merge.source_orders.items():
        session.add(
            ConversationOrder(
                account_id=merge.account_id,
                order_id=order_id,
                conversation_id=merge.source_id,
                is_proven=is_proven,
            )
        )
    await session.flush()
    for conversation_id in (merge.source_id, merge.target_id):
        await conversations.name_orders(session, conversation_id)


def _uuids(ids: Sequence[UUID]) -> ColumnElement[list[UUID]]:
    """As an array: a statement has room for some ten thousand values, and a conversation may have more messages."""
    return literal(list(ids), ARRAY(Uuid))
