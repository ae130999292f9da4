"""The SQL of understanding stored messages anew."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, insert, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.mailrelay.delivery import queries
from shared.conversations import Threads, follow_threads, lock, move
from shared.events import MAIL_CHANNEL
from shared.tables import (
    AcceptedMail,
    Attachment,
    Conversation,
    MailState,
    Message,
)

# Locked in one statement; the workers deliver them in their batches.
_HELD_A_BATCH: Final = 500


async def count_older(session: AsyncSession, version: int) -> int:
    """How many messages an older parser understood."""
    statement = select(func.count()).select_from(Message).where(Message.parser_version < version)
    return await session.scalar(statement) or 0


async def older(session: AsyncSession, version: int, *, after: UUID, limit: int) -> Sequence[Message]:
    """The next messages that an older parser understood, by their ids."""
    statement = (
        select(Message)
        .where(Message.parser_version < version, Message.id > after)
        .order_by(Message.id)
        .limit(limit)
    )
    return (await session.scalars(statement)).all()


async def raw_of(session: AsyncSession, accepted_mail_ids: Sequence[UUID]) -> dict[UUID, AcceptedMail]:
    """The accepted mails behind messages; what was erased is missing."""
    statement = select(AcceptedMail).where(AcceptedMail.id.in_(accepted_mail_ids))
    return {mail.id: mail for mail in await session.scalars(statement)}


async def attachments_of(session: AsyncSession, message_ids: Sequence[UUID]) -> dict[UUID, list[Attachment]]:
    """In the order of their positions."""
    statement = select(Attachment).where(Attachment.message_id.in_(message_ids)).order_by(Attachment.position)
    found: dict[UUID, list[Attachment]] = {}
    for attachment in await session.scalars(statement):
        found.setdefault(attachment.message_id, []).append(attachment)
    return found


async def mark_understood(session: AsyncSession, message_ids: Sequence[UUID], version: int) -> None:
    """This version understands them as the last one did."""
    await session.execute(update(Message).where(Message.id.in_(message_ids)).values(parser_version=version))


async def still_older(session: AsyncSession, message_id: UUID, version: int) -> Any:
    """Lock a message, if nobody else has understood it meanwhile: where it is, and who put it there."""
    statement = (
        select(Message.conversation_id, Message.placed_by)
        .where(Message.id == message_id, Message.parser_version < version)
        .with_for_update()
    )
    return (await session.execute(statement)).one_or_none()


async def change(session: AsyncSession, message_id: UUID, columns: dict[str, Any]) -> None:
    """Write what is understood now over what was."""
    await session.execute(update(Message).where(Message.id == message_id).values(columns))


async def replace_attachments(
    session: AsyncSession,
    message_id: UUID,
    kept: Sequence[dict[str, Any]],
    new: Sequence[dict[str, Any]],
) -> None:
    """Those that are kept get their new columns, the others go. `kept` holds ids."""
    kept_ids = [row["id"] for row in kept]
    await session.execute(
        delete(Attachment).where(Attachment.message_id == message_id, Attachment.id.not_in(kept_ids))
    )
    # Out of the way: two may change places, and places are unique.
    await session.execute(
        update(Attachment)
        .where(Attachment.message_id == message_id)
        .values(position=-1 - Attachment.position)
    )
    for row in kept:
        columns = {name: value for name, value in row.items() if name != "id"}
        await session.execute(update(Attachment).where(Attachment.id == row["id"]).values(columns))
    if new:
        await session.execute(insert(Attachment), list(new))


async def status_of(session: AsyncSession, conversation_id: UUID) -> str | None:
    """Of a conversation."""
    return await session.scalar(select(Conversation.status).where(Conversation.id == conversation_id))


async def is_alone(session: AsyncSession, message_id: UUID, conversation_id: UUID) -> bool:
    """Whether the conversation has no other message."""
    statement = select(Message.id).where(Message.conversation_id == conversation_id, Message.id != message_id)
    return (await session.scalars(statement.limit(1))).first() is None


async def find_place(
    session: AsyncSession, threads: Threads, current_id: UUID, opened: dict[str, Any]
) -> UUID:
    """The conversation to which a message's threads lead now, locked with the current one. `opened` is the row of a new one."""
    [conversation_id] = await follow_threads(session, [threads])
    if conversation_id != current_id and conversation_id == opened["id"]:
        await queries.open_conversations(session, [opened | {"message_count": 0}])
    await lock(session, current_id, conversation_id)
    return conversation_id


async def move_one(session: AsyncSession, message_id: UUID, source_id: UUID, target_id: UUID) -> None:
    """A conversation that has nothing left is a sign-post, as a merged one is."""
    await move(session, [message_id], source_id, target_id, by=None)
    await session.execute(
        update(Conversation)
        .where(Conversation.id == source_id, Conversation.message_count == 0)
        .values(merged_into=target_id, answer_due_at=None, is_unread=False)
    )


async def name_buyer(session: AsyncSession, conversation_id: UUID, row: dict[str, Any]) -> None:
    """Fill in what a conversation did not know of its buyer and subject; sealed for it."""
    columns = (
        Conversation.buyer_key,
        Conversation.buyer_name,
        Conversation.buyer_address,
        Conversation.subject,
    )
    known = {
        column.key: func.coalesce(column, literal(row[column.key], column.type))
        for column in columns
        if row[column.key] is not None
    }
    if known:
        await session.execute(update(Conversation).where(Conversation.id == conversation_id).values(known))


async def count_held(session: AsyncSession) -> int:
    """How many mails are held."""
    statement = select(func.count()).select_from(AcceptedMail).where(AcceptedMail.state == MailState.HELD)
    return await session.scalar(statement) or 0


async def let_go(session: AsyncSession) -> int:
    """Some held mails are due again, as if nothing had been tried; how many."""
    held = (
        select(AcceptedMail.id)
        .where(AcceptedMail.state == MailState.HELD)
        .limit(_HELD_A_BATCH)
        .with_for_update(skip_locked=True)
    )
    ids = (await session.scalars(held)).all()
    if ids:
        await session.execute(
            update(AcceptedMail)
            .where(AcceptedMail.id.in_(ids))
            .values(state=MailState.ACCEPTED, attempts=0, failure_code=None, next_attempt_at=func.now())
        )
        await session.execute(text(f"NOTIFY {MAIL_CHANNEL}"))
    return len(ids)
