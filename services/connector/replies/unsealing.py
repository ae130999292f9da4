"""Sealed replies, files and drafts → what somebody reads. What does not open is left out (inbox/unsealing.py)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.connector.inbox.unsealing import Opener
from services.connector.replies.queries import SealedFile, SealedReply
from shared.crypto.envelope import AccountKeys, Place, Sealed


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file as a list shows it."""

    row: SealedFile
    filename: str


@dataclass(frozen=True, slots=True)
class OpenedReply:
    """A reply to be read; without its text only if that does not open."""

    row: SealedReply
    text: str | None
    server_words: str | None
    files: list[OpenedFile]


@dataclass(frozen=True, slots=True)
class OpenedDraft:
    """What a user has begun to write; nothing, in version 0, if they have not."""

    text: str
    version: int
    updated_at: datetime | None
    files: list[OpenedFile]


def text_place(reply_id: UUID) -> Place:
    return Place("outbound_messages", "body_text", reply_id)


def draft_place(draft_id: UUID) -> Place:
    return Place("reply_drafts", "body_text", draft_id)


def file_place(column: str, file_id: UUID) -> Place:
    """`column`: filename or content."""
    return Place("reply_files", column, file_id)


def open_replies(
    keys: AccountKeys, rows: Sequence[SealedReply], files: Mapping[UUID, Sequence[SealedFile]]
) -> list[OpenedReply]:
    """Open replies, and their files' names."""
    return [_open_reply(keys, row, files.get(row.id, [])) for row in rows]


def _open_reply(keys: AccountKeys, row: SealedReply, files: Sequence[SealedFile]) -> OpenedReply:
    opener = Opener(keys, "outbound_messages", row.id)
    return OpenedReply(
        row,
        text=opener.text("body_text", row.body_text),
        server_words=opener.text("server_words", row.server_words),
        files=open_files(keys, files),
    )


def open_files(keys: AccountKeys, files: Sequence[SealedFile]) -> list[OpenedFile]:
    """Open files' names."""
    return [
        OpenedFile(file, Opener(keys, "reply_files", file.id).text("filename", file.filename) or "")
        for file in files
    ]


def open_draft(keys: AccountKeys, draft_id: UUID, sealed: Sealed) -> str:
    """A draft's text; nothing if it does not open."""
    return Opener(keys, "reply_drafts", draft_id).text("body_text", sealed) or ""
