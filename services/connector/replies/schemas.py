"""What goes over the wire about replies, their files and drafts."""

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool
from pydantic.config import JsonDict

from services.connector.http.request_types import LinesAsTyped, Time
from services.connector.replies.failure_texts import FailureAction
from services.connector.replies.warnings import Rule
from shared.tables import ReplyFailure, ReplyState, ReplyTransport

# More than Amazon takes, so that what is too long can be kept and made shorter.
_MAX_TYPED: Final = 12_000
_MAX_CHOSEN: Final = 100
_FILE: Final[JsonDict] = {
    "id": "0199f3a2-9e11-7c3d-8b52-6a1f0e2d3c4b",
    "filename": "Rechnung.pdf",
    "content_type": "application/pdf",
    "size": 48213,
}
_REPLY: Final[JsonDict] = {
    "id": "0199f3a2-9e40-7a1c-8e21-5f7b0c2d9a13",
    "conversation_id": "0199f3a2-6b10-7d2a-8c11-2f9a7b1c0d3e",
    "integration_id": "0199f3a2-5a01-7c3b-9d22-1e8b6a0f9c2d",
    "text": "Guten Tag, Ihre Lampe ist unterwegs.",
    "files": [{**_FILE, "scan": None}],
    "state": "failed",
    "state_since": "2026-11-28T09:13:02Z",
    "written_by": {"id": "0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f", "name": "Kim Beispiel"},
    "created_at": "2026-11-28T09:12:44Z",
    "send_at": None,
    "undo_until": None,
    "attempts": 1,
    "next_attempt_at": None,
    "handed_over_at": None,
    "confirmed_at": None,
    "unconfirmed": False,
    "transport": "platform",
    "sent_from": "aaabbbccc@replyco.email",
    "failure": {
        "code": "sender_not_approved",
        "title": "Amazon does not know the sender",
        "text": "Amazon only passes on to buyers what comes from an approved address. This one is not approved in this country.",
        "cure": "Approve exactly this address in Seller Central under “Messaging Permissions”, in each country that you sell in. Then send the reply again.",
        "action": "open_messaging_permissions",
        "link": "https://sellercentral-europe.amazon.com/messaging/permissions?country=DE",
        "countries": ["DE"],
        "server_words": "550 5.7.1 Sender not approved",
    },
    "dismissed_at": None,
    "order_id": "303-1234567-1234567",
    "country": "DE",
    "close": False,
}


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class CheckRequest(_Request):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "Guten Tag, Ihre Lampe ist unterwegs.", "file_ids": []}]}
    )

    text: LinesAsTyped = Field(max_length=_MAX_TYPED, repr=False)
    file_ids: list[UUID] = Field(
        default=[], max_length=_MAX_CHOSEN, description="Files that the caller has uploaded here."
    )


class ReplyRequest(CheckRequest):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "Guten Tag, Ihre Lampe ist unterwegs.", "close": True},
                {"text": "Guten Morgen!", "send_at": "2026-12-01T08:00:00+01:00"},
            ]
        }
    )

    send_at: Time | None = Field(
        None, description="When it is sent, a year ahead at most; null: as soon as it can be undone no more."
    )
    close: StrictBool = Field(
        default=False, description="Whether the conversation is closed when the reply is handed over."
    )
    confirmed_warnings: list[Rule] = Field(
        default=[], max_length=len(Rule), description="The warnings in spite of which it shall be sent."
    )


class ExcerptAnswer(_Answer):
    start: int | None = Field(description="Where it is in the text, in characters; null for a file's name.")
    end: int | None
    text: str


class WarningAnswer(_Answer):
    code: Rule
    rule: str = Field(description="The rule that the reply may break, as a sentence.")
    excerpts: list[ExcerptAnswer]


class BlockedAnswer(_Answer):
    code: str = Field(description="The code of the problem with which sending it would be answered.")
    detail: str


