"""What goes over the wire about the end of an account."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from services.connector.http.request_types import SingleLine


class ClosureRequest(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"account_name": "Lampenladen GmbH"}]}
    )

    account_name: SingleLine = Field(
        min_length=1, max_length=200, description="The account's name, typed by whoever closes it."
    )


class ClosureAnswer(BaseModel):
    model_config = ConfigDict(frozen=True)

    closed_at: datetime
    erase_after: datetime = Field(
        description="Until then an operator can reopen the account. After it, everything is erased for good."
    )
