"""What goes over the wire about conversations and messages."""

from datetime import datetime
from typing import Annotated, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, WithJsonSchema, model_validator, with_config
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from services.connector.http.paging import DEFAULT_PAGE, MAX_PAGE
from services.connector.http.request_types import CursorField, Time, WholeNumber, without_default
from services.connector.inbox.answerable import NotAnswerableReason
from services.connector.inbox.listing import Sort
from services.connector.inbox.search import MAX_QUERY
from services.connector.orders.examples import ORDER_SNAPSHOT
from services.connector.orders.schemas import OrderSnapshotAnswer
from shared.languages import MESSAGE_LANGUAGES
from shared.tables import ConversationStatus

_CONVERSATION: JsonDict = {
    "id": "0199f3a2-6b10-7d2a-8c11-2f9a7b1c0d3e",
    "integration": {"id": "0199f3a2-5a01-7c3b-9d22-1e8b6a0f9c2d", "name": "Amazon Europa"},
    "buyer_name": "Erika",
    "subject": "Anfrage zur Bestellung 303-1234567-1234567",
    "snippet": "Guten Tag, wann kommt meine Lampe?",
    "order_id": "303-1234567-1234567",
    "asin": "B0EXAMPLE1",
    "country": "DE",
    "status": "open",
    "kind": "buyer_message",
    "unread": True,
    "answer_due_at": "2026-11-24T08:59:01.204117Z",
    "message_count": 2,
    "last_message_at": "2026-11-23T08:59:01.204117Z",
    "last_reply_at": None,
    "assignee_id": None,
    "tag_ids": [],
    "snoozed_until": None,
    "has_files": False,
    "has_failed_reply": False,
}
_ANSWERING: JsonDict = {
    "not_answerable": None,
    "being_answered_by": [
        {
            "user_id": "0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f",
            "name": "Kim Beispiel",
            "since": "2026-11-23T09:03:11Z",
        }
    ],
    "undoable_merge_id": None,
    "seller_central_url": "https://sellercentral-europe.amazon.com/messaging/inbox?fi=caseId&ss=A1B2C3D4E5F6G7&cc=A1B2C3D4E5F6G7",
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
    "has_html": True,
    "has_formatting": False,
    "is_excerpt": True,
    "quoted_text": None,
    "authenticity": {"verdict": "authentic", "reason": "signed_by_amazon", "sent_to": None},
    "from_amazon_domain": True,
    "order_ids": ["303-1234567-1234567"],
    "asin": "B0EXAMPLE1",
    "country": "DE",
    "language": "de",
    "failure_reason": None,
    "answer_due_at": "2026-11-24T08:59:01.204117Z",
    "answer_settled_at": None,
    "truncated": False,
    "size": 14208,
    "attachments": [
        {
            "id": "0199f3a2-7c21-7b5e-9a44-4b1d9c3e2f50",
            "filename": "lampe.jpg",
            "content_type": "image/jpeg",
            "sniffed_type": "image/jpeg",
            "inline": False,
            "scan": None,
            "size": 10112,
        }
    ],
    "order_snapshots": [ORDER_SNAPSHOT],
    "problem": None,
}


# The kinds of mail and of what it is about (mailrelay's parsing/mail.py).
_KINDS: Final = "buyer_message, order_notice, claim_notice, return_notice, delivery_failure, reply_confirmation, verification, auto_reply, other, or unparseable"
_MAX_SPLIT: Final = 100
_UNREAD: Final = "Only those that are unread."
_DUE: Final = "Only those that wait for an answer."
_OVERDUE: Final = "Only those whose answer is overdue."
_FAILED: Final = "Only those with a reply that has not arrived, or perhaps not."
_MAX_CHANGED_TAGS: Final = 20
AssigneeFilter = Annotated[
    Literal["me", "nobody"] | UUID,
    Field(description="me, nobody, or a person's id. With `status=open` it is quick however much there is."),
]


