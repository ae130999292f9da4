"""What agents do with conversations: close, reopen, mark, settle.

Each change holds the conversation, so that a mail that arrives meanwhile comes before or after it (shared.conversations); writes
who did it into the audit log; and publishes the event.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.http.etags import require_match, versions_in
from services.connector.inbox import queries
from services.connector.inbox.answering import answering_of
from services.connector.inbox.listing import ListedConversation
from services.connector.inbox.unsealing import ReadConversation, keys_of, open_answering
from services.connector.problems.catalogue import NotFound
from shared import conversations
from shared.crypto.envelope import AccountKeys
from shared.database import Sessions
from shared.errors import Expected
from shared.events import EventKind, announce
from shared.keyring import Keyring
from shared.tables import Conversation, ConversationStatus

_DIGEST_BYTES: Final = 4
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ConversationMerged(Expected):
    """The conversation was merged and is empty now; `into` is the id of the one that has its messages."""

    code = "conversation_merged"


class ConversationInQuarantine(Expected):
    """The conversation's mail must be released first, so that nobody answers it as a buyer's by mistake."""

    code = "conversation_in_quarantine"


@dataclass(frozen=True, slots=True)
class ConversationChanges:
    """What a caller wants to change; a None stays as it is."""

    status: ConversationStatus | None = None
    is_unread: bool | None = None


def version_of(row: Conversation | ListedConversation) -> int:
    """For ETag and If-Match: equal while nothing has happened that an agent's decision rests on.

    A new message is such a thing, and a reply of a colleague; that somebody has read it is not. It begins with the moment of the newest of
    them, so that who has an older version can be told what came since.
    """
    facts = (
        row.status,
        row.message_count,
        row.last_message_at.isoformat(),
        None if row.last_reply_at is None else row.last_reply_at.isoformat(),
        row.answer_due_at is None,
    )
    newest = max(at for at in (row.last_message_at, row.last_reply_at) if at is not None)
    digest = hashlib.sha256(repr(facts).encode()).digest()[:_DIGEST_BYTES]
    microseconds = (newest - _EPOCH) // timedelta(microseconds=1)
    return microseconds << (8 * _DIGEST_BYTES) | int.from_bytes(digest)


def seen_until(if_match: str) -> datetime | None:
    """Up to when whoever has this version has seen the conversation; None if it is none of ours."""
    moments = [version >> (8 * _DIGEST_BYTES) for version in versions_in(if_match)]
    try:
        return _EPOCH + timedelta(microseconds=max(moments)) if moments else None
    except OverflowError:
        return None


async def change(
    sessions: Sessions,
    keyring: Keyring,
    caller: Caller,
    conversation_id: UUID,
    changes: ConversationChanges,
    *,
    if_match: str | None,
) -> ReadConversation:
    """Close, reopen, mark as read or unread. What is so already is left alone.

    Raises NotFound, ConversationMerged, ConversationInQuarantine, PreconditionFailed.
    """
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        [conversation] = await lock_conversations(session, caller.account_id, conversation_id)
        require_match(if_match, version_of(conversation))
        is_changed = False
        if changes.status is not None and changes.status != conversation.status:
            refuse_quarantine(conversation)
            conversation.status = changes.status.value
            is_closed = changes.status is ConversationStatus.CLOSED
            if is_closed:
                await conversations.settle(session, conversation_id)
            action = "conversation.closed" if is_closed else "conversation.reopened"
            session.add(audit_entry(caller, action, conversation_id))
            is_changed = True
        if changes.is_unread is not None and changes.is_unread is not conversation.is_unread:
            conversation.is_unread = changes.is_unread
            is_changed = True
        if is_changed:
            await announce_change(session, conversation)
        return await read_changed(session, keys, caller, conversation_id)


async def settle_answers(
    sessions: Sessions, keyring: Keyring, caller: Caller, conversation_id: UUID
) -> ReadConversation:
    """Decide that no message of the conversation needs an answer any more; the buyer's next one may.

    Raises NotFound, ConversationMerged, ConversationInQuarantine.
    """
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        [conversation] = await lock_conversations(session, caller.account_id, conversation_id)
        refuse_quarantine(conversation)
        if conversation.answer_due_at is not None:
            await conversations.settle(session, conversation_id)
            session.add(audit_entry(caller, "conversation.no_answer_needed", conversation_id))
            await announce_change(session, conversation)
        return await read_changed(session, keys, caller, conversation_id)


async def lock_conversations(
    session: AsyncSession, account_id: UUID, *conversation_ids: UUID
) -> list[Conversation]:
    """The rows of these conversations, in this order; nobody else changes them until the transaction ends. Raises NotFound, ConversationMerged."""
    its_rows = select(Conversation).where(
        Conversation.id.in_(conversation_ids), Conversation.account_id == account_id
    )
    if len((await session.scalars(its_rows)).all()) < len(conversation_ids):
        raise NotFound
    await conversations.lock(session, *conversation_ids)
    rows = {row.id: row for row in await session.scalars(its_rows.execution_options(populate_existing=True))}
    held = [rows[conversation_id] for conversation_id in conversation_ids]
    for row in held:
        if row.merged_into is not None:
            raise ConversationMerged(into=str(row.merged_into))
    return held


def refuse_quarantine(conversation: Conversation) -> None:
    """Refuse what is not done to a conversation in quarantine. Raises ConversationInQuarantine."""
    if conversation.status == ConversationStatus.QUARANTINE:
        raise ConversationInQuarantine


async def announce_change(session: AsyncSession, conversation: Conversation) -> None:
    """Announce that the conversation has changed."""
    await announce(
        session,
        conversation.account_id,
        EventKind.CONVERSATION_CHANGED,
        integration_id=conversation.integration_id,
        conversation_id=conversation.id,
    )


async def read_changed(
    session: AsyncSession, keys: AccountKeys, caller: Caller, conversation_id: UUID
) -> ReadConversation:
    """The conversation as the transaction leaves it. Raises NotFound."""
    await session.flush()
    found = await queries.conversation_of(session, keys.account_id, conversation_id)
    if found is None:
        raise NotFound
    answering = await answering_of(
        session, keys.account_id, found.listed.id, reader_id=caller.user_id, now=datetime.now(UTC)
    )
    return open_answering(keys, found, answering)
