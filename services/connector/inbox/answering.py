"""What a conversation's page tells beside its messages: whether the buyer can be answered, who is just writing, and where Amazon has the thread.

Reads columns; the buyer's address is opened for its tag alone (`unsealing`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.inbox.answerable import AnswerFacts
from shared.crypto.envelope import Sealed
from shared.replies import answered_message_id
from shared.tables import (
    Conversation,
    ConversationMerge,
    Integration,
    Message,
    RelayAddress,
    ReplyDraft,
    User,
)

# Pages say every few seconds that somebody types.
WRITES_FOR: Final = timedelta(seconds=30)
# From then on what merging has changed is forgotten.
UNDONE_WITHIN: Final = timedelta(days=30)
# More are not named.
_MOST_WRITERS: Final = 20


class Writer(NamedTuple):
    """A colleague who is writing an answer."""

    user_id: UUID
    name: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Answering:
    """`message_id` is the buyer's message that an answer would answer, `sender_address` where it came from, sealed.

    `undoable_merge_id`: the newest merge into the conversation, as long as it can be undone.
    """

    facts: AnswerFacts
    message_id: UUID | None
    sender_address: Sealed | None
    writers: list[Writer]
    undoable_merge_id: UUID | None


async def answer_facts_of(
    session: AsyncSession, account_id: UUID, conversation_id: UUID
) -> tuple[AnswerFacts, UUID | None]:
    """What decides whether the buyer can be answered, and the message that an answer would answer. The conversation must be the account's."""
    store = (
        await session.execute(
            select(
                Conversation.status,
                Integration.removed_at,
                Integration.disconnected_at,
                Integration.paused_at,
                exists()
                .where(RelayAddress.integration_id == Integration.id, RelayAddress.retired_at.is_(None))
                .label("has_relay_address"),
            )
            .join(Integration, Integration.id == Conversation.integration_id)
            .where(Conversation.id == conversation_id, Conversation.account_id == account_id)
        )
    ).one()
    message_id = await answered_message_id(session, account_id, conversation_id)
    facts = AnswerFacts(
        status=store.status,
        is_erased=store.removed_at is not None,
        is_disconnected=store.disconnected_at is not None,
        is_paused=store.paused_at is not None,
        has_relay_address=store.has_relay_address,
        has_buyer_message=message_id is not None,
    )
    return facts, message_id


async def answering_of(
    session: AsyncSession, account_id: UUID, conversation_id: UUID, *, reader_id: UUID, now: datetime
) -> Answering:
    """The conversation must be the account's. `reader_id` is not told of themselves."""
    facts, message_id = await answer_facts_of(session, account_id, conversation_id)
    sender_address = None
    if message_id is not None:
        sender_address = await session.scalar(
            select(Message.sender_address).where(Message.id == message_id, Message.account_id == account_id)
        )
    undoable = (
        select(ConversationMerge.id)
        .where(
            ConversationMerge.target_id == conversation_id,
            ConversationMerge.account_id == account_id,
            ConversationMerge.undone_at.is_(None),
            ConversationMerge.merged_at > now - UNDONE_WITHIN,
        )
        .order_by(ConversationMerge.id.desc())
        .limit(1)
    )
    writers = await session.execute(
        select(User.id, User.name, ReplyDraft.typed_at)
        .join(User, User.id == ReplyDraft.user_id)
        .where(
            ReplyDraft.conversation_id == conversation_id,
            ReplyDraft.account_id == account_id,
            ReplyDraft.user_id != reader_id,
            ReplyDraft.typed_at > now - WRITES_FOR,
        )
        .order_by(ReplyDraft.typed_at.desc())
        .limit(_MOST_WRITERS)
    )
    return Answering(
        facts,
        message_id,
        sender_address,
        [Writer._make(row) for row in writers],
        await session.scalar(undoable),
    )
