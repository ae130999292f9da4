"""What goes over the wire about signing in."""

from datetime import datetime
from typing import Annotated, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from services.connector.http.request_types import SingleLine
from services.connector.second_factors.schemas import Code, Credential, Options
from shared.tables import SignInMethod

# Longer than any that may be chosen today: an older password is wrong or right, not malformed.
_LONGEST_PASSWORD: Final = 256
_TOKEN: Final = 100

Password = Annotated[str, Field(min_length=1, max_length=_LONGEST_PASSWORD)]


def _one_of(*ways: str) -> JsonDict:
    """For the description of a request that takes exactly one of these."""
    return {
        "oneOf": [
            {
                "required": [way],
                "properties": {
                    other: {"not": {"type": "null"}} if other == way else {"type": "null"} for other in ways
                },
            }
            for way in ways
        ]
    }


def _require_one(*ways: object) -> None:
    if sum(way is not None for way in ways) != 1:
        raise PydanticCustomError("one_way", "exactly one way is needed")


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class SignInRequest(_Request):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"email": "admin@seller.example", "password": "correct horse battery"}]
        }
    )

    email: SingleLine = Field(min_length=1, max_length=254)
    password: Password = Field(repr=False)


class SecondStepAnswer(_Answer):
    """The password is right, and nobody is signed in yet."""

    takes_codes: bool = Field(description="A code of an authenticator app, or a recovery code, is one way.")
    passkey_options: Options | None = Field(description="A passkey is another way; null if there is none.")
    expires_at: datetime


class SecondStepRequest(_Request):
    """One of both."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"code": "123456"}], **_one_of("code", "passkey")}
    )

    code: Code | None = Field(None, repr=False)
    passkey: Credential | None = Field(None, repr=False)

    @model_validator(mode="after")
    def _one(self) -> Self:
        _require_one(self.code, self.passkey)
        return self


class PasskeySignInRequest(_Request):
    passkey: Credential = Field(repr=False)


class ConfirmRequest(_Request):
    """Proof that whoever is signed in is there: one of the three."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"password": "correct horse battery"}],
            **_one_of("password", "code", "passkey"),
        }
    )

    password: Password | None = Field(None, repr=False)
    code: Code | None = Field(None, repr=False)
    passkey: Credential | None = Field(None, repr=False)

    @model_validator(mode="after")
    def _one(self) -> Self:
        _require_one(self.password, self.code, self.passkey)
        return self


class SessionItem(_Answer):
    id: UUID
    browser: str | None = Field(description="Null for a session from before it was written down.")
    network: str | None
    method: SignInMethod
    created_at: datetime
    last_seen_at: datetime
    is_current: bool


class SessionList(_Answer):
    items: list[SessionItem]


class PasswordChangeRequest(_Request):
    """`current` may be left out by whoever has lately proved who they are."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"current": "correct horse battery", "new": "vier Lampen im Keller"}]}
    )

    current: Password | None = Field(None, repr=False)
    new: Password = Field(repr=False)


class PasswordResetRequest(_Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "admin@seller.example"}]})

    email: SingleLine = Field(min_length=1, max_length=254)


class NewPasswordRequest(_Request):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"token": "…", "new": "vier Lampen im Keller"}]}
    )

    token: str = Field(min_length=1, max_length=_TOKEN, repr=False)
    new: Password = Field(repr=False)
