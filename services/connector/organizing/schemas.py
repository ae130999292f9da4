"""What goes over the wire about tags, saved views, muted kinds, and changes of many conversations."""

from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, WithJsonSchema
from pydantic.config import JsonDict

from services.connector.inbox.listing import Sort
from services.connector.inbox.schemas import AssigneeFilter, ConversationChange
from services.connector.organizing.bulk_changes import MAX_CONVERSATIONS
from shared.tables import ConversationStatus, MutableKind

_ID: Final = "0199f3a2-9d40-7a1c-8e21-5f7b0c2d9a13"
_CONVERSATION: Final = "0199f3a2-6b10-7d2a-8c11-2f9a7b1c0d3e"
# The rule is `clean_name`'s; pydantic only bounds what it has to look at.
_Name = Annotated[
    str,
    Field(max_length=1_000),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 60}),
]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class TagRequest(_Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Refund"}]})

    name: _Name = Field(description="One line, up to 60 characters; once in an account, in whatever case.")


class TagAnswer(_Answer):
    model_config = ConfigDict(json_schema_extra={"examples": [{"id": _ID, "name": "Refund"}]})

    id: UUID
    name: str


class TagDetailAnswer(TagAnswer):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": _ID, "name": "Refund", "conversation_count": 12}]}
    )

    conversation_count: int = Field(description="How many conversations have it.")


class TagList(_Answer):
    items: list[TagAnswer] = Field(description="By name; a hundred at most.")


class ViewFilters(_Request):
    """As in the query of the list. What is searched for has no place here: it may be a buyer's."""

    status: ConversationStatus | None = None
    integration_id: UUID | None = None
    kind: str | None = Field(None, pattern=r"^[a-z_]{1,40}$")
    country: str | None = Field(None, pattern=r"^[A-Z]{2}$")
    assignee: AssigneeFilter | None = None
    tag_id: UUID | None = None
    unread: StrictBool = False
    due: StrictBool = False
    overdue: StrictBool = False
    failed: StrictBool = False
    sort: Sort = Sort.NEWEST


_VIEW: Final[JsonDict] = {"name": "Refunds in Germany", "filters": {"status": "open", "country": "DE"}}


class SavedViewRequest(_Request):
    model_config = ConfigDict(json_schema_extra={"examples": [_VIEW]})

    name: _Name
    filters: ViewFilters


class ViewNameRequest(_Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Refunds in France"}]})

    name: _Name


class SavedViewAnswer(_Answer):
    model_config = ConfigDict(json_schema_extra={"examples": [{"id": _ID, **_VIEW}]})

    id: UUID
    name: str
    filters: ViewFilters


class SavedViewList(_Answer):
    items: list[SavedViewAnswer] = Field(description="The oldest first; thirty at most.")


class MutedKinds(_Answer):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"muted": ["order_notice"], "mutable": [kind.value for kind in MutableKind]}]
        }
    )

    muted: list[MutableKind] = Field(description="Mails of these kinds arrive closed and read.")
    mutable: list[MutableKind] = Field(description="What can be muted.")


class NamedAnswer(_Answer):
    id: UUID
    name: str | None


class NamedList(_Answer):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [{"id": _ID, "name": "Amazon Europa"}]}]}
    )

    items: list[NamedAnswer] = Field(description="By name; 500 at most.")


class BulkChangeRequest(_Request):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"conversation_ids": [_CONVERSATION], "change": {"status": "closed"}}]
        }
    )

    conversation_ids: list[UUID] = Field(min_length=1, max_length=MAX_CONVERSATIONS)
    change: ConversationChange


class RefusedAnswer(_Answer):
    conversation_id: UUID
    code: Literal["not_found", "conversation_merged", "conversation_in_quarantine"]


class BulkChangeAnswer(_Answer):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": _ID, "changed": [_CONVERSATION], "unchanged": [], "refused": []}]
        }
    )

    id: UUID | None = Field(
        description="By this it can be undone for ten minutes; null if nothing was changed."
    )
    changed: list[UUID]
    unchanged: list[UUID] = Field(description="Those that were so already.")
    refused: list[RefusedAnswer] = Field(description="Those that were left alone, and why.")


class UndoAnswer(_Answer):
    model_config = ConfigDict(json_schema_extra={"examples": [{"restored": [_CONVERSATION], "left": []}]})

    restored: list[UUID]
    left: list[UUID] = Field(description="Those that somebody has changed since: they stay as they are.")
