"""What both services do to conversations: find the one that a mail joins, merge, move, release, settle, answer.

Runs inside the caller's transaction. Rows are locked in one order everywhere: threads by their keys, conversations by their ids,
integrations. So a mail that arrives meanwhile is either moved with the others, or finds the new place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    LargeBinary,
    Select,
    Uuid,
    any_,
    bindparam,
    case,
    delete,
    func,
    literal,
    null,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.tables import (
    Authenticity,
    Conversation,
    ConversationOrder,
    ConversationStatus,
    ConversationThread,
    Integration,
    Message,
    Note,
    OutboundMessage,
    ReplyState,
)

# The kind of message that a conversation is listed by, and that waits for an answer (mailrelay's MailKind).
BUYER_MESSAGE: Final = "buyer_message"
AUTO_REPLY: Final = "auto_reply"
# That a reply has arrived is seen on the reply: nobody has to read the notice.
REPLY_CONFIRMATION: Final = "reply_confirmation"
# Kinds of messages that are about one order or product; others stand together by their sender, whatever they are about.
ABOUT_ONE_ORDER: Final = frozenset({BUYER_MESSAGE, AUTO_REPLY, "claim_notice", "return_notice"})

_OPEN: Final = {"status": ConversationStatus.OPEN.value, "snoozed_until": None}
# The conversation to which each thread of an integration leads.
Leads = dict[tuple[UUID, bytes], UUID]

# All that a conversation's columns say of its messages. The order is that of the first message that names one.
_RECOUNT: Final = text(
    "WITH its AS (SELECT * FROM messages WHERE conversation_id = :id)"
    " UPDATE conversations SET"
    " message_count = (SELECT count(*) FROM its),"
    " last_message_at = coalesce((SELECT max(received_at) FROM its WHERE kind <> :not_read), last_message_at),"
    " kind = coalesce((SELECT kind FROM its ORDER BY kind = :buyer_message DESC, id DESC LIMIT 1), kind),"
    " order_id = coalesce((SELECT order_ids[1] FROM its WHERE kind = ANY(:about_one_order) AND order_ids <> '{}'"
    " ORDER BY id LIMIT 1), order_id),"
    " asin = coalesce((SELECT asin FROM its WHERE kind = ANY(:about_one_order) AND asin IS NOT NULL"
    " ORDER BY id LIMIT 1), asin),"
    " (snippet, snippet_message_id) = (SELECT snippet, id FROM its WHERE kind <> :not_read"
    " ORDER BY received_at DESC, id DESC LIMIT 1),"
    " country = coalesce((SELECT country FROM its WHERE country IS NOT NULL ORDER BY id LIMIT 1), country),"
    " has_files = coalesce((SELECT bool_or(attachment_count > 0) FROM its), false),"
    " answer_due_at = CASE WHEN status <> 'quarantine' AND merged_into IS NULL"
    " THEN (SELECT min(answer_due_at) FROM its WHERE answer_settled_at IS NULL) END"
    " WHERE id = :id"
)


# The update changes nothing, but locks. A row that was there has just been locked, and its xmax says so.
_CLAIM_THREADS: Final = text(
    "INSERT INTO conversation_threads AS known (integration_id, thread_key, account_id, conversation_id)"
    " SELECT * FROM unnest(CAST(:integrations AS uuid[]), CAST(:threads AS bytea[]), CAST(:accounts AS uuid[]),"
    " CAST(:conversations AS uuid[]))"
    " ON CONFLICT (integration_id, thread_key) DO UPDATE SET conversation_id = known.conversation_id"
    " RETURNING integration_id, thread_key, conversation_id, xmax = 0 AS is_new"
)


_ANSWER: Final = text(
    "UPDATE messages SET answer_settled_at = now(), answered_by = reply.id"
    " FROM unnest(CAST(:conversations AS uuid[]), CAST(:answered AS uuid[]), CAST(:replies AS uuid[]))"
    " AS reply (conversation_id, answered_id, id)"
    " WHERE messages.conversation_id = reply.conversation_id AND messages.id <= reply.answered_id"
    " AND messages.answer_due_at IS NOT NULL AND messages.answer_settled_at IS NULL"
)


@dataclass(frozen=True, slots=True)
class Threads:
    """The threads of one mail, the surest first, and the conversation that it is in, or opens if none of them leads to one."""

    account_id: UUID
    integration_id: UUID
    keys: tuple[bytes, ...]
    own: UUID


class Answering(NamedTuple):
    """A reply, and the message that it answers."""

    conversation_id: UUID
    reply_id: UUID
    answered_id: UUID


async def follow_threads(session: AsyncSession, mails: Sequence[Threads]) -> list[UUID]:
    """The conversation of each mail: where its surest thread leads that leads anywhere, else its own.

    From then on, all threads of a mail lead somewhere: those that led nowhere, to its conversation. They stay locked, so a
    conversation that is found stays where it is until the transaction ends. Of a conversation that is new, the row must be
    inserted before that.
    """
    assumed, placed = follow(mails)
    if not assumed:
        return placed
    account_of = {mail.integration_id: mail.account_id for mail in mails}
    ordered = sorted(assumed.items())
    stored = await session.execute(
        _CLAIM_THREADS,
        {
            "integrations": [integration_id for (integration_id, _), _ in ordered],
            "threads": [key for (_, key), _ in ordered],
            "accounts": [account_of[integration_id] for (integration_id, _), _ in ordered],
            "conversations": [conversation_id for _, conversation_id in ordered],
        },
    )
    known: Leads = {
        (row.integration_id, bytes(row.thread_key)): row.conversation_id for row in stored if not row.is_new
    }
    leads, placed = follow(mails, known)
    await _lead(session, {key: to for key, to in leads.items() if key not in known and to != assumed[key]})
    return placed


def follow(mails: Sequence[Threads], known: Leads | None = None) -> tuple[Leads, list[UUID]]:
    """Where all threads lead after these mails, and the conversation of each. Pure: the rule of `follow_threads`."""
    leads, placed = dict(known or {}), []
    for mail in mails:
        keys = [(mail.integration_id, key) for key in mail.keys]
        conversation_id = next((leads[key] for key in keys if key in leads), mail.own)
        for key in keys:
            leads.setdefault(key, conversation_id)
        placed.append(conversation_id)
    return leads, placed


async def _lead(session: AsyncSession, leads: Leads) -> None:
    if not leads:
        return
    statement = (
        update(ConversationThread)
        .where(
            ConversationThread.integration_id == bindparam("integration"),
            ConversationThread.thread_key == bindparam("thread"),
        )
        .values(conversation_id=bindparam("conversation"))
    )
    connection = await session.connection()
    await connection.execute(
        statement,
        [
            {"integration": integration_id, "thread": key, "conversation": conversation_id}
            for (integration_id, key), conversation_id in sorted(leads.items())
        ],
    )


async def lock(session: AsyncSession, *conversation_ids: UUID) -> None:
    """Nobody else changes these conversations, nor adds messages to them, until the transaction ends."""
    await session.execute(
        select(literal(1))
        .where(ConversationThread.conversation_id.in_(conversation_ids))
        .order_by(ConversationThread.integration_id, ConversationThread.thread_key)
        .with_for_update()
    )
    await session.execute(
        select(literal(1))
        .where(Conversation.id.in_(conversation_ids))
        .order_by(Conversation.id)
        .with_for_update()
    )


async def merge(session: AsyncSession, source_id: UUID, target_id: UUID, *, by: UUID | None = None) -> None:
    """All messages and notes of the source go to the target, and later mails of its threads, too. `by` is the agent who wants it so.

    Both must be of one integration, and locked.
    """
    moved = {"conversation_id": target_id} | ({} if by is None else {"placed_by": by})
    proven = await _proven(session, source_id, target_id)
    await session.execute(update(Message).where(Message.conversation_id == source_id).values(moved))
    await session.execute(
        update(Note).where(Note.conversation_id == source_id).values(conversation_id=target_id)
    )
    await session.execute(
        update(ConversationThread)
        .where(ConversationThread.conversation_id == source_id)
        .values(conversation_id=target_id)
    )
    source = (
        await session.execute(
            select(
                Conversation.status,
                Conversation.is_unread,
                Conversation.buyer_key,
                Conversation.assignee_id,
                Conversation.tag_ids,
            ).where(Conversation.id == source_id)
        )
    ).one()
    tags = await session.scalar(select(Conversation.tag_ids).where(Conversation.id == target_id))
    await session.execute(
        update(Conversation).where(Conversation.merged_into == source_id).values(merged_into=target_id)
    )
    await session.execute(
        update(Conversation)
        .where(Conversation.id == source_id)
        .values(
            merged_into=target_id,
            answer_due_at=None,
            message_count=0,
            is_unread=False,
            snippet=None,
            snippet_message_id=None,
        )
    )
    opens = {} if source.status == ConversationStatus.CLOSED else _OPEN
    await session.execute(
        update(Conversation)
        .where(Conversation.id == target_id)
        .values(
            is_unread=Conversation.is_unread | source.is_unread,
            assignee_id=func.coalesce(Conversation.assignee_id, source.assignee_id),
            tag_ids=list(dict.fromkeys([*(tags or []), *source.tag_ids])),
            buyer_key=_buyer_key(
                source.buyer_key,
                is_source_proven=source_id in proven,
                is_target_proven=target_id in proven,
            ),
            **opens,
        )
    )
    await _move_orders(session, source_id, target_id)
    await recount(session, target_id)


async def _proven(session: AsyncSession, *conversation_ids: UUID) -> set[UUID]:
    """Those of the conversations in which a message is proven to be Amazon's."""
    found = select(Message.conversation_id).where(
        Message.conversation_id.in_(conversation_ids),
        Message.authenticity == Authenticity.AUTHENTIC.value,
    )
    return set(await session.scalars(found.distinct()))


