"""The SQL of reprocessing. Every function runs inside its caller's transaction."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, insert, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.mailrelay.delivery import queries as delivery
from services.mailrelay.delivery.message_rows import AttachmentRow, ConversationRow, OpenedConversationRow
from shared.channels import MAIL_CHANNEL
from shared.conversations import Threads, follow_threads, lock, move
from shared.tables import (
    AcceptedMail,
    Attachment,
    Conversation,
    MailState,
    Message,
)

_ESTIMATE_MESSAGES: Final = text(
    "SELECT CAST(coalesce(sum(greatest(reltuples, 0)), 0) AS bigint)"
    " FROM pg_partition_tree('messages') JOIN pg_class ON pg_class.oid = relid WHERE isleaf"
)
# Of an attachment that a newer parser finds as it was.
_KEPT: Final = frozenset({"id", "message_id", "content", "blob_key", "blob_digest", "scan"})


async def estimate_messages(session: AsyncSession) -> int:
    """About how many messages there are, as PostgreSQL remembers it of its last ANALYZE: counting ten million takes minutes."""
    return await session.scalar(_ESTIMATE_MESSAGES) or 0


class MessageAt(NamedTuple):
    """A message on the way through all of them: which version of the parser made it, and how many bytes its mail has."""

    id: UUID
    parser_version: int
    size: int


async def next_messages(session: AsyncSession, *, after: UUID, limit: int) -> list[MessageAt]:
    """The next messages in the order of their ids, of every version: a filter could read millions before it found one."""
    statement = (
        select(Message.id, Message.parser_version, Message.size)
        .where(Message.id > after)
        .order_by(Message.id)
        .limit(limit)
    )
    return [MessageAt(*row) for row in await session.execute(statement)]


async def outdated_messages(
    session: AsyncSession, message_ids: Sequence[UUID], version: int
) -> Sequence[Message]:
    """Those of these messages that an older version of the parser has made, in the order of their ids."""
    statement = (
        select(Message)
        .where(Message.id.in_(message_ids), Message.parser_version < version)
        .order_by(Message.id)
    )
    return (await session.scalars(statement)).all()


async def accepted_mails_of(
    session: AsyncSession, accepted_mail_ids: Sequence[UUID]
) -> dict[UUID, AcceptedMail]:
    """The mails of which messages were made, by their ids; those that were erased are missing."""
    statement = select(AcceptedMail).where(AcceptedMail.id.in_(accepted_mail_ids))
    return {mail.id: mail for mail in await session.scalars(statement)}


async def attachments_of(session: AsyncSession, message_ids: Sequence[UUID]) -> dict[UUID, list[Attachment]]:
    """The attachments of each message, in the order of their positions."""
    statement = select(Attachment).where(Attachment.message_id.in_(message_ids)).order_by(Attachment.position)
    found: dict[UUID, list[Attachment]] = {}
    for attachment in await session.scalars(statement):
        found.setdefault(attachment.message_id, []).append(attachment)
    return found


async def mark_up_to_date(session: AsyncSession, message_ids: Sequence[UUID], version: int) -> None:
    """Note that this version of the parser makes the same of these messages as the last one did."""
    await session.execute(update(Message).where(Message.id.in_(message_ids)).values(parser_version=version))


class Placement(NamedTuple):
    """The conversation that a message is in, and the agent who has put it there, if one has."""

    conversation_id: UUID
    placed_by: UUID | None


async def lock_outdated(session: AsyncSession, message_id: UUID, version: int) -> Placement | None:
    """Lock a message, unless it is gone or was reprocessed meanwhile (None)."""
    statement = (
        select(Message.conversation_id, Message.placed_by)
        .where(Message.id == message_id, Message.parser_version < version)
        .with_for_update()
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else Placement(row.conversation_id, row.placed_by)


async def change_message(session: AsyncSession, message_id: UUID, columns: Mapping[str, object]) -> None:
    """Replace columns of a message."""
    await session.execute(update(Message).where(Message.id == message_id).values(**columns))


async def replace_attachments(
    session: AsyncSession,
    message_id: UUID,
    kept: Sequence[AttachmentRow],
    new: Sequence[AttachmentRow],
) -> list[str]:
    """Give those that are kept their new columns, remove the others, and add the new ones.

    What is kept has the same content as before, so what a scanner said of it stays true, too. The answer holds the blobs that no
    row names any more.
    """
    kept_ids = [row["id"] for row in kept]
    gone = await session.scalars(
        delete(Attachment)
        .where(Attachment.message_id == message_id, Attachment.id.not_in(kept_ids))
        .returning(Attachment.blob_key)
    )
    unnamed = [key for key in gone if key is not None]
    # Out of the way first: two attachments may swap positions, and positions are unique.
    await session.execute(
        update(Attachment)
        .where(Attachment.message_id == message_id)
        .values(position=-1 - Attachment.position)
    )
    for row in kept:
        columns = {name: value for name, value in row.items() if name not in _KEPT}
        await session.execute(
            update(Attachment)
            .where(Attachment.message_id == message_id, Attachment.id == row["id"])
            .values(columns)
        )
    if new:
        await session.execute(insert(Attachment), list(new))
    return unnamed


async def status_of(session: AsyncSession, conversation_id: UUID) -> str | None:
    """The status of a conversation, if it exists."""
    return await session.scalar(select(Conversation.status).where(Conversation.id == conversation_id))


async def is_alone(session: AsyncSession, message_id: UUID, conversation_id: UUID) -> bool:
    """Whether the conversation has no other message."""
    statement = select(Message.id).where(Message.conversation_id == conversation_id, Message.id != message_id)
    return (await session.scalars(statement.limit(1))).first() is None


async def find_conversation(
    session: AsyncSession, threads: Threads, current_id: UUID, opened: OpenedConversationRow
) -> UUID:
    """The conversation to which a message's threads lead now, locked with the current one. `opened` is the row of a new one."""
    [conversation_id] = await follow_threads(session, [threads])
    if conversation_id != current_id and conversation_id == opened["id"]:
        await delivery.open_conversations(session, [opened])
    await lock(session, current_id, conversation_id)
    return conversation_id


