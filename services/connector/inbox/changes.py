"""What agents do with a conversation: close, reopen, snooze, mark, assign, tag, settle.

Each change holds the conversation, so that a mail that arrives meanwhile comes before or after it (shared.conversations); writes
who did it into the audit log; and publishes the event.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, select
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
from shared.database import Sessions, now_in
from shared.errors import Expected
from shared.events import EventKind, announce_all, event_of
from shared.keyring import Keyring
from shared.permissions import Level
from shared.tables import AuditEntry, Conversation, ConversationStatus, Tag, User

MAX_SNOOZE: Final = timedelta(days=366)
_DIGEST_BYTES: Final = 4
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ConversationMerged(Expected):
    """The conversation was merged and is empty now; `into` is the id of the one that has its messages."""

    code = "conversation_merged"


class SnoozeOutOfRange(Expected):
    """A conversation is put off to a time that is to come, and within a year."""

    code = "snooze_out_of_range"


class AssigneeUnknown(Expected):
    """Nobody of the account with this id may read the inbox."""

    code = "assignee_unknown"


class TagUnknown(Expected):
    """The account has no tag with one of these ids; it may have been deleted meanwhile."""

    code = "tag_unknown"


class ConversationInQuarantine(Expected):
    """The conversation's mail must be released first, so that nobody answers it as a buyer's by mistake."""

    code = "conversation_in_quarantine"


@dataclass(frozen=True, slots=True)
class ConversationChanges:
    """What a caller wants to change; a None stays as it is, and so does the assignee unless `assigns`."""

    status: ConversationStatus | None = None
    snoozed_until: datetime | None = None
    is_unread: bool | None = None
    assigns: bool = False
    assignee_id: UUID | None = None
    added_tags: Sequence[UUID] = ()
    removed_tags: Sequence[UUID] = ()

    def columns_of(self, row: Conversation) -> dict[str, Any]:
        """The columns that this changes of a conversation, and what they are to be; what is so already is left out."""
        wanted: dict[str, Any] = {}
        if self.status is not None:
            wanted |= {"status": self.status.value, "snoozed_until": None}
        if self.snoozed_until is not None:
            wanted |= {"status": ConversationStatus.SNOOZED.value, "snoozed_until": self.snoozed_until}
        if self.is_unread is not None:
            wanted["is_unread"] = self.is_unread
        if self.assigns:
            wanted["assignee_id"] = self.assignee_id
        if self.added_tags or self.removed_tags:
            tags = dict.fromkeys([*row.tag_ids, *self.added_tags])
            wanted["tag_ids"] = [tag for tag in tags if tag not in self.removed_tags]
        return {name: value for name, value in wanted.items() if getattr(row, name) != value}


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
    now: datetime,
) -> ReadConversation:
    """Close, reopen, snooze, mark as read or unread, assign, tag. What is so already is left alone.

    Raises NotFound, ConversationMerged, ConversationInQuarantine, PreconditionFailed, SnoozeOutOfRange, AssigneeUnknown, TagUnknown.
    """
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        [conversation] = await lock_conversations(session, caller.account_id, conversation_id)
        require_match(if_match, version_of(conversation))
        await require_possible(session, caller.account_id, changes, now)
        before = await apply(session, caller, [conversation], changes)
        if before[conversation.id]:
            await announce_changes(session, conversation)
        return await read_changed(session, keys, caller, conversation_id)


async def require_possible(
    session: AsyncSession, account_id: UUID, changes: ConversationChanges, now: datetime
) -> None:
    """Refuse what can be done to no conversation. Raises SnoozeOutOfRange, AssigneeUnknown, TagUnknown."""
    if changes.snoozed_until is not None and not now < changes.snoozed_until <= now + MAX_SNOOZE:
        raise SnoozeOutOfRange(days=MAX_SNOOZE.days)
    if changes.assignee_id is not None and not await hold_assignable(
        session, account_id, [changes.assignee_id]
    ):
        raise AssigneeUnknown
    if await hold_tags(session, account_id, changes.added_tags) < set(changes.added_tags):
        raise TagUnknown


def assignable(account_id: UUID) -> Select[UUID, str]:
    """The people of an account who may read its inbox: their ids and names."""
    return select(User.id, User.name).where(
        User.account_id == account_id, User.disabled_at.is_(None), User.inbox_messages != Level.NONE
    )


async def hold_assignable(session: AsyncSession, account_id: UUID, person_ids: Collection[UUID]) -> set[UUID]:
    """Those of these people to whom a conversation can be given. Whoever takes the inbox from them meanwhile waits, and then what is
    given here becomes nobody's, too (`organizing.unassigning`).
    """
    if not person_ids:
        return set()
    may_read = assignable(account_id).where(User.id.in_(person_ids)).order_by(User.id)
    rows = await session.execute(may_read.with_for_update(read=True, of=User))
    return {row.id for row in rows}


async def hold_tags(session: AsyncSession, account_id: UUID, tag_ids: Collection[UUID]) -> set[UUID]:
    """Those of these tags that the account has. Whoever deletes one meanwhile waits, and then takes it from what gets it here, too."""
    if not tag_ids:
        return set()
    known = select(Tag.id).where(Tag.account_id == account_id, Tag.id.in_(tag_ids)).order_by(Tag.id)
    return set(await session.scalars(known.with_for_update(read=True)))


async def apply(
    session: AsyncSession, caller: Caller, held: Sequence[Conversation], changes: ConversationChanges
) -> dict[UUID, dict[str, Any]]:
    """Change conversations that are held, and write down who did it. The answer is what the changed columns of each were.

    Whoever closes settles its answers, too. Raises ConversationInQuarantine.
    """
    before: dict[UUID, dict[str, Any]] = {}
    closed: list[UUID] = []
    for conversation in held:
        columns = changes.columns_of(conversation)
        if "status" in columns:
            refuse_quarantine(conversation)
        before[conversation.id] = {name: getattr(conversation, name) for name in columns}
        for name, value in columns.items():
            setattr(conversation, name, value)
        session.add_all(_entries(caller, conversation, columns))
        if columns.get("status") == ConversationStatus.CLOSED:
            closed.append(conversation.id)
    if closed:
        await conversations.settle(session, *closed)
    return before


def _entries(caller: Caller, conversation: Conversation, columns: Collection[str]) -> list[AuditEntry]:
    """What the audit log has to say about these columns of a changed conversation."""
    entries = []
    if conversation.status == ConversationStatus.SNOOZED and "snoozed_until" in columns:
        until = conversation.snoozed_until.isoformat() if conversation.snoozed_until else ""
        entries.append(audit_entry(caller, "conversation.snoozed", conversation.id, until=until))
    elif conversation.status == ConversationStatus.CLOSED and "status" in columns:
        entries.append(audit_entry(caller, "conversation.closed", conversation.id))
    elif "status" in columns:
        entries.append(audit_entry(caller, "conversation.reopened", conversation.id))
    if "assignee_id" in columns:
        assignee = str(conversation.assignee_id or "")
        entries.append(audit_entry(caller, "conversation.assigned", conversation.id, assignee_id=assignee))
    if "tag_ids" in columns:
        entries.append(audit_entry(caller, "conversation.tagged", conversation.id))
    return entries


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
            await announce_changes(session, conversation)
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


async def announce_changes(session: AsyncSession, *changed: Conversation) -> None:
    """Announce that these conversations have changed."""
    await announce_all(
        session,
        [
            event_of(
                conversation.account_id,
                EventKind.CONVERSATION_CHANGED,
                integration_id=conversation.integration_id,
                conversation_id=conversation.id,
            )
            for conversation in changed
        ],
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
        session, keys.account_id, found.listed.id, reader_id=caller.user_id, now=await now_in(session)
    )
    return open_answering(keys, found, answering)
