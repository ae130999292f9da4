"""Notes: read, written and deleted. Each change is seen by whoever looks at the conversation."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select

from services.connector.accounts.audit import audit_entry
from services.connector.accounts.callers import Caller
from services.connector.inbox.changes import announce_changes, lock_conversations
from services.connector.inbox.queries import shown_id_of
from services.connector.inbox.unsealing import Opener, keys_of
from services.connector.problems.catalogue import NotFound
from shared.crypto.envelope import AccountKeys, Place
from shared.database import Sessions
from shared.driver import new_id
from shared.errors import Expected
from shared.keyring import Keyring
from shared.permissions import Level, Permission
from shared.tables import Note, User


class NoteOfAnother(Expected):
    """Only its writer, or who administers the account, deletes a note."""

    code = "note_of_another"


@dataclass(frozen=True, slots=True)
class OpenedNote:
    """A note to be read; without its text if that does not open, without a writer if a program wrote it."""

    id: UUID
    text: str | None
    writer_id: UUID | None
    writer_name: str | None
    created_at: datetime


async def read_notes(
    sessions: Sessions,
    keyring: Keyring,
    caller: Caller,
    conversation_id: UUID,
    *,
    limit: int,
    after: UUID | None,
) -> list[OpenedNote]:
    """A conversation's notes, newest first. Raises NotFound."""
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        shown_id = await shown_id_of(session, caller.account_id, conversation_id)
        if shown_id is None:
            raise NotFound
        statement = (
            select(Note, User.name)
            .outerjoin(User, User.id == Note.written_by)
            .where(Note.account_id == caller.account_id, Note.conversation_id == shown_id)
            .order_by(Note.id.desc())
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(Note.id < after)
        return [_opened(keys, note, name) for note, name in await session.execute(statement)]


async def write_note(
    sessions: Sessions, keyring: Keyring, caller: Caller, conversation_id: UUID, text: str, *, now: datetime
) -> OpenedNote:
    """Add a note. Raises NotFound, ConversationMerged."""
    keys = await keys_of(caller, sessions, keyring)
    async with sessions.begin() as session:
        [conversation] = await lock_conversations(session, caller.account_id, conversation_id)
        note_id = new_id()
        note = Note(
            id=note_id,
            account_id=caller.account_id,
            conversation_id=conversation_id,
            written_by=caller.person_id,
            body_text=keys.seal_text(_place(note_id), text),
            created_at=now,
        )
        session.add(note)
        session.add(audit_entry(caller, "note_written", conversation_id, note=str(note_id)))
        await announce_changes(session, conversation)
        name = await session.scalar(select(User.name).where(User.id == note.written_by))
        return _opened(keys, note, name)


async def delete_note(sessions: Sessions, caller: Caller, note_id: UUID) -> None:
    """Delete one's own note; who may edit general.admin deletes any. Raises NotFound, NoteOfAnother."""
    async with sessions.begin() as session:
        found = (
            await session.execute(
                select(Note.conversation_id, Note.written_by).where(
                    Note.id == note_id, Note.account_id == caller.account_id
                )
            )
        ).one_or_none()
        if found is None:
            raise NotFound
        is_own = caller.is_browser and found.written_by == caller.user_id
        if not is_own and not caller.may(Permission.GENERAL_ADMIN, Level.EDIT):
            raise NoteOfAnother
        [conversation] = await lock_conversations(session, caller.account_id, found.conversation_id)
        await session.execute(delete(Note).where(Note.id == note_id, Note.account_id == caller.account_id))
        session.add(audit_entry(caller, "note_deleted", conversation.id, note=str(note_id)))
        await announce_changes(session, conversation)


def _opened(keys: AccountKeys, note: Note, writer_name: str | None) -> OpenedNote:
    text = Opener(keys, "notes", note.id).text("body_text", note.body_text)
    return OpenedNote(note.id, text, note.written_by, writer_name, note.created_at)


def _place(note_id: UUID) -> Place:
    return Place("notes", "body_text", note_id)