async def move_message(session: AsyncSession, message_id: UUID, source_id: UUID, target_id: UUID) -> None:
    """Move a message. A conversation that has no message left leads to the target, as a merged one does."""
    await move(session, [message_id], source_id, target_id, by=None)
    await session.execute(
        update(Conversation)
        .where(Conversation.id == source_id, Conversation.message_count == 0)
        .values(merged_into=target_id, answer_due_at=None, is_unread=False)
    )


async def fill_in_buyer(session: AsyncSession, row: ConversationRow) -> None:
    """Fill in what a conversation did not know of its buyer and subject; sealed for it."""
    found = {
        Conversation.buyer_key: row["buyer_key"],
        Conversation.buyer_name: row["buyer_name"],
        Conversation.buyer_address: row["buyer_address"],
        Conversation.subject: row["subject"],
    }
    new = {
        column.key: func.coalesce(column, literal(value, column.type))
        for column, value in found.items()
        if value is not None
    }
    if new:
        await session.execute(update(Conversation).where(Conversation.id == row["id"]).values(new))


class MailAt(NamedTuple):
    """An accepted mail, as far as going through all of them needs to know."""

    id: UUID
    is_held: bool


async def next_mails(session: AsyncSession, *, after: UUID, limit: int) -> list[MailAt]:
    """The next accepted mails in the order of their ids, in every state: few are held, and no index knows them."""
    statement = (
        select(AcceptedMail.id, AcceptedMail.state == MailState.HELD)
        .where(AcceptedMail.id > after)
        .order_by(AcceptedMail.id)
        .limit(limit)
    )
    return [MailAt(*row) for row in await session.execute(statement)]


async def requeue_held(session: AsyncSession, accepted_mail_ids: Sequence[UUID]) -> int:
    """Let those of these mails that are held be tried again from the beginning; the answer says how many."""
    statement = (
        update(AcceptedMail)
        .where(AcceptedMail.id.in_(accepted_mail_ids), AcceptedMail.state == MailState.HELD)
        .values(state=MailState.ACCEPTED, attempts=0, failure_code=None, next_attempt_at=func.now())
        .returning(AcceptedMail.id)
    )
    requeued = (await session.scalars(statement)).all()
    if requeued:
        await session.execute(text(f"NOTIFY {MAIL_CHANNEL}"))
    return len(requeued)