class CheckAnswer(_Answer):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "warnings": [
                        {
                            "code": "phone_number",
                            "rule": "Telephone numbers are not allowed in messages to buyers.",
                            "excerpts": [{"start": 11, "end": 24, "text": "030 / 1234567"}],
                        }
                    ],
                    "blocked": [],
                    "characters": 36,
                    "most_characters": 4000,
                    "files_bytes": 48213,
                    "most_files_bytes": 10000000,
                }
            ]
        }
    )

    warnings: list[WarningAnswer]
    blocked: list[BlockedAnswer]
    characters: int
    most_characters: int
    files_bytes: int
    most_files_bytes: int


class FileAnswer(_Answer):
    model_config = ConfigDict(json_schema_extra={"examples": [_FILE]})

    id: UUID
    filename: str
    content_type: str = Field(description="What its bytes and its name say.")
    size: int = Field(description="Bytes.")


class ReplyFileAnswer(FileAnswer):
    model_config = ConfigDict(json_schema_extra={"examples": [{**_FILE, "scan": None}]})

    scan: Literal["clean", "infected", "failed"] | None = Field(
        description="What the malware scanner said when it was sent; null if it was not scanned."
    )


class ReplyAuthor(_Answer):
    id: UUID
    name: str


class FailureAnswer(_Answer):
    code: ReplyFailure
    title: str
    text: str
    cure: str
    action: FailureAction
    link: str | None = Field(description="The page in Seller Central on which it is cured.")
    countries: list[str] = Field(description="The countries that it concerns.")
    server_words: str | None = Field(description="What the server, or Amazon's mail, said, in one line.")


class ReplyAnswer(_Answer):
    model_config = ConfigDict(json_schema_extra={"examples": [_REPLY]})

    id: UUID
    conversation_id: UUID
    integration_id: UUID
    text: str | None = Field(description="null only if it cannot be opened.")
    files: list[ReplyFileAnswer]
    state: ReplyState = Field(
        description="scheduled, queued, sending, delayed: on its way. handed_over: the server has taken it, which proves nothing yet. confirmed: the "
        "buyer has it. perhaps_sent: nobody knows; it is not sent again unless somebody wants it. failed: see `failure`. canceled: taken back."
    )
    state_since: datetime
    written_by: ReplyAuthor | None = Field(description="null if a program with an API key wrote it.")
    created_at: datetime
    send_at: datetime | None = Field(description="When a scheduled one is sent.")
    undo_until: datetime | None = Field(description="Until when a queued one is not sent yet.")
    attempts: int
    next_attempt_at: datetime | None = Field(description="When a delayed one is tried again.")
    handed_over_at: datetime | None
    confirmed_at: datetime | None
    unconfirmed: bool = Field(
        description="Handed over an hour ago or longer, and Amazon ought to have confirmed it by now."
    )
    transport: ReplyTransport | None = Field(
        description="platform: by our server. own: by the store's own SMTP server."
    )
    sent_from: str | None = Field(description="The address that Amazon must know as an approved sender.")
    failure: FailureAnswer | None
    dismissed_at: datetime | None = Field(description="When somebody left it at the failure.")
    order_id: str | None
    country: str | None
    close: bool


class ReplyPage(_Answer):
    items: list[ReplyAnswer]
    next_cursor: str | None


class ReplyCountsAnswer(_Answer):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"failed": 1, "perhaps_sent": 0, "scheduled": 4, "delayed": 0}]}
    )

    failed: int = Field(
        description="Every number: 1000 means 1000 or more. Without those that somebody left."
    )
    perhaps_sent: int
    scheduled: int
    delayed: int


class DraftRequest(_Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "Guten Tag, Ihre Lam"}]})

    text: LinesAsTyped = Field(max_length=_MAX_TYPED, repr=False)


class DraftAnswer(_Answer):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "text": "Guten Tag, Ihre Lam",
                    "files": [_FILE],
                    "version": 3,
                    "updated_at": "2026-11-28T09:12:40Z",
                }
            ]
        }
    )

    text: str
    files: list[FileAnswer]
    version: int = Field(description="0 as long as nothing was written.")
    updated_at: datetime | None
