"""What goes over the wire about signing in."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from services.connector.http.request_types import SingleLine

# Longer than any that may be chosen today: an older password is wrong or right, not malformed.
_LONGEST_PASSWORD: Final = 256


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SignInRequest(_Request):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"email": "admin@seller.example", "password": "correct horse battery"}]
        }
    )

    email: SingleLine = Field(min_length=1, max_length=254)
    password: str = Field(min_length=1, max_length=_LONGEST_PASSWORD, repr=False)


class ConfirmRequest(_Request):
    """Proof that whoever is signed in is there."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"password": "correct horse battery"}]})

    password: str = Field(min_length=1, max_length=_LONGEST_PASSWORD, repr=False)
