"""What goes over the wire about the people of an account."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from services.connector.accounts.levels import PERMISSIONS_OF_PEOPLE
from services.connector.accounts.schemas import TimeZone
from services.connector.http.request_types import NameLine, SingleLine
from shared.permissions import Level, Permission

# One mailbox, and nothing by which a header could name another one.
_ADDRESS: Final = re.compile(r"[^\s@,;:<>()\"\\]+@[^\s@,;:<>()\"\\.]+(\.[^\s@,;:<>()\"\\.]+)+")


def _address(value: str) -> str:
    if _ADDRESS.fullmatch(value) is None:
        raise PydanticCustomError("email", "not an e-mail address")
    return value


def _of_people(value: Permission) -> Permission:
    if value not in PERMISSIONS_OF_PEOPLE:
        raise PydanticCustomError("not_of_people", "whoever may edit inbox.messages may reply")
    return value


Email = Annotated[
    SingleLine,
    Field(min_length=3, max_length=254, json_schema_extra={"format": "email"}),
    AfterValidator(_address),
]
PersonPermission = Annotated[
    Permission,
    AfterValidator(_of_people),
    WithJsonSchema({"type": "string", "enum": [each.value for each in PERMISSIONS_OF_PEOPLE]}),
]
Levels = dict[PersonPermission, Level]
Name = Annotated[NameLine, Field(min_length=1, max_length=100)]
LinkToken = Annotated[str, Field(min_length=1, max_length=100, repr=False)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UserStatus(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"


class UserItem(_Answer):
    id: UUID
    name: str
    email: str
    general_admin: Level
    status: UserStatus
    permissions: dict[Permission, Level]
    has_second_factor: bool
    has_company_account: bool = Field(description="Whether they have signed in at the account's provider.")
    last_seen_at: datetime | None = Field(description="In a session that has not ended.")
    created_at: datetime
    disabled_at: datetime | None


class UserPage(_Answer):
    items: list[UserItem]
    next_cursor: str | None


class UserDetail(UserItem):
    integrations: int = Field(description="Stores that this user owns.")
    webhooks: int
    api_keys: int


class UserRequest(_Request):
    """Permissions that are left out stay as they are."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"permissions": {"inbox.messages": "view"}}]})

    permissions: Levels


class InvitationRequest(_Request):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "email": "erika@seller.example",
                    "permissions": {"inbox.messages": "edit", "inbox.orders": "view"},
                }
            ]
        }
    )

    email: Email
    name: Name | None = None
    language: Literal["de", "en"] = "de"
    permissions: Levels


class InvitationItem(_Answer):
    id: UUID
    email: str
    name: str | None
    language: str
    permissions: dict[Permission, Level]
    invited_by: str | None
    created_at: datetime
    expires_at: datetime
    is_expired: bool


class InvitationList(_Answer):
    items: list[InvitationItem]


class LookRequest(_Request):
    token: LinkToken


class OfferAnswer(_Answer):
    account_name: str
    email: str
    name: str | None
    language: str
    invited_by: str | None


class AcceptRequest(_Request):
    token: LinkToken
    name: Name
    # Too short or too long is answered with a sentence that says so.
    password: str = Field(min_length=1, max_length=256, repr=False)
    time_zone: TimeZone = "UTC"
