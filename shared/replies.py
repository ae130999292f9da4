"""What both services do to replies: which state may follow which, and what follows for the conversation's clock.

Runs inside the caller's transaction. Rows are locked in the order of shared.conversations, and the reply's row last.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared import conversations
from shared.channels import REPLY_CHANNEL
from shared.conversations import BUYER_MESSAGE, Answering
from shared.events import EventKind, announce_all, event_of
from shared.tables import Authenticity, Message, OutboundMessage, ReplyState

# From which states a reply may come into each.
BEFORE: Final[Mapping[ReplyState, frozenset[ReplyState]]] = {
    # An agent sends it at once, or once more.
    ReplyState.QUEUED: frozenset({ReplyState.SCHEDULED, ReplyState.FAILED, ReplyState.PERHAPS_SENT}),
    ReplyState.SENDING: frozenset({ReplyState.SCHEDULED, ReplyState.QUEUED, ReplyState.DELAYED}),
    ReplyState.DELAYED: frozenset({ReplyState.SENDING}),
    ReplyState.PERHAPS_SENT: frozenset({ReplyState.SENDING}),
    # The server's word may be stored so late that another worker has thought the claim was over.
    ReplyState.HANDED_OVER: frozenset({ReplyState.SENDING, ReplyState.PERHAPS_SENT}),
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


async def change_state(
    session: AsyncSession,
    reply: Reply,
    to: ReplyState,
    *,
    only_if: Sequence[ColumnElement[bool]] = (),
    **values: Any,
) -> bool:
    """Bring a reply into a state, with the columns that go with it. False, and nothing is changed, if its present state, or one of
    `only_if`, forbids it.

    Handed over, it stops the clock of what it answers; failed, the clock goes on. The event is announced.
    """
    return reply.id in await change_states(session, [reply], to, only_if=only_if, **values)


async def change_states(
    session: AsyncSession,
    replies: Sequence[Reply],
    to: ReplyState,
    *,
    only_if: Sequence[ColumnElement[bool]] = (),
    **values: Any,
) -> frozenset[UUID]:
    """`change_state` for several replies, with the same columns; the ids of those that were changed."""
    await conversations.lock(session, *{reply.conversation_id for reply in replies})
    changed = await session.execute(
        update(OutboundMessage)
        .where(
            OutboundMessage.id.in_([reply.id for reply in replies]),
            OutboundMessage.account_id.in_({reply.account_id for reply in replies}),
            OutboundMessage.state.in_([state.value for state in BEFORE[to]]),
            *only_if,
        )
        .values(
            state=to.value,
            state_since=func.now(),
            # What somebody has left at that was something else.
            dismissed_at=None,
            **({"claimed_until": None} if to is not ReplyState.SENDING else {}),
            **({"failure": None} if to is not ReplyState.FAILED else {}),
            **values,
        )
        .returning(OutboundMessage.id, OutboundMessage.answers_message_id, OutboundMessage.conversation_id)
    )
    rows = {row.id: row for row in changed}
    # Where they are now: an agent may have merged conversations since the caller read of them.
    moved = [
        reply._replace(conversation_id=rows[reply.id].conversation_id)
        for reply in replies
        if reply.id in rows
    ]
    if not moved:
        return frozenset()
    if any(reply not in replies for reply in moved):
        await conversations.lock(session, *{reply.conversation_id for reply in moved})
    if to in {ReplyState.HANDED_OVER, ReplyState.CONFIRMED}:
        await conversations.answer(
            session,
            [
                Answering(reply.conversation_id, reply.id, rows[reply.id].answers_message_id)
                for reply in moved
            ],
        )
    elif to is ReplyState.FAILED:
        for reply in moved:
            await conversations.take_answer_back(session, reply.conversation_id, reply.id)
    await _announce(session, moved, to)
    return frozenset(rows)


async def announce(session: AsyncSession, reply: Reply, state: ReplyState) -> None:
    """Announce a reply that has come into a state, and its conversation, whose clock may have changed."""
    await _announce(session, [reply], state)


async def _announce(session: AsyncSession, replies: Sequence[Reply], state: ReplyState) -> None:
    kind = _ANNOUNCED_AS.get(state, EventKind.REPLY_CHANGED)
    events = []
    for reply in replies:
        ids = {"integration_id": reply.integration_id, "conversation_id": reply.conversation_id}
        events.append(event_of(reply.account_id, kind, **ids, reply_id=reply.id))
        events.append(event_of(reply.account_id, EventKind.CONVERSATION_CHANGED, **ids))
    await announce_all(session, events)


async def announce_due(session: AsyncSession) -> None:
    """Tell the mail workers, when the caller's transaction commits, that a reply waits to be sent, now or at its time.

    Said of every reply that comes into `queued` or `scheduled`, or whose time changes. Unheard, it costs seconds: workers look by themselves.
    """
    await session.execute(select(func.pg_notify(REPLY_CHANNEL, "")))


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
