"""What goes over the wire about second factors."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.connector.http.request_types import NameLine, WholeNumber, without_default
from shared.tables import SecondFactor

Code = Annotated[
    str,
    Field(
        min_length=1,
        max_length=40,
        description="Six digits of an authenticator app, or a recovery code. Spaces and hyphens do not count.",
        examples=["123456", "7K2M-QX4D-01ZT-9WBC"],
    ),
]
Credential = Annotated[
    dict[str, Any],
    Field(
        description="What the browser made of the options: the JSON of a `PublicKeyCredential` (Web Authentication Level 3 §5.1).",
    ),
]
Options = Annotated[
    dict[str, Any],
    Field(description="What the browser's `navigator.credentials` is called with, as JSON (Web Authentication Level 3 §5.1)."),
]  # fmt: skip
PasskeyName = Annotated[NameLine, Field(min_length=1, max_length=60, examples=["Telefon"])]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PasskeyAnswer(_Answer):
    id: UUID
    name: str
    created_at: datetime
    last_used_at: datetime | None


class SecondFactorAnswer(_Answer):
    """What the caller has beside their password."""

    is_required: bool = Field(description="The account demands a second factor of this user.")
    has_password: bool
    has_company_account: bool = Field(
        description="They have signed in at their company's provider, and can prove there who they are."
    )
    is_company_account_only: bool = Field(description="Neither password nor passkey lets them in.")
    authenticator_since: datetime | None
    passkeys: list[PasskeyAnswer]
    recovery_codes_left: int


class NewAuthenticatorAnswer(_Answer):
    """The key of an app, told only this once. It counts when a first code of it was sent."""

    key: str = Field(examples=["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"])
    uri: str = Field(description="What the picture says.")
    picture: str = Field(description="An SVG to be scanned.")


class CodeRequest(_Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "123456"}]})

    code: Code = Field(repr=False)


class RecoveryCodesAnswer(_Answer):
    """Codes that let in whoever has lost their second factor, each once. They are told only this once."""

    recovery_codes: list[str] | None = Field(description="Null if those from before go on.")


class OptionsAnswer(_Answer):
    options: Options


class PasskeyRequest(_Request):
    name: PasskeyName
    credential: Credential = Field(repr=False)


class PasskeyNameRequest(_Request):
    name: PasskeyName


class NewPasskeyAnswer(RecoveryCodesAnswer):
    passkey: PasskeyAnswer


class SecurityAnswer(_Answer):
    """What the account demands of those who sign in."""

    second_factor: SecondFactor = Field(description="Who has to have one.")
    admin_session_hours: int
    admin_idle_minutes: int


class SecurityRequest(_Request):
    """Fields that are left out stay as they are."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"second_factor": "everybody"}]})

    second_factor: SecondFactor | None = Field(None, json_schema_extra=without_default)
    admin_session_hours: WholeNumber = Field(0, ge=1, le=168, json_schema_extra=without_default)
    admin_idle_minutes: WholeNumber = Field(0, ge=5, le=720, json_schema_extra=without_default)
