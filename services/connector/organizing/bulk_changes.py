"""One change of many conversations, in one transaction, which can be undone for some minutes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.inbox.changes import (
    ConversationChanges,
    ConversationInQuarantine,
    ConversationMerged,
    announce_changes,
    apply,
    hold_assignable,
    hold_tags,
    require_possible,
)
from services.connector.problems.catalogue import NotFound
from shared import conversations
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.permissions import Level, Permission
from shared.tables import Conversation, ConversationsChange, ConversationStatus

# As many as a person has looked at; they are held for as long as it takes to write them.
MAX_CONVERSATIONS: Final = 200
UNDO_TIME: Final = timedelta(minutes=10)


class UndoTooLate(Expected):
    """It was undone already, or some minutes ago at the earliest it could have been."""

    code = "undo_too_late"


class Refused(NamedTuple):
    """A conversation that was left alone, and the code of the reason."""

    conversation_id: UUID
    code: str


class BulkResult(NamedTuple):
    """`id` is by what the change can be undone; None if nothing was changed. The others were as wanted already."""

    id: UUID | None
    changed: list[UUID]
    unchanged: list[UUID]
    refused: list[Refused]


class UndoResult(NamedTuple):
    """Which conversations are as they were, and which somebody has changed since, so that they were left alone."""

    restored: list[UUID]
    left: list[UUID]


async def change_many(
    sessions: Sessions,
    caller: Caller,
    conversation_ids: Sequence[UUID],
    changes: ConversationChanges,
    now: datetime,
) -> BulkResult:
    """Change all of these conversations that can be. Raises SnoozeOutOfRange, AssigneeUnknown, TagUnknown."""
    caller.require(Permission.INBOX_MESSAGES, Level.EDIT)
    result = BulkResult(new_id(), [], [], [])
    async with sessions.begin() as session:
        await require_possible(session, caller.account_id, changes, now)
        rows = await _held(session, caller.account_id, conversation_ids)
        possible: list[Conversation] = []
        for conversation_id in dict.fromkeys(conversation_ids):
            row = rows.get(conversation_id)
            refusal = _refusal(row, changes)
            if row is None or refusal is not None:
                result.refused.append(Refused(conversation_id, refusal or NotFound.code))
            else:
                possible.append(row)
        before_of = await apply(session, caller, possible, changes)
        changed = [row for row in possible if before_of[row.id]]
        result.changed.extend(row.id for row in changed)
        result.unchanged.extend(row.id for row in possible if not before_of[row.id])
        await announce_changes(session, *changed)
        if not changed:
            return result._replace(id=None)
        parts = [
            {
                "id": str(row.id),
                "before": _as_data(before_of[row.id]),
                "after": _as_data({name: getattr(row, name) for name in before_of[row.id]}),
            }
            for row in changed
        ]
        session.add(
            ConversationsChange(id=result.id, account_id=caller.account_id, made_by=caller.id, parts=parts)
        )
    return result


async def undo(sessions: Sessions, caller: Caller, change_id: UUID, now: datetime) -> UndoResult:
    """Let the conversations be as they were before the caller's own change, but for those that somebody has changed since.

    Raises NotFound, UndoTooLate.
    """
    caller.require(Permission.INBOX_MESSAGES, Level.EDIT)
    result = UndoResult([], [])
    async with sessions.begin() as session:
        its_row = select(ConversationsChange).where(
            ConversationsChange.id == change_id,
            ConversationsChange.account_id == caller.account_id,
            ConversationsChange.made_by == caller.id,
        )
        change = await session.scalar(its_row.with_for_update())
        if change is None:
            raise NotFound
        if change.undone_at is not None or now - change.made_at > UNDO_TIME:
            raise UndoTooLate(minutes=UNDO_TIME // timedelta(minutes=1))
        rows = await _held(session, caller.account_id, [UUID(part["id"]) for part in change.parts])
        befores = [_read(part["before"]) for part in change.parts]
        people = await hold_assignable(
            session, caller.account_id, {each["assignee_id"] for each in befores if each.get("assignee_id")}
        )
        tags = await hold_tags(
            session, caller.account_id, {tag for each in befores for tag in each.get("tag_ids", ())}
        )
        restored: list[Conversation] = []
        reopened: list[UUID] = []
        for part, before in zip(change.parts, befores, strict=True):
            row = rows.get(UUID(part["id"]))
            if row is None or not _is_as_left(row, part, change.made_at):
                result.left.append(UUID(part["id"]))
                continue
            if part["after"].get("status") == ConversationStatus.CLOSED:
                reopened.append(row.id)
            # Who has left meanwhile gets nothing back, and a tag that was deleted stays so.
            if "assignee_id" in before and before["assignee_id"] not in people:
                before["assignee_id"] = None
            if "tag_ids" in before:
                before["tag_ids"] = [each for each in before["tag_ids"] if each in tags]
            for name, value in before.items():
                setattr(row, name, value)
            session.add(audit_entry(caller, "conversation.change_undone", row.id))
            result.restored.append(row.id)
            restored.append(row)
        await session.flush()
        if reopened:
            await conversations.unsettle(session, reopened, change.made_at)
        await announce_changes(session, *restored)
        change.undone_at = now
    return result


async def _held(
    session: AsyncSession, account_id: UUID, conversation_ids: Sequence[UUID]
) -> dict[UUID, Conversation]:
    """Those of these conversations that the account has; nobody else changes them until the transaction ends."""
    of_account = select(Conversation.id).where(
        Conversation.id.in_(conversation_ids), Conversation.account_id == account_id
    )
    known = (await session.scalars(of_account)).all()
    await conversations.lock(session, *known)
    held = select(Conversation).where(Conversation.id.in_(known))
    return {row.id: row for row in await session.scalars(held.execution_options(populate_existing=True))}


def _refusal(row: Conversation | None, changes: ConversationChanges) -> str | None:
    if row is None:
        return NotFound.code
    if row.merged_into is not None:
        return ConversationMerged.code
    if row.status == ConversationStatus.QUARANTINE and "status" in changes.columns_of(row):
        return ConversationInQuarantine.code
    return None


def _is_as_left(row: Conversation, part: dict[str, Any], made_at: datetime) -> bool:
    """Whether nobody has changed since what the action has changed, nor answered what it has closed or put off."""
    if row.merged_into is not None:
        return False
    if "status" in part["after"] and row.last_reply_at is not None and row.last_reply_at > made_at:
        return False
    return bool(part["after"] == _as_data({name: getattr(row, name) for name in part["after"]}))


def _as_data(columns: dict[str, Any]) -> dict[str, Any]:
    """Columns of a conversation as JSON."""
    return {name: _WRITTEN.get(name, _same)(value) for name, value in columns.items()}


def _read(columns: dict[str, Any]) -> dict[str, Any]:
    """The same back from JSON."""
    return {name: _READ.get(name, _same)(value) for name, value in columns.items()}


def _same(value: Any) -> Any:
    return value


_WRITTEN: Final[dict[str, Any]] = {
    "assignee_id": lambda value: None if value is None else str(value),
    "snoozed_until": lambda value: None if value is None else value.isoformat(),
    "tag_ids": lambda value: [str(tag) for tag in value],
}
_READ: Final[dict[str, Any]] = {
    "assignee_id": lambda value: None if value is None else UUID(value),
    "snoozed_until": lambda value: None if value is None else datetime.fromisoformat(value),
    "tag_ids": lambda value: [UUID(tag) for tag in value],
}