class ListRequest(BaseModel):
    """Which conversations, in which order: the query of an address, in which nothing of a buyer's has a place."""

    model_config = ConfigDict(frozen=True)

    integration_id: UUID | None = None
    status: ConversationStatus | None = Field(None, description="Left out: all but quarantine.")
    kind: str | None = Field(None, pattern=r"^[a-z_]{1,40}$")
    country: str | None = Field(None, pattern=r"^[A-Z]{2}$")
    unread: bool = Field(False, description=_UNREAD)
    due: bool = Field(False, description=_DUE)
    overdue: bool = Field(False, description=_OVERDUE)
    failed: bool = Field(False, description=_FAILED)
    assignee: AssigneeFilter | None = None
    tag_id: UUID | None = None
    sort: Sort = Field(
        Sort.NEWEST,
        description="newest: by the newest message. due: the earliest first, only those that wait.",
    )
    limit: int = Field(DEFAULT_PAGE, ge=1, le=MAX_PAGE)
    cursor: CursorField = None


class SearchRequest(ListRequest):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"q": "Lampe"}, {"q": "303-1234567-1234567", "status": "closed"}]},
    )

    q: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_QUERY,
            description="An order id, an address, or at most 50 words that are all in one message.",
        ),
        WithJsonSchema({"type": "string", "format": "search", "maxLength": MAX_QUERY}),
    ]
    # An address has texts only; JSON has values of these kinds.
    unread: StrictBool = Field(False, description=_UNREAD)
    due: StrictBool = Field(False, description=_DUE)
    overdue: StrictBool = Field(False, description=_OVERDUE)
    failed: StrictBool = Field(False, description=_FAILED)
    limit: WholeNumber = Field(DEFAULT_PAGE, ge=1, le=MAX_PAGE)


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ConversationChange(_Request):
    """What is left out stays as it is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"status": "closed"},
                {"unread": True},
                {"assignee_id": None},
                {"snoozed_until": "2026-11-30T08:00:00Z"},
            ],
            "not": {
                "required": ["status", "snoozed_until"],
                "properties": {one: {"type": "string"} for one in ("status", "snoozed_until")},
            },
        }
    )

    status: Literal["open", "closed"] | None = Field(
        None, description="Closing ends its answer clock, too. A new message opens it again."
    )
    unread: StrictBool | None = None
    snoozed_until: Time | None = Field(
        None,
        description="Until then it is snoozed: it opens again, unread, when the time has come or the buyer writes. Its answer clock goes on.",
    )
    assignee_id: UUID | None = Field(
        None, description="Whose it is; null: nobody's.", json_schema_extra=without_default
    )
    add_tag_ids: list[UUID] = Field([], max_length=_MAX_CHANGED_TAGS)
    remove_tag_ids: list[UUID] = Field([], max_length=_MAX_CHANGED_TAGS)

    @model_validator(mode="after")
    def _has_one_state(self) -> Self:
        if self.status is not None and self.snoozed_until is not None:
            raise PydanticCustomError("status_or_snooze", "either status or snoozed_until")
        return self


class MergeRequest(_Request):
    into: UUID = Field(description="The conversation that goes on.")


class SplitRequest(_Request):
    """Single messages, or one and all that came after it: one of the two."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"message_ids": ["0199f3a2-7c20-7e4d-8f33-3a0c8b2d1e4f"]},
                {"from_message_id": "0199f3a2-7c20-7e4d-8f33-3a0c8b2d1e4f"},
            ],
            "oneOf": [
                {"required": [one], "properties": {one: {"not": {"type": "null"}}, other: {"type": "null"}}}
                for one, other in (("message_ids", "from_message_id"), ("from_message_id", "message_ids"))
            ],
        }
    )

    message_ids: list[UUID] | None = Field(None, min_length=1, max_length=_MAX_SPLIT)
    from_message_id: UUID | None = Field(
        None, description="This message and all newer ones, however many they are."
    )

    @model_validator(mode="after")
    def _has_one_of_the_two(self) -> Self:
        if (self.message_ids is None) == (self.from_message_id is None):
            raise PydanticCustomError("messages_or_from", "either message_ids or from_message_id")
        return self


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


# What a list has a hundred of is a dictionary: a model of each costs as much time as the database.
class IntegrationOfConversation(TypedDict):
    id: UUID
    name: str | None


