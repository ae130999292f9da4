"""What goes over the wire about notes."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from services.connector.http.request_types import Lines

MAX_NOTE_CHARACTERS: Final = 10_000
_NOTE: Final[dict[str, JsonValue]] = {
    "id": "0199f3a2-9d40-7a1c-8e21-5f7b0c2d9a13",
    "text": "The buyer has called twice.",
    "written_by": {"id": "0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f", "name": "Kim Beispiel"},
    "created_at": "2026-11-28T09:12:44Z",
}


class NoteRequest(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"text": "The buyer has called twice."}]}
    )

    text: Annotated[Lines, Field(min_length=1, max_length=MAX_NOTE_CHARACTERS)]


class NoteAuthor(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: UUID
    name: str


class NoteAnswer(BaseModel):
    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_NOTE]})

    id: UUID
    text: str | None = Field(description="null only if it cannot be opened.")
    written_by: NoteAuthor | None = Field(description="null if a program with an API key wrote it.")
    created_at: datetime


class NotePage(BaseModel):
    model_config = ConfigDict(frozen=True)

    items: list[NoteAnswer]
    next_cursor: str | None
