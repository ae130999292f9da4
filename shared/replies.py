"""What both services do to replies: which state may follow which, and what follows for the conversation's clock.

Runs inside the caller's transaction. Rows are locked in the order of shared.conversations, and the reply's row last.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared import conversations
from shared.conversations import BUYER_MESSAGE
from shared.events import EventKind, announce_all, event_of
from shared.tables import Authenticity, Message, OutboundMessage, ReplyState

# From which states a reply may come into each.
BEFORE: Final[Mapping[ReplyState, frozenset[ReplyState]]] = {
    # An agent sends it at once, or once more.
    ReplyState.QUEUED: frozenset({ReplyState.SCHEDULED, ReplyState.FAILED, ReplyState.PERHAPS_SENT}),
    ReplyState.SENDING: frozenset({ReplyState.SCHEDULED, ReplyState.QUEUED, ReplyState.DELAYED}),
    ReplyState.DELAYED: frozenset({ReplyState.SENDING}),
    ReplyState.PERHAPS_SENT: frozenset({ReplyState.SENDING}),
    ReplyState.HANDED_OVER: frozenset({ReplyState.SENDING}),
    # Amazon's notice may be faster than our own note of the hand-over.
    ReplyState.CONFIRMED: frozenset({ReplyState.SENDING, ReplyState.HANDED_OVER, ReplyState.PERHAPS_SENT}),
    # A failure mail is right whatever was believed before.
    ReplyState.FAILED: frozenset(
        {
            ReplyState.SCHEDULED,
            ReplyState.QUEUED,
            ReplyState.DELAYED,
            ReplyState.SENDING,
            ReplyState.HANDED_OVER,
            ReplyState.PERHAPS_SENT,
            ReplyState.CONFIRMED,
        }
    ),
    ReplyState.CANCELED: frozenset({ReplyState.SCHEDULED, ReplyState.QUEUED, ReplyState.DELAYED}),
}
_ANNOUNCED_AS: Final[Mapping[ReplyState, EventKind]] = {
    ReplyState.HANDED_OVER: EventKind.REPLY_HANDED_OVER,
    ReplyState.CONFIRMED: EventKind.REPLY_CONFIRMED,
    ReplyState.FAILED: EventKind.REPLY_FAILED,
    ReplyState.PERHAPS_SENT: EventKind.REPLY_PERHAPS_SENT,
}


class Reply(NamedTuple):
    """Which reply, and where it belongs."""

    id: UUID
    account_id: UUID
    integration_id: UUID
    conversation_id: UUID


async def change_state(session: AsyncSession, reply: Reply, to: ReplyState, **values: Any) -> bool:
    """Bring a reply into a state, with the columns that go with it. False, and nothing is changed, if its present state forbids it.

    With the buyer, or perhaps, it stops the clock of what it answers; failed, the clock goes on. The event is announced.
    """
    await conversations.lock(session, reply.conversation_id)
    changed = await session.execute(
        update(OutboundMessage)
        .where(
            OutboundMessage.id == reply.id,
            OutboundMessage.account_id == reply.account_id,
            OutboundMessage.state.in_([state.value for state in BEFORE[to]]),
        )
        .values(
            state=to.value,
            state_since=func.now(),
            **({"claimed_until": None} if to is not ReplyState.SENDING else {}),
            **({"failure": None} if to is not ReplyState.FAILED else {}),
            **values,
        )
        .returning(OutboundMessage.created_at, OutboundMessage.answers_message_id)
    )
    row = changed.one_or_none()
    if row is None:
        return False
    if to in {ReplyState.HANDED_OVER, ReplyState.CONFIRMED, ReplyState.PERHAPS_SENT}:
        await conversations.answer(session, reply.conversation_id, reply.id, row.answers_message_id)
    elif to is ReplyState.FAILED:
        await conversations.take_answer_back(session, reply.conversation_id, reply.id)
    await announce(session, reply, to)
    return True


async def announce(session: AsyncSession, reply: Reply, state: ReplyState) -> None:
    """Announce a reply that has come into a state, and its conversation, whose clock may have changed."""
    ids = {"integration_id": reply.integration_id, "conversation_id": reply.conversation_id}
    await announce_all(
        session,
        [
            event_of(
                reply.account_id,
                _ANNOUNCED_AS.get(state, EventKind.REPLY_CHANGED),
                **ids,
                reply_id=reply.id,
            ),
            event_of(reply.account_id, EventKind.CONVERSATION_CHANGED, **ids),
        ],
    )


async def answered_message_id(session: AsyncSession, account_id: UUID, conversation_id: UUID) -> UUID | None:
    """The message that a reply in this conversation answers: the newest proven one of the buyer. None: nobody can be answered."""
    found: UUID | None = await session.scalar(
        select(Message.id)
        .where(
            Message.account_id == account_id,
            Message.conversation_id == conversation_id,
            Message.kind == BUYER_MESSAGE,
            Message.authenticity == Authenticity.AUTHENTIC.value,
        )
        .order_by(Message.id.desc())
        .limit(1)
    )
    return found
