"""What goes over the wire about the audit log."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.connector.audit.objects import ShownObject


class ActorAnswer(BaseModel):
    model_config = ConfigDict(frozen=True)

    kind: Literal["user", "api_key", "system"]
    id: UUID | None
    name: str | None = Field(description="The user's or the key's name now; null for the system.")


class ObjectAnswer(BaseModel):
    model_config = ConfigDict(frozen=True)

    kind: Literal[
        "user",
        "api_key",
        "invitation",
        "reader",
        "webhook",
        "integration",
        "reply_template",
        "conversation",
        "message",
        "order",
        "tag",
    ] = Field(description="`reader` is a user or an API key.")
    id: UUID
    name: str | None = Field(
        description="Its name now; of conversations, messages and orders, Amazon's order number. Null if it has none, is not known any more, or may not be seen."
    )
    conversation_id: UUID | None = Field(description="Where a message is, as far as it may be seen.")
    is_gone: bool = Field(description="It was removed, or, if it is an invitation, is not open any more.")


def object_answer(about: ShownObject | None) -> ObjectAnswer | None:
    """What goes over the wire of what an entry is about."""
    if about is None:
        return None
    return ObjectAnswer(
        kind=about.kind.value,
        id=about.id,
        name=about.name,
        conversation_id=about.conversation_id,
        is_gone=about.is_gone,
    )


class EntryAnswer(BaseModel):
    """Ids and codes only, and the network that a sign-in came from: nobody's text, address or secret."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "0199f3a2-8a10-7b2c-9d44-7a2f1e3c4d5b",
                    "at": "2026-11-24T09:30:00Z",
                    "actor": {
                        "kind": "user",
                        "id": "0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f",
                        "name": "Anna Beispiel",
                    },
                    "action": "integration_connected",
                    "subject_id": "0199f3a2-5a01-7c3b-9d22-1e8b6a0f9c2d",
                    "object": {
                        "kind": "integration",
                        "id": "0199f3a2-5a01-7c3b-9d22-1e8b6a0f9c2d",
                        "name": "Lampen Europa",
                        "conversation_id": None,
                        "is_gone": False,
                    },
                    "fields": {"region": "eu"},
                }
            ]
        },
    )

    id: UUID
    at: datetime
    actor: ActorAnswer
    action: str
    subject_id: UUID | None = Field(description="What it was done to.")
    object: ObjectAnswer | None = Field(
        description="The subject with its name, if it is anything that has one."
    )
    fields: dict[str, Any]


class EntryPage(BaseModel):
    model_config = ConfigDict(frozen=True)

    items: list[EntryAnswer]
    next_cursor: str | None
