"""What agents have written goes with the messages that it is about, when conversations are merged or split: replies, their files, drafts.

Notes go in shared.conversations, because they may be at a mail that a mail worker lets out of quarantine; nobody answers there. The
conversations must be locked.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.inbox.unsealing import Opener
from shared.crypto.envelope import AccountKeys, Place
from shared.tables import Conversation, OutboundMessage, ReplyDraft, ReplyFile, ReplyState

_BETWEEN: Final = "\n\n"


async def merge_written(session: AsyncSession, keys: AccountKeys, source_id: UUID, target_id: UUID) -> None:
    """All of the source goes to the target. Of a user who has a draft in both, both texts are one draft; the source's stays
    where it is, so that they can be parted again.
    """
    for table in (OutboundMessage, ReplyFile):
        await session.execute(
            update(table).where(table.conversation_id == source_id).values(conversation_id=target_id)
        )
    drafts = select(ReplyDraft).order_by(ReplyDraft.id).with_for_update()
    in_target = {
        draft.user_id: draft
        for draft in await session.scalars(drafts.where(ReplyDraft.conversation_id == target_id))
    }
    for draft in (await session.scalars(drafts.where(ReplyDraft.conversation_id == source_id))).all():
        there = in_target.get(draft.user_id)
        if there is None:
            draft.conversation_id = target_id
            continue
        texts = [_text(keys, there), _text(keys, draft)]
        there.body_text = keys.seal_text(_place(there.id), _BETWEEN.join(text for text in texts if text))
        there.version = max(there.version, draft.version) + 1
        there.typed_at = max(there.typed_at, draft.typed_at)
        there.updated_at = max(there.updated_at, draft.updated_at)
    await _recount(session, source_id, target_id)


async def part_drafts(session: AsyncSession, keys: AccountKeys, source_id: UUID, target_id: UUID) -> None:
    """Two drafts that merging joined are two again. What was sent or written anew since has no part of the source's any more."""
    drafts = select(ReplyDraft).order_by(ReplyDraft.id).with_for_update()
    in_target = {
        draft.user_id: draft
        for draft in await session.scalars(drafts.where(ReplyDraft.conversation_id == target_id))
    }
    for draft in (await session.scalars(drafts.where(ReplyDraft.conversation_id == source_id))).all():
        joined, words = in_target.get(draft.user_id), _text(keys, draft)
        if not words:
            continue
        before, own, after = _text(keys, joined).rpartition(words) if joined else ("", "", "")
        if joined is None or not own:
            await session.delete(draft)
            continue
        joined.body_text = keys.seal_text(_place(joined.id), before.removesuffix(_BETWEEN) + after)
        joined.version += 1
    await session.flush()


async def move_written(
    session: AsyncSession, message_ids: Sequence[UUID], source_id: UUID, target_id: UUID
) -> None:
    """Replies to these messages go to the target, with their files. What is not sent yet stays where it is being written."""
    # As an array: a statement has room for some ten thousand values, and a conversation may have more messages.
    answers_one = OutboundMessage.answers_message_id == any_(literal(list(message_ids), ARRAY(Uuid)))
    moved = (
        await session.scalars(
            update(OutboundMessage)
            .where(OutboundMessage.conversation_id == source_id, answers_one)
            .values(conversation_id=target_id)
            .returning(OutboundMessage.id)
        )
    ).all()
    if moved:
        is_of_one = ReplyFile.outbound_message_id == any_(literal(list(moved), ARRAY(Uuid)))
        await session.execute(update(ReplyFile).where(is_of_one).values(conversation_id=target_id))
    await _recount(session, source_id, target_id)


async def _recount(session: AsyncSession, *conversation_ids: UUID) -> None:
    await session.flush()
    last_reply_at = (
        select(func.max(OutboundMessage.created_at))
        .where(
            OutboundMessage.conversation_id == Conversation.id,
            OutboundMessage.state != ReplyState.CANCELED.value,
        )
        .correlate(Conversation)
        .scalar_subquery()
    )
    await session.execute(
        update(Conversation)
        .where(Conversation.id.in_(conversation_ids))
        .values(last_reply_at=last_reply_at)
        .execution_options(synchronize_session=False)
    )


def _text(keys: AccountKeys, draft: ReplyDraft) -> str:
    return Opener(keys, "reply_drafts", draft.id).text("body_text", draft.body_text) or ""


def _place(draft_id: UUID) -> Place:
    return Place("reply_drafts", "body_text", draft_id)
