"""What goes over the wire about how long an account's data are kept."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from services.connector.http.request_types import SingleLine, WholeNumber, without_default

# The CHECKs of the table accounts.
_MOST_DAYS: Final = 3653
_EXAMPLE: Final[dict[str, JsonValue]] = {
    "messages_kept_days": 365,
    "longer_kept": {"days": 3285, "reason": "§ 147 AO"},
}


class LongerKept(BaseModel):
    """A law's longer duty: by how much longer than Amazon's rules say what came from the SP-API is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: WholeNumber = Field(ge=1, le=_MOST_DAYS)
    reason: SingleLine = Field(
        min_length=1, max_length=200, description="The law that demands it. Nothing of buyers."
    )


class RetentionAnswer(BaseModel):
    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_EXAMPLE]})

    messages_kept_days: int = Field(
        description="After the last message of a conversation, it is kept for so many days."
    )
    longer_kept: LongerKept | None = Field(
        description="Null: what came from the SP-API is kept no longer than Amazon's rules say."
    )


class RetentionRequest(BaseModel):
    """Fields that are left out stay as they are. What is over then is deleted for good within a night."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    messages_kept_days: WholeNumber = Field(0, ge=30, le=_MOST_DAYS, json_schema_extra=without_default)
    longer_kept: LongerKept | None = Field(
        None, description="Null: no longer.", json_schema_extra=without_default
    )
