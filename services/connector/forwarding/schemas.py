"""What goes over the wire about mailboxes that are forwarded."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from services.connector.forwarding.mailboxes import MAX_ADDRESS

# The rules are `mailboxes.py`'s; pydantic only bounds what they have to look at.
Address = Annotated[
    str,
    Field(min_length=1, max_length=1000),
    WithJsonSchema({"type": "string", "format": "email", "minLength": 1, "maxLength": MAX_ADDRESS}),
]


class ForwardedMailboxRequest(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"address": "shop@example.com"}]}
    )

    address: Address = Field(description="As Amazon names it in To; its case says nothing.")


class ForwardedMailboxAnswer(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "0199f3a2-9d40-7a1c-8e21-5f7b0c2d9a13",
                    "address": "shop@example.com",
                    "confirmed_at": "2026-11-23T09:12:44Z",
                    "confirmed_by": "0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f",
                }
            ]
        },
    )

    id: UUID
    address: str | None = Field(description="null only if it cannot be opened.")
    confirmed_at: datetime
    confirmed_by: UUID | None = Field(description="The user who confirmed it; null if an API key did.")


class ForwardedMailboxList(BaseModel):
    model_config = ConfigDict(frozen=True)

    items: list[ForwardedMailboxAnswer]