def _buyer_key(
    of_source: bytes | None, *, is_source_proven: bool, is_target_proven: bool
) -> ColumnElement[bytes | None]:
    """The target's buyer. A released forgery may name anybody: beside proven messages, its buyer would show what that person bought."""
    if is_source_proven == is_target_proven:
        return func.coalesce(Conversation.buyer_key, of_source)
    return literal(of_source, LargeBinary) if is_source_proven else Conversation.buyer_key.expression


async def move(
    session: AsyncSession, message_ids: Sequence[UUID], source_id: UUID, target_id: UUID, *, by: UUID | None
) -> None:
    """These messages of the source go to the target, and later mails of threads that no other message of the source has.

    Both must be locked; the target may be new and empty.
    """
    moved = {"conversation_id": target_id} | ({} if by is None else {"placed_by": by})
    # As an array: a statement has room for some ten thousand values, and a conversation may have more messages.
    is_one = Message.id == any_(literal(list(message_ids), ARRAY(Uuid)))
    await session.execute(update(Message).where(is_one, Message.conversation_id == source_id).values(moved))
    of_source = select(func.unnest(Message.thread_keys)).where(Message.conversation_id == source_id)
    of_target = select(func.unnest(Message.thread_keys)).where(Message.conversation_id == target_id)
    await session.execute(
        update(ConversationThread)
        .where(
            ConversationThread.conversation_id == source_id,
            ConversationThread.thread_key.in_(of_target),
            ConversationThread.thread_key.not_in(of_source),
        )
        .values(conversation_id=target_id)
    )
    await name_orders(session, target_id)
    orders = select(func.unnest(Message.order_ids))
    await session.execute(
        delete(ConversationOrder).where(
            ConversationOrder.conversation_id == source_id,
            ConversationOrder.order_id.in_(orders.where(Message.conversation_id == target_id)),
            ConversationOrder.order_id.not_in(orders.where(Message.conversation_id == source_id)),
        )
    )
    await recount(session, source_id)
    await recount(session, target_id)


