"""What agents do with messages: conversations are merged and split, a message is let out of quarantine."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, not_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.inbox import merge_undo
from services.connector.inbox.changes import (
    announce_changes,
    lock_conversations,
    read_changed,
    refuse_quarantine,
)
from services.connector.inbox.unsealing import Opener, ReadConversation, keys_of
from services.connector.inbox.written import merge_written, move_written
from services.connector.problems.catalogue import NotFound
from shared import conversations
from shared.crypto.envelope import AccountKeys, Place, Sealed
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.events import EventKind, announce
from shared.keyring import Keyring
from shared.tables import Conversation, ConversationMerge, ConversationStatus, Message

# One lock for each message that is released; other kinds of locks have other numbers.
_RELEASE_LOCKS: Final = 7


class MergeIntoItself(Expected):
    """A conversation is one with itself already."""

    code = "merge_into_itself"


class MergeOtherStore(Expected):
    """The two are of different integrations: an answer would leave from the wrong store."""

    code = "merge_other_store"


class MessageElsewhere(Expected):
    """A message that is to be split off is not in this conversation."""

    code = "message_elsewhere"


class SplitTakesAll(Expected):
    """Nothing would be left of the conversation."""

    code = "split_takes_all"


class MessageNotInQuarantine(Expected):
    """There is nothing to release it from."""

    code = "message_not_in_quarantine"


async def merge(
    sessions: Sessions, keyring: Keyring, caller: Caller, source_id: UUID, target_id: UUID
) -> ReadConversation:
    """Move all of the source to the target, with what agents have written, and let later mails of its threads go there. Answers the target.

    Raises NotFound, MergeIntoItself, MergeOtherStore, ConversationMerged, ConversationInQuarantine.
    """
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        source, target = await _mergeable(session, caller, source_id, target_id)
        await _merge(session, keys, caller, source, target)
        session.add(audit_entry(caller, "conversation.merged", source_id, into=str(target_id)))
        await announce_changes(session, source, target)
        return await read_changed(session, keys, caller, target_id)


async def _mergeable(
    session: AsyncSession, caller: Caller, source_id: UUID, target_id: UUID
) -> tuple[Conversation, Conversation]:
    """Both, locked. Raises NotFound, MergeIntoItself, MergeOtherStore, ConversationMerged, ConversationInQuarantine."""
    if source_id == target_id:
        raise MergeIntoItself
    source, target = await lock_conversations(session, caller.account_id, source_id, target_id)
    refuse_quarantine(source)
    refuse_quarantine(target)
    if source.integration_id != target.integration_id:
        raise MergeOtherStore
    return source, target


async def _merge(
    session: AsyncSession, keys: AccountKeys, caller: Caller, source: Conversation, target: Conversation
) -> None:
    merge = await merge_undo.remember(session, caller, source, target)
    await conversations.merge(session, source.id, target.id, by=caller.user_id)
    await merge_written(session, keys, source.id, target.id)
    await merge_undo.complete(session, keys, merge, source, target)


@dataclass(frozen=True, slots=True)
class MergePreview:
    """Two conversations, what they would be as one, and whether they are known to be of other buyers or about other orders."""

    source: ReadConversation
    target: ReadConversation
    merged: ReadConversation
    buyers_differ: bool
    orders_differ: bool


async def preview_merge(
    sessions: Sessions, keyring: Keyring, caller: Caller, source_id: UUID, target_id: UUID
) -> MergePreview:
    """What merging them would make. It is done and taken back, so that it is never another thing that is shown than the one that comes.

    Raises NotFound, MergeIntoItself, MergeOtherStore, ConversationMerged, ConversationInQuarantine.
    """
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        source, target = await _mergeable(session, caller, source_id, target_id)
        source_read = await read_changed(session, keys, caller, source_id)
        target_read = await read_changed(session, keys, caller, target_id)
        buyers_differ = _differ(source.buyer_key, target.buyer_key)
        orders_differ = _differ(source.order_id, target.order_id)
        trial = await session.begin_nested()
        await _merge(session, keys, caller, source, target)
        merged = await read_changed(session, keys, caller, target_id)
        await trial.rollback()
        return MergePreview(source_read, target_read, merged, buyers_differ, orders_differ)


def _differ(one: object | None, other: object | None) -> bool:
    """Whether both are known, and are not the same."""
    return one is not None and other is not None and one != other


async def undo_merge(
    sessions: Sessions, keyring: Keyring, caller: Caller, target_id: UUID, merge_id: UUID, *, now: datetime
) -> ReadConversation:
    """Take the newest merge into this conversation back. Answers the conversation that is one of its own again.

    Raises NotFound, ConversationMerged, MergeNotUndoable.
    """
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        its = select(ConversationMerge).where(
            ConversationMerge.id == merge_id,
            ConversationMerge.target_id == target_id,
            ConversationMerge.account_id == caller.account_id,
        )
        found = await session.scalar(its)
        if found is None:
            raise NotFound
        await conversations.lock(session, found.source_id, target_id)
        [target] = await lock_conversations(session, caller.account_id, target_id)
        merge = (await session.scalars(its.execution_options(populate_existing=True))).one()
        source = await session.get_one(Conversation, merge.source_id, populate_existing=True)
        await merge_undo.undo(session, keys, merge, source, target, now=now)
        session.add(audit_entry(caller, "conversation.merge_undone", source.id, out_of=str(target_id)))
        await announce_changes(session, source, target)
        return await read_changed(session, keys, caller, source.id)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The messages to be split off: these, or `since` and all newer ones."""

    message_ids: Sequence[UUID] = ()
    since: UUID | None = None


