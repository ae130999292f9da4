"""What goes over the wire about conversations and messages."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

_CONVERSATION: JsonDict = {
    "id": "0199f3a2-6b10-7d2a-8c11-2f9a7b1c0d3e",
    "integration": {"id": "0199f3a2-5a01-7c3b-9d22-1e8b6a0f9c2d", "name": "Amazon Europa"},
    "order_id": "303-1234567-1234567",
    "country": "DE",
    "message_count": 2,
    "last_message_at": "2026-11-23T08:59:01.204117Z",
}
_MESSAGE: JsonDict = {
    "id": "0199f3a2-7c20-7e4d-8f33-3a0c8b2d1e4f",
    "conversation_id": "0199f3a2-6b10-7d2a-8c11-2f9a7b1c0d3e",
    "kind": "buyer_message",
    "received_at": "2026-11-23T08:59:01.204117Z",
    "sent_at": "2026-11-23T08:58:57Z",
    "subject": "Anfrage zur Bestellung 303-1234567-1234567",
    "sender_name": "Erika Beispiel",
    "sender_address": "k3x9example0abc@marketplace.amazon.de",
    "text": "Guten Tag, wann kommt meine Lampe?",
    "html": None,
    "from_amazon_domain": True,
    "truncated": False,
    "size": 14208,
    "attachments": [
        {
            "id": "0199f3a2-7c21-7b5e-9a44-4b1d9c3e2f50",
            "filename": "lampe.jpg",
            "content_type": "image/jpeg",
            "size": 10112,
        }
    ],
    "problem": None,
}


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class IntegrationOfConversation(_Answer):
    id: UUID
    name: str | None


class ConversationItem(_Answer):
    model_config = ConfigDict(json_schema_extra={"examples": [_CONVERSATION]})

    id: UUID
    integration: IntegrationOfConversation
    order_id: str | None
    country: str | None = Field(
        description="ISO 3166 code of the marketplace's country, if the mail tells it."
    )
    message_count: int
    last_message_at: datetime


class ConversationPage(_Answer):
    items: list[ConversationItem]
    next_cursor: str | None


class ConversationAnswer(ConversationItem):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                _CONVERSATION
                | {"buyer_name": "Erika", "subject": "Anfrage zur Bestellung 303-1234567-1234567"}
            ]
        }
    )

    buyer_name: str | None
    subject: str | None


class AttachmentAnswer(_Answer):
    id: UUID
    filename: str = Field(description="Without paths, control characters and direction marks.")
    content_type: str = Field(
        description="What the sender claims; the download may answer with a safer type."
    )
    size: int = Field(description="Bytes.")


class MessageAnswer(_Answer):
    model_config = ConfigDict(json_schema_extra={"examples": [_MESSAGE]})

    id: UUID
    conversation_id: UUID
    kind: str = Field(
        description="What the mail is about: buyer_message, order_notice, claim_notice, return_notice, "
        "delivery_failure, verification, auto_reply, other, or unparseable."
    )
    received_at: datetime
    sent_at: datetime | None = Field(description="What the sender claims.")
    subject: str | None
    sender_name: str | None
    sender_address: str | None
    text: str | None = Field(description="null only if it cannot be opened; see problem.")
    html: str | None = Field(description="Cleaned: no scripts, no forms, nothing loaded from elsewhere.")
    from_amazon_domain: bool = Field(
        description="Whether the sender's address belongs to Amazon; no proof of who sent it."
    )
    truncated: bool = Field(description="Whether a limit has cut something; the raw mail has all of it.")
    size: int = Field(description="Bytes of the raw mail.")
    attachments: list[AttachmentAnswer]
    problem: Literal["seal_broken"] | None = Field(
        description="seal_broken: some of what is stored does not open and is left out."
    )


class MessagePage(_Answer):
    items: list[MessageAnswer]
    next_cursor: str | None