async def release(session: AsyncSession, message_id: UUID) -> UUID:
    """Let a message out of quarantine, into the conversation that it belongs to; the id of that one.

    A message that is in no quarantine stays where it is.
    """
    found = select(
        Message.account_id,
        Message.integration_id,
        Message.conversation_id,
        Message.thread_keys,
        Message.kind,
        Message.received_at,
    ).where(Message.id == message_id)
    message = (await session.execute(found)).one()
    quarantine_id: UUID = message.conversation_id
    status = select(Conversation.status).where(Conversation.id == quarantine_id)
    if await session.scalar(status) != ConversationStatus.QUARANTINE:
        return quarantine_id
    threads = Threads(message.account_id, message.integration_id, tuple(message.thread_keys), quarantine_id)
    [conversation_id] = await follow_threads(session, [threads])
    await lock(session, quarantine_id, conversation_id)
    if await session.scalar(status) != ConversationStatus.QUARANTINE:  # somebody else has just done it
        now_in: UUID = (await session.execute(found)).one().conversation_id
        return now_in
    if conversation_id == quarantine_id:
        await session.execute(update(Conversation).where(Conversation.id == quarantine_id).values(_OPEN))
        await recount(session, quarantine_id)
    else:
        await merge(session, quarantine_id, conversation_id)
    if message.kind == BUYER_MESSAGE:
        await session.execute(
            update(Integration)
            .where(
                Integration.id == message.integration_id,
                or_(Integration.last_message_at.is_(None), Integration.last_message_at < message.received_at),
            )
            .values(last_message_at=message.received_at)
        )
    return conversation_id


async def settle(session: AsyncSession, *conversation_ids: UUID) -> None:
    """Nothing in these conversations waits for an answer any more. The next message of the buyer does again."""
    await lock(session, *conversation_ids)
    await session.execute(
        update(Message)
        .where(
            Message.conversation_id.in_(conversation_ids),
            Message.answer_due_at.is_not(None),
            Message.answer_settled_at.is_(None),
        )
        .values(answer_settled_at=func.now())
        .execution_options(synchronize_session=False)
    )
    await session.execute(
        update(Conversation)
        .where(Conversation.id.in_(conversation_ids))
        .values(answer_due_at=None)
        .execution_options(synchronize_session=False)
    )