async def split(
    sessions: Sessions, keyring: Keyring, caller: Caller, source_id: UUID, chosen: Chosen
) -> ReadConversation:
    """Make these messages a conversation of their own, where later mails of threads that only they have go, too. Answers the new one.

    Raises NotFound, MessageElsewhere, SplitTakesAll, ConversationMerged, ConversationInQuarantine.
    """
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        [source] = await lock_conversations(session, caller.account_id, source_id)
        refuse_quarantine(source)
        message_ids = await _newest_first(session, source, chosen)
        newest = await session.get_one(Message, message_ids[0])
        made = _split_off(source, newest, keys)
        session.add(made)
        await session.flush()
        await conversations.move(session, message_ids, source_id, made.id, by=caller.user_id)
        await move_written(session, message_ids, source_id, made.id)
        session.add(audit_entry(caller, "conversation.split", source_id, into=str(made.id)))
        await announce_changes(session, source, made)
        return await read_changed(session, keys, caller, made.id)


async def release(sessions: Sessions, keyring: Keyring, caller: Caller, message_id: UUID) -> ReadConversation:
    """Let a message out of quarantine, because an agent says that it is real. Answers the conversation that it belongs to.

    Raises NotFound, MessageNotInQuarantine.
    """
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        # Two agents at once would both find it in quarantine. Rows are not locked here: shared.conversations does it in its order.
        await session.execute(
            select(func.pg_advisory_xact_lock(_RELEASE_LOCKS, func.hashtext(str(message_id))))
        )
        row = (
            await session.execute(
                select(Conversation.id, Conversation.integration_id, Conversation.status)
                .join(Message, Message.conversation_id == Conversation.id)
                .where(Message.id == message_id, Message.account_id == caller.account_id)
            )
        ).one_or_none()
        if row is None:
            raise NotFound
        if row.status != ConversationStatus.QUARANTINE:
            raise MessageNotInQuarantine
        conversation_id = await conversations.release(session, message_id)
        await session.execute(update(Message).where(Message.id == message_id).values(recheck_at=None))
        session.add(audit_entry(caller, "message.released", message_id))
        for changed_id in {row.id, conversation_id}:
            await announce(
                session,
                caller.account_id,
                EventKind.CONVERSATION_CHANGED,
                integration_id=row.integration_id,
                conversation_id=changed_id,
            )
        return await read_changed(session, keys, caller, conversation_id)


async def _newest_first(session: AsyncSession, source: Conversation, chosen: Chosen) -> list[UUID]:
    """The ids of the chosen messages. Raises MessageElsewhere, SplitTakesAll."""
    wanted = set(chosen.message_ids) if chosen.since is None else {chosen.since}
    is_chosen = Message.id.in_(wanted) if chosen.since is None else Message.id >= chosen.since
    its = select(Message.id).where(Message.conversation_id == source.id)
    found = list(await session.scalars(its.where(is_chosen).order_by(Message.id.desc())))
    if not wanted.issubset(found):
        raise MessageElsewhere
    if await session.scalar(its.where(not_(is_chosen)).limit(1)) is None:
        raise SplitTakesAll
    return found


def _split_off(source: Conversation, newest: Message, keys: AccountKeys) -> Conversation:
    """A conversation of the same buyer, about what the newest message says. Its counts come later, from its messages."""
    conversation_id = new_id()
    of_source = Opener(keys, "conversations", source.id)

    def sealed(column: str, words: str | None) -> Sealed | None:
        return (
            None if words is None else keys.seal_text(Place("conversations", column, conversation_id), words)
        )

    return Conversation(
        id=conversation_id,
        account_id=source.account_id,
        integration_id=source.integration_id,
        buyer_key=source.buyer_key,
        buyer_name=sealed("buyer_name", of_source.text("buyer_name", source.buyer_name)),
        buyer_address=sealed("buyer_address", of_source.text("buyer_address", source.buyer_address)),
        subject=sealed("subject", Opener(keys, "messages", newest.id).text("subject", newest.subject)),
        last_message_at=newest.received_at,
        status=ConversationStatus.OPEN if source.status == ConversationStatus.SNOOZED else source.status,
        is_unread=source.is_unread,
        assignee_id=source.assignee_id,
        tag_ids=source.tag_ids,
    )
