"""What goes over the wire about a seller's own SMTP server. The password goes one way only."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr
from pydantic_core import PydanticCustomError

from shared.tables import SmtpCheck, TlsMode


def _without_control_characters(value: str) -> str:
    # They separate user and password in the sign-in, and commands from each other.
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise PydanticCustomError("control_characters", "control characters are not allowed")
    return value


def _secret_without_control_characters(value: SecretStr) -> SecretStr:
    _without_control_characters(value.get_secret_value())
    return value


Password = Annotated[
    SecretStr, Field(min_length=1, max_length=1000), AfterValidator(_secret_without_control_characters)
]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class SmtpRequest(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "host": "smtp.example.com",
                    "port": 587,
                    "tls_mode": "starttls",
                    "username": "shop@example.com",
                    "password": "correct horse battery",
                    "sender_address": "shop@example.com",
                }
            ]
        },
    )

    # The rules of host and sender are the service's; this only bounds what it has to look at.
    host: str = Field(min_length=1, max_length=253, description="Its full name in the public DNS.")
    port: int = Field(ge=1, le=65535, description="465, 587 or 2525, unless the operators allow others.")
    tls_mode: TlsMode = Field(
        description="`tls` from the first byte (port 465), `starttls` otherwise. Never without."
    )
    username: Annotated[str, AfterValidator(_without_control_characters)] = Field(
        min_length=1, max_length=256
    )
    password: Password | None = Field(
        None,
        description="Never shown again. Left out, the stored one stays, as long as host, port and username stay, too.",
    )
    sender_address: str = Field(
        min_length=1, max_length=320, description="The address from which the server sends."
    )


class SmtpCheckAnswer(_Answer):
    """How a test ended."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "result": "auth",
                    "at": "2026-11-24T09:12:44Z",
                    "title": "The server refuses the sign-in",
                    "cure": "Check user name and password. Some providers want a password of its own for programs.",
                }
            ]
        }
    )

    result: SmtpCheck
    at: datetime
    title: str
    cure: str


class SmtpAnswer(_Answer):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "host": "smtp.example.com",
                    "port": 587,
                    "tls_mode": "starttls",
                    "username": "shop@example.com",
                    "sender_address": "shop@example.com",
                    "check": None,
                    "updated_at": "2026-11-24T09:12:44Z",
                }
            ]
        }
    )

    host: str
    port: int
    tls_mode: TlsMode
    username: str
    sender_address: str
    check: SmtpCheckAnswer | None = Field(
        description="The last test of what is stored; null if there was none."
    )
    updated_at: datetime
