"""What goes over the wire about a seller's own SMTP server. The password goes one way only."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, WithJsonSchema

from services.connector.http.request_types import WholeNumber, without_control_characters
from shared.tables import SmtpCheck, TlsMode


def _secret_without_control_characters(value: SecretStr) -> SecretStr:
    without_control_characters(value.get_secret_value())
    return value


Password = Annotated[
    SecretStr, Field(min_length=1, max_length=1000), AfterValidator(_secret_without_control_characters)
]

# The rules of host and sender are `hosts.py`'s and `senders.py`'s; pydantic only bounds what they have to look at.
Host = Annotated[
    str,
    Field(min_length=1, max_length=253),
    WithJsonSchema({"type": "string", "format": "hostname", "maxLength": 253}),
]
Sender = Annotated[
    str,
    Field(min_length=1, max_length=320),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
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

    host: Host = Field(description="Its full name in the public DNS.")
    port: WholeNumber = Field(
        ge=1, le=65535, description="465, 587 or 2525, unless the operators allow others."
    )
    tls_mode: TlsMode = Field(
        description="`tls` from the first byte (port 465), `starttls` otherwise. Never without."
    )
    username: Annotated[str, AfterValidator(without_control_characters)] = Field(
        min_length=1, max_length=256, json_schema_extra={"format": "line"}
    )
    password: Password | None = Field(
        None,
        description="Never shown again. Left out, the stored one stays, as long as host, port and username stay, too.",
    )
    sender_address: Sender = Field(description="The address from which the server sends.")


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
