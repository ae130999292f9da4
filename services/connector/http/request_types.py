"""Kinds of values that the requests of several rooms have."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

# Nothing that we keep is outside of these, and some moments there have no form in UTC or in an id.
_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(9000, 1, 1, tzinfo=UTC)
# What turns the direction of a text, and what has no width. What joins letters (U+200C, U+200D) and marks (U+200E, U+200F) belong to languages.
_UNSEEN: Final = re.compile("[\u00ad\u200b\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def without_control_characters(value: str) -> str:
    """The text as it is; control characters are a mistake of the request, `control_characters`."""
    # PostgreSQL stores no NUL, SMTP separates by them; the others have no business in a line of text.
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise PydanticCustomError("control_characters", "control characters are not allowed")
    return value


def _lines(value: str) -> str:
    """The text with line feeds for all line ends; of control characters, tabs stay and the others are a mistake of the request."""
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    without_control_characters(text.replace("\n", " ").replace("\t", " "))
    return text


def _name(value: str) -> str:
    """The name without what nobody sees: a name must neither turn the text around it, nor look like nothing or like another one."""
    seen = _UNSEEN.sub("", value).strip()
    if not seen:
        raise PydanticCustomError(
            "string_too_short", "String should have at least {min_length} character", {"min_length": 1}
        )
    return seen


def _a_number(value: object) -> object:
    # 24.0 is a whole number in JSON; "24" and true are none, whatever Python makes of them.
    if isinstance(value, (str, bool)):
        raise PydanticCustomError("int_type", "not a whole number")
    return value


def _a_date(value: object) -> object:
    # Pydantic takes numbers, too, for seconds or milliseconds: who sends one is not guessed at.
    if not isinstance(value, str) or _DATE.match(value) is None:
        raise PydanticCustomError("datetime_parsing", "not a time of RFC 3339")
    return value


def _possible(value: datetime) -> datetime:
    return min(max(value, _FIRST), _LAST).astimezone(UTC)


SingleLine = Annotated[
    str,
    StringConstraints(strip_whitespace=True),
    AfterValidator(without_control_characters),
    Field(json_schema_extra={"format": "line"}),
]
# What people call somebody or something, for others to read in lists, logs and mails.
NameLine = Annotated[SingleLine, AfterValidator(_name)]
# A text of any number of lines. What is blank before or after it is not part of it.
Lines = Annotated[
    str,
    StringConstraints(strip_whitespace=True),
    AfterValidator(_lines),
    Field(json_schema_extra={"format": "lines"}),
]
# The same, with what is blank before and after it: a text that is still being written.
LinesAsTyped = Annotated[str, AfterValidator(_lines), Field(json_schema_extra={"format": "lines"})]
# RFC 3339, with its zone.
Time = Annotated[AwareDatetime, BeforeValidator(_a_date)]
# One that bounds a part of a log: beyond what there can be, it means all.
Moment = Annotated[Time, AfterValidator(_possible)]
WholeNumber = Annotated[int, BeforeValidator(_a_number)]
# Its bounds are `decode_cursor`'s: whatever is wrong with it, the answer is the same.
CursorField = Annotated[
    Annotated[str, WithJsonSchema({"type": "string", "format": "cursor"})] | None,
    Field(description="Where to go on: `next_cursor` of the page before."),
]


def without_default(schema: JsonDict) -> None:
    """For the description of a field that changes nothing when it is left out, whatever Python needs to have there."""
    schema.pop("default")