@with_config(json_schema_extra={"examples": [_CONVERSATION]})
class ConversationItem(TypedDict):
    id: UUID
    integration: IntegrationOfConversation
    buyer_name: Annotated[str | None, Field(description="As the mail names the buyer.")]
    subject: str | None
    snippet: Annotated[
        str | None,
        Field(
            description="The first words of the newest message, at most 160 characters on one line, without what it quotes. "
            "null if it has none, or came before there were snippets."
        ),
    ]
    order_id: str | None
    asin: Annotated[str | None, Field(description="The product, where the buyer asks about one.")]
    country: Annotated[
        str | None, Field(description="ISO 3166 code of the marketplace's country, if the mail tells it.")
    ]
    status: Annotated[
        Literal["open", "snoozed", "closed", "quarantine"],
        Field(
            description="quarantine: a mail that says it is Amazon's, and that is not proven, or that Amazon has sent to somebody else."
        ),
    ]
    kind: Annotated[
        str,
        Field(description=f"buyer_message if one of its messages is one; else that of the newest: {_KINDS}."),
    ]
    unread: Annotated[bool, Field(description="For all who read here, not for each.")]
    answer_due_at: Annotated[
        datetime | None,
        Field(
            description="When the earliest message that waits for an answer must have one; null if none waits."
        ),
    ]
    message_count: int
    last_message_at: datetime
    last_reply_at: Annotated[datetime | None, Field(description="When somebody last wrote a reply here.")]
    assignee_id: Annotated[UUID | None, Field(description="Whose it is; null: nobody's.")]
    tag_ids: Annotated[
        list[UUID],
        Field(description="Those of tags that are there; any other id is of one that was deleted."),
    ]
    snoozed_until: datetime | None
    has_files: Annotated[bool, Field(description="Whether one of its messages came with a file.")]
    has_failed_reply: Annotated[
        bool, Field(description="Whether a reply of it has not arrived, or perhaps not.")
    ]


class NotAnswerableAnswer(TypedDict):
    reason: NotAnswerableReason
    title: str
    cure: str


class WriterAnswer(TypedDict):
    user_id: UUID
    name: str
    since: datetime


@with_config(json_schema_extra={"examples": [_CONVERSATION | _ANSWERING]})
class ConversationAnswer(ConversationItem):
    not_answerable: Annotated[
        NotAnswerableAnswer | None,
        Field(description="Why nobody can be answered here; null if the buyer can."),
    ]
    being_answered_by: Annotated[
        list[WriterAnswer],
        Field(description="Colleagues who were typing an answer within the last 30 seconds."),
    ]
    undoable_merge_id: Annotated[
        UUID | None,
        Field(
            description="The newest merge into this conversation, for …/merges/{id}/undo; null if there is none, or none that can be undone."
        ),
    ]
    seller_central_url: Annotated[
        str,
        Field(
            description="Amazon's own page of this thread, where a seller also tells Amazon that no answer is needed: our mark does not."
        ),
    ]


@with_config(
    json_schema_extra={
        "examples": [
            {
                "source": _CONVERSATION,
                "target": _CONVERSATION,
                "merged": _CONVERSATION,
                "buyers_differ": False,
                "orders_differ": False,
            }
        ]
    }
)
class MergePreviewAnswer(TypedDict):
    source: Annotated[ConversationItem, Field(description="The one that would go away.")]
    target: Annotated[ConversationItem, Field(description="The one that would go on, as it is.")]
    merged: Annotated[ConversationItem, Field(description="The one that would go on, as it would be.")]
    buyers_differ: Annotated[
        bool, Field(description="Whether both buyers are known, and are not the same person.")
    ]
    orders_differ: Annotated[bool, Field(description="Whether both name an order, and not the same one.")]


class ConversationPage(TypedDict):
    items: list[ConversationItem]
    next_cursor: str | None


class ConversationCounts(_Answer):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "open": 38,
                    "mine": 4,
                    "unassigned": 30,
                    "unread": 5,
                    "due": 12,
                    "overdue": 1,
                    "failed": 0,
                    "snoozed": 2,
                    "quarantine": 0,
                }
            ],
        }
    )

    open: int = Field(description="Every number: 1000 means 1000 or more.")
    mine: int = Field(description="The caller's own open ones; 0 for a program with an API key.")
    unassigned: int = Field(description="Open ones that are nobody's.")
    unread: int
    due: int = Field(description="Those that wait for an answer, overdue ones among them.")
    overdue: int
    failed: int = Field(description="Those with a reply that has not arrived, or perhaps not.")
    snoozed: int
    quarantine: int


