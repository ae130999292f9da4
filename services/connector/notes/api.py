"""Routes: internal notes."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from services.connector.dependencies import (
    Cursor,
    InboxEditor,
    InboxReader,
    KeyringDep,
    Now,
    ReadLogDep,
    SessionsDep,
)
from services.connector.http.paging import DEFAULT_PAGE, MAX_PAGE, decode_cursor, encode_cursor
from services.connector.http.routers import api_router
from services.connector.notes import service
from services.connector.notes.schemas import NoteAnswer, NoteAuthor, NotePage, NoteRequest

router = api_router("replies")


@router.get("/conversations/{conversation_id}/notes", summary="Read a conversation's notes")
async def list_notes(
    *,
    conversation_id: UUID,
    caller: InboxReader,
    sessions: SessionsDep,
    keyring: KeyringDep,
    read_log: ReadLogDep,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> NotePage:
    """What agents have told each other, newest first."""
    after = None if cursor is None else decode_cursor(cursor)[1]
    notes = await service.read_notes(sessions, keyring, caller, conversation_id, limit=limit + 1, after=after)
    page = notes[:limit]
    if page:
        await read_log.conversation(caller, conversation_id)
    return NotePage(
        items=[_shown(note) for note in page],
        next_cursor=encode_cursor(None, page[-1].id) if len(notes) > limit else None,
    )


@router.post("/conversations/{conversation_id}/notes", status_code=201, summary="Write a note")
async def write_note(
    *,
    conversation_id: UUID,
    body: NoteRequest,
    caller: InboxEditor,
    sessions: SessionsDep,
    keyring: KeyringDep,
    now: Now,
) -> NoteAnswer:
    """For colleagues only: a note is never sent to anybody."""
    return _shown(await service.write_note(sessions, keyring, caller, conversation_id, body.text, now=now))


@router.delete("/notes/{note_id}", status_code=204, summary="Delete a note")
async def delete_note(note_id: UUID, caller: InboxEditor, sessions: SessionsDep) -> None:
    """One's own; who may edit general.admin deletes any."""
    await service.delete_note(sessions, caller, note_id)


def _shown(note: service.OpenedNote) -> NoteAnswer:
    return NoteAnswer(
        id=note.id,
        text=note.text,
        written_by=None
        if note.writer_id is None
        else NoteAuthor(id=note.writer_id, name=note.writer_name or ""),
        created_at=note.created_at,
    )