async def unsettle(session: AsyncSession, conversation_ids: Sequence[UUID], settled_at: datetime) -> None:
    """What an agent settled in these conversations at that moment waits for an answer again. They must be locked."""
    await session.execute(
        update(Message)
        .where(
            Message.conversation_id.in_(conversation_ids),
            Message.answer_settled_at == settled_at,
            Message.answered_by.is_(None),
        )
        .values(answer_settled_at=None)
        .execution_options(synchronize_session=False)
    )
    await _set_due(session, conversation_ids)


async def answer(session: AsyncSession, answers: Sequence[Answering]) -> None:
    """Each reply has stopped the clock of the message that it answers, and of those before it. The conversations must be locked."""
    await session.execute(
        _ANSWER,
        {
            "conversations": [each.conversation_id for each in answers],
            "answered": [each.answered_id for each in answers],
            "replies": [each.reply_id for each in answers],
        },
    )
    await _set_due(session, [each.conversation_id for each in answers])


async def take_answer_back(session: AsyncSession, conversation_id: UUID, reply_id: UUID) -> None:
    """What only this reply seemed to have answered waits again, since when it came, and the conversation is open. It must be locked."""
    other = (
        select(OutboundMessage.id)
        .where(
            OutboundMessage.conversation_id == conversation_id,
            OutboundMessage.id != reply_id,
            OutboundMessage.state.in_([ReplyState.HANDED_OVER.value, ReplyState.CONFIRMED.value]),
            OutboundMessage.answers_message_id >= Message.id,
        )
        .order_by(OutboundMessage.id)
        .limit(1)
        .correlate(Message)
        .scalar_subquery()
    )
    await session.execute(
        update(Message)
        .where(Message.conversation_id == conversation_id, Message.answered_by == reply_id)
        .values(
            answered_by=other,
            answer_settled_at=case((other.is_(None), null()), else_=Message.answer_settled_at),
        )
        .execution_options(synchronize_session=False)
    )
    await session.execute(
        update(Conversation)
        .where(
            Conversation.id == conversation_id,
            Conversation.status.in_([ConversationStatus.CLOSED, ConversationStatus.SNOOZED]),
        )
        .values(_OPEN)
    )
    await _set_due(session, [conversation_id])


async def _set_due(session: AsyncSession, conversation_ids: Sequence[UUID]) -> None:
    due_at = (
        select(func.min(Message.answer_due_at))
        .where(Message.conversation_id == Conversation.id, Message.answer_settled_at.is_(None))
        .correlate(Conversation)
        .scalar_subquery()
    )
    await session.execute(
        update(Conversation)
        .where(
            Conversation.id.in_(conversation_ids),
            Conversation.merged_into.is_(None),
            Conversation.status != ConversationStatus.QUARANTINE,
        )
        .values(answer_due_at=due_at)
    )


async def recount(session: AsyncSession, conversation_id: UUID) -> None:
    """Let the conversation's columns say again what its messages are, after some came, went or changed."""
    await session.execute(
        _RECOUNT,
        {
            "id": conversation_id,
            "buyer_message": BUYER_MESSAGE,
            "not_read": REPLY_CONFIRMATION,
            "about_one_order": sorted(ABOUT_ONE_ORDER),
        },
    )


async def name_orders(session: AsyncSession, conversation_id: UUID) -> None:
    """The conversation is found by every order that its messages name, and has those that proven ones name."""
    named = (
        select(
            Message.account_id,
            func.unnest(Message.order_ids).label("order_id"),
            Message.conversation_id,
            (Message.authenticity == Authenticity.AUTHENTIC.value).label("is_proven"),
        )
        .where(Message.conversation_id == conversation_id)
        .subquery()
    )
    once = (named.c.account_id, named.c.order_id, named.c.conversation_id)
    await _link_orders(session, select(*once, func.bool_or(named.c.is_proven)).group_by(*once))


async def _move_orders(session: AsyncSession, source_id: UUID, target_id: UUID) -> None:
    orders = select(
        ConversationOrder.account_id,
        ConversationOrder.order_id,
        literal(target_id),
        ConversationOrder.is_proven,
    ).where(ConversationOrder.conversation_id == source_id)
    await _link_orders(session, orders)
    await session.execute(delete(ConversationOrder).where(ConversationOrder.conversation_id == source_id))


async def _link_orders(session: AsyncSession, orders: Select[Any, Any, Any, Any]) -> None:
    """`orders`: account, order, conversation, and whether it is proven. What is proven once stays so."""
    link = upsert(ConversationOrder).from_select(
        ["account_id", "order_id", "conversation_id", "is_proven"], orders
    )
    await session.execute(
        link.on_conflict_do_update(
            index_elements=["account_id", "order_id", "conversation_id"],
            set_={"is_proven": ConversationOrder.is_proven | link.excluded.is_proven},
        )
    )
