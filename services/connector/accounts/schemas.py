"""What goes over the wire about callers, sessions and API keys."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from services.connector.accounts.callers import Caller
from services.connector.accounts.credentials import csrf_token
from services.connector.accounts.me import Me
from services.connector.http.request_types import NameLine, Time, without_default
from shared.permissions import Level, Permission
from shared.tables import Account

_TIME_ZONES = frozenset(available_timezones())


def _known_time_zone(value: str) -> str:
    if value not in _TIME_ZONES:
        raise PydanticCustomError("unknown_time_zone", "not a time zone of the IANA database")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        # The last evening of the year 9999 in New York: it has no form in UTC, and PostgreSQL's driver fails on it.
        raise PydanticCustomError("impossible_time", "this time cannot be stored") from None


TimeZone = Annotated[
    str, AfterValidator(_known_time_zone), WithJsonSchema({"type": "string", "format": "time-zone"})
]
KeyName = Annotated[NameLine, Field(min_length=1, max_length=60)]
Levels = dict[Permission, Level]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UserAnswer(_Answer):
    id: UUID
    email: str
    name: str
    language: str
    time_zone: str
    form_of_address: str | None = Field(
        description="How German pages address them, du or sie; null is as the account does."
    )


class AccountAnswer(_Answer):
    id: UUID
    name: str
    form_of_address: str = Field(
        description="How German pages address whoever has chosen nothing else: du or sie."
    )


class AccountRequest(_Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{"form_of_address": "sie"}]})

    form_of_address: Literal["du", "sie"]


def account_answer(account: Account) -> AccountAnswer:
    """What everybody of an account is told about it."""
    return AccountAnswer(id=account.id, name=account.name, form_of_address=account.form_of_address)


class MeAnswer(_Answer):
    """`user` and `csrf_token` are null for a program with an API key."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user": {
                        "id": "0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f",
                        "email": "admin@seller.example",
                        "name": "Anna Beispiel",
                        "language": "de",
                        "time_zone": "Europe/Berlin",
                        "form_of_address": "du",
                    },
                    "account": {
                        "id": "0199f3a2-5a4f-7b60-9d0c-4b7a5d1e2f30",
                        "name": "Lampenladen GmbH",
                        "form_of_address": "du",
                    },
                    "permissions": {
                        "general.admin": "edit",
                        "general.programs": "edit",
                        "inbox.messages": "edit",
                        "inbox.orders": "view",
                        "inbox.replies": "edit",
                    },
                    "needs_second_factor": False,
                    "csrf_token": "7hJc0yq2iJx0m1n9b1k3f5d7s9a2c4e6g8i0k2m4o6Q",
                }
            ]
        }
    )

    user: UserAnswer | None
    account: AccountAnswer
    permissions: Levels
    needs_second_factor: bool = Field(
        description="The account demands a second factor, and the user has none: until then they may do nothing else."
    )
    csrf_token: str | None


def me_answer(caller: Caller, me: Me, session_token: str | None) -> MeAnswer:
    """What somebody is told about themselves; `session_token` is their cookie's."""
    user = me.user
    return MeAnswer(
        user=None
        if user is None
        else UserAnswer(
            id=user.id,
            email=user.email,
            name=user.name,
            language=user.language,
            time_zone=user.time_zone,
            form_of_address=user.form_of_address,
        ),
        account=account_answer(me.account),
        permissions=dict(caller.levels),
        needs_second_factor=caller.lacks_second_factor,
        csrf_token=csrf_token(session_token) if caller.is_browser and session_token else None,
    )


class MeRequest(_Request):
    """Fields that are left out stay as they are."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"language": "de", "time_zone": "Europe/Berlin"}]}
    )

    name: NameLine | None = Field(None, min_length=1, max_length=100)
    language: Literal["de", "en"] | None = None
    time_zone: TimeZone | None = None
    form_of_address: Literal["du", "sie"] | None = Field(
        None, description="null is as the account does.", json_schema_extra=without_default
    )


class ApiKeyRequest(_Request):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "Helpdesk", "permissions": {"general.admin": "view", "inbox.messages": "view"}},
                {"name": "Answers", "permissions": {"inbox.messages": "edit", "inbox.replies": "edit"}},
            ]
        }
    )

    name: KeyName
    permissions: Levels = Field(description="What is left out is none.")
    expires_at: Annotated[Time, AfterValidator(_in_utc)] | None = None


class ApiKeyAnswer(_Answer):
    id: UUID
    name: str
    hint: str = Field(description="The last four characters of the key.")
    permissions: Levels
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class NewApiKeyAnswer(ApiKeyAnswer):
    key: str = Field(description="The key itself, told only this once.", examples=["rk_…"])


class ApiKeyPage(_Answer):
    items: list[ApiKeyAnswer]
    next_cursor: str | None
