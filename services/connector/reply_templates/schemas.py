"""What goes over the wire about templates of replies."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema
from pydantic_core import PydanticCustomError

from services.connector.http.request_types import Lines
from shared.languages import MESSAGE_LANGUAGES

MAX_TEMPLATE_CHARACTERS: Final = 4_000


def _known(value: str) -> str:
    if value not in MESSAGE_LANGUAGES:
        expected = ", ".join(MESSAGE_LANGUAGES)
        raise PydanticCustomError("enum", "not one of the known languages", {"expected": expected})
    return value


# One of those that a message can be said to be in.
TemplateLanguage = Annotated[
    str,
    AfterValidator(_known),
    WithJsonSchema({"type": "string", "enum": list(MESSAGE_LANGUAGES)}),
]
# The rule is `clean_name`'s; pydantic only bounds what it has to look at.
_Name = Annotated[
    str,
    Field(max_length=1_000),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 60}),
]
_Text = Annotated[Lines, Field(min_length=1, max_length=MAX_TEMPLATE_CHARACTERS)]
_WRITTEN: Final[dict[str, JsonValue]] = {
    "name": "On its way",
    "language": "en",
    "text": "Hello {{buyer_first_name}}, your order {{order_id}} is on its way.",
}
_EXAMPLE: Final[dict[str, JsonValue]] = {
    "id": "0199f3a2-9d40-7a1c-8e21-5f7b0c2d9a13",
    **_WRITTEN,
    "updated_at": "2026-11-28T09:12:44Z",
}


class TemplateRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [_WRITTEN]})

    name: _Name = Field(description="One line, up to 60 characters; once in each language.")
    language: TemplateLanguage = Field(description="The language of its text, as of messages.")
    text: _Text = Field(
        description="With placeholders such as {{order_id}}; one that is not known is refused."
    )


class TemplateChange(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"name": "Shipped"}]}
    )

    name: _Name | None = None
    language: TemplateLanguage | None = None
    text: _Text | None = None


class TemplateItem(BaseModel):
    """A template as it is chosen."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    name: str
    language: TemplateLanguage
    updated_at: datetime


class TemplateAnswer(TemplateItem):
    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_EXAMPLE]})

    text: str


class TemplateList(BaseModel):
    model_config = ConfigDict(frozen=True)

    items: list[TemplateItem] = Field(description="By language and name.")
    placeholders: list[str] = Field(description="What a text may name in double braces.")


class FilledTemplate(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "text": "Hello {{buyer_first_name}}, your order 303-1234567-1234567 is on its way.",
                    "missing": ["buyer_first_name"],
                }
            ]
        },
    )

    text: str = Field(description="Placeholders without a value stay; a reply that holds one is not sent.")
    missing: list[str]
