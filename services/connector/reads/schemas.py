"""What goes over the wire about the read log."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.connector.audit.schemas import ObjectAnswer


class ReaderAnswer(BaseModel):
    model_config = ConfigDict(frozen=True)

    kind: Literal["user", "api_key"]
    id: UUID
    name: str | None = Field(description="The user's or the key's name now; null if they are gone.")


class ReadAnswer(BaseModel):
    """Ids and counts only: no content, and never what somebody looked for."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "0199f3a2-8a10-7b2c-9d44-7a2f1e3c4d5b",
                    "at": "2026-11-28T09:30:00Z",
                    "reader": {
                        "kind": "user",
                        "id": "0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f",
                        "name": "Anna Beispiel",
                    },
                    "kind": "file",
                    "subject_id": "0199f3a2-5a01-7c3b-9d22-1e8b6a0f9c2d",
                    "part_id": "0199f3a2-6b11-7c3b-9d22-77aa6a0f9c2d",
                    "subject": {
                        "kind": "conversation",
                        "id": "0199f3a2-5a01-7c3b-9d22-1e8b6a0f9c2d",
                        "name": "303-1234567-1234567",
                        "conversation_id": "0199f3a2-5a01-7c3b-9d22-1e8b6a0f9c2d",
                        "is_gone": False,
                    },
                    "found": None,
                }
            ]
        },
    )

    id: UUID
    at: datetime
    reader: ReaderAnswer
    kind: Literal["conversation", "order", "file", "raw_mail", "search"]
    subject_id: UUID | None = Field(
        description="The conversation or the order; of a file and a raw mail, the conversation that they are in. Null for a search."
    )
    part_id: UUID | None = Field(
        description="The file that was taken, or the message whose raw mail was taken."
    )
    subject: ObjectAnswer | None = Field(description="The conversation or the order, with its name.")
    found: int | None = Field(description="How many results a page of a search showed.")


class ReadPage(BaseModel):
    model_config = ConfigDict(frozen=True)

    items: list[ReadAnswer]
    next_cursor: str | None