class AttachmentAnswer(_Answer):
    id: UUID
    filename: str = Field(description="Without paths, control characters and direction marks.")
    content_type: str = Field(
        description="What the sender claims; the download may answer with a safer type."
    )
    sniffed_type: str | None = Field(
        description="What the bytes are; null if it came before that was looked at."
    )
    inline: bool = Field(description="Whether the mail's HTML may show it.")
    scan: Literal["clean", "infected", "failed"] | None = Field(
        description="What the malware scanner said; null if there is none. What is infected is not given out."
    )
    size: int = Field(description="Bytes.")


class AuthenticityAnswer(_Answer):
    verdict: Literal["authentic", "misdirected", "forged", "uncheckable", "stranger", "not_checked"] = Field(
        description="authentic: proven to be Amazon's. misdirected: proven, and Amazon has addressed it to somebody else. "
        "forged, uncheckable: says that it is Amazon's, and is not proven to be. "
        "stranger: does not say so. not_checked: came before there was a check."
    )
    reason: str | None = Field(description="A stable code, such as display_name or body_changed.")
    sent_to: list[str] | None = Field(
        description="Whom Amazon's signature names as recipients, if the store's address is none of them; else null."
    )


class MessageItem(_Answer):
    model_config = ConfigDict(json_schema_extra={"examples": [_MESSAGE]})

    id: UUID
    conversation_id: UUID
    kind: str = Field(description=f"What the mail is about: {_KINDS}.")
    received_at: datetime
    sent_at: datetime | None = Field(description="What the sender claims.")
    subject: str | None
    sender_name: str | None
    sender_address: str | None
    text: str | None = Field(description="null only if it cannot be opened; see problem.")
    is_excerpt: bool = Field(
        description="Whether `text` is the buyer's own words, without Amazon's frame; else it is all that the mail says."
    )
    quoted_text: str | None = Field(description="What the buyer quotes of earlier mails.")
    has_html: bool = Field(description="Whether …/html shows it as it was formatted.")
    has_formatting: bool = Field(
        description="Whether …/html shows more than `text` with other line ends. Of mail that came before this was looked at, the same as has_html."
    )
    authenticity: AuthenticityAnswer
    from_amazon_domain: bool = Field(
        description="Whether the sender's address belongs to Amazon; no proof of who sent it."
    )
    order_ids: list[str]
    asin: str | None
    country: str | None
    # Not checked when it is answered: what an older parser has said is shown too.
    language: Annotated[str, WithJsonSchema({"type": "string", "enum": list(MESSAGE_LANGUAGES)})] | None = (
        Field(
            description="The language of the buyer's own words (of any other mail its text's), as an ISO 639-1 code, in Brazil pt-BR; null where it is not certain."
        )
    )
    failure_reason: str | None = Field(description="Of a delivery_failure, why: a stable code.")
    answer_due_at: datetime | None = Field(
        description="24 hours after it came, if Amazon counts them for it."
    )
    answer_settled_at: datetime | None = Field(
        description="When it was answered, or it was decided that it needs none."
    )
    truncated: bool = Field(description="Whether a limit has cut something; the raw mail has all of it.")
    size: int = Field(description="Bytes of the raw mail.")
    attachments: list[AttachmentAnswer]
    order_snapshots: list[OrderSnapshotAnswer] = Field(
        description="The conversation's orders as they were when the message came; empty while Amazon is asked, where it could not tell within a day, and for whoever may not see orders (`inbox.orders`)."
    )
    problem: Literal["seal_broken"] | None = Field(
        description="seal_broken: some of what is stored does not open and is left out."
    )


class MessageAnswer(MessageItem):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                _MESSAGE
                | {"authentication_results": "mx.replyco.email; dkim=pass header.d=marketplace.amazon.de"}
            ]
        }
    )

    authentication_results: str | None = Field(description="What was checked, in the form of RFC 8601.")


class MessagePage(_Answer):
    items: list[MessageItem]
    next_cursor: str | None


class VerificationMailAnswer(_Answer):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "message_id": "0199f3a2-7c20-7e4d-8f33-3a0c8b2d1e4f",
                    "received_at": "2026-11-23T08:59:01.204117Z",
                    "subject": "Verify your email address",
                    "code": "482913",
                    "text": "Your verification code is 482913.",
                }
            ]
        }
    )

    message_id: UUID
    received_at: datetime
    subject: str | None
    code: str | None = Field(description="null if none was recognised; then it stands in the text.")
    text: str | None = Field(description="The beginning of the mail.")


class VerificationMailList(_Answer):
    items: list[VerificationMailAnswer]
