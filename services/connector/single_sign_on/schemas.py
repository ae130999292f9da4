"""What goes over the wire about single sign-on."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from services.connector.http.request_types import SingleLine
from services.connector.single_sign_on.metadata import Failure
from services.connector.users.schemas import Levels
from shared.permissions import Level, Permission

Issuer = Annotated[
    SingleLine,
    Field(
        min_length=1,
        max_length=500,
        description="As the provider calls itself, to the letter: an https address.",
        json_schema_extra={"format": "uri"},
        examples=["https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0"],
    ),
]
ClaimName = Annotated[SingleLine, Field(min_length=1, max_length=200)]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class BeginRequest(_Request):
    """An e-mail address, whose domain decides, or the account of a sign-in page of its own."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"email": "erika@seller.example"}],
            "oneOf": [
                {
                    "required": [way],
                    "properties": {way: {"not": {"type": "null"}}, other: {"type": "null"}},
                }
                for way, other in (("email", "account_id"), ("account_id", "email"))
            ],
        }
    )

    email: Annotated[SingleLine, Field(min_length=1, max_length=254)] | None = None
    account_id: UUID | None = None
    return_to: Annotated[str, Field(max_length=2000)] = Field(
        "/", description="One of our pages. Anything else leads to the start page."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.email is None) == (self.account_id is None):
            raise PydanticCustomError("one_way", "exactly one way is needed")
        return self


class BegunAnswer(_Answer):
    """Where the browser goes now. The answer comes back to the same browser only."""

    url: str = Field(repr=False)
    expires_at: datetime


class LevelRuleBody(_Request):
    value: Annotated[SingleLine, Field(min_length=1, max_length=200)]
    permissions: Levels


class SingleSignOnRequest(_Request):
    """The whole provider; what is left out has its default."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "issuer": "https://login.example.com",
                    "client_id": "replyco",
                    "client_secret": "…",
                    "creates_users": True,
                    "new_user_permissions": {"inbox.messages": "edit", "inbox.orders": "view"},
                }
            ]
        }
    )

    issuer: Issuer
    client_id: Annotated[SingleLine, Field(min_length=1, max_length=500)]
    client_secret: Annotated[SecretStr, Field(min_length=1, max_length=2000)] | None = Field(
        None, description="Left out, the one from before goes on, as long as issuer and client id do."
    )
    level_claim: ClaimName | None = Field(
        None,
        description="The claim that says what somebody may do, such as `groups`. Null: permissions are given here alone.",
    )
    level_rules: Annotated[list[LevelRuleBody], Field(max_length=50)] = []
    creates_users: StrictBool = Field(
        False,
        description="Whether somebody with an address of a proven domain becomes a user at their first sign-in.",
    )
    new_user_permissions: Levels = Field(
        {}, description="What such a user may do, and with a claim the least that everybody may."
    )
    is_only: StrictBool = Field(False, description="Whether nobody signs in by password or passkey.")
    needs_proof_of_factors: StrictBool = Field(
        False,
        description="Whether the provider has to say in `amr` that there were two factors, where the account demands a second one.",
    )


class LevelRuleAnswer(_Answer):
    value: str
    permissions: dict[Permission, Level]


class ProviderAnswer(_Answer):
    """The provider. Its client secret is never told."""

    issuer: str
    client_id: str
    level_claim: str | None
    level_rules: list[LevelRuleAnswer]
    creates_users: bool
    new_user_permissions: dict[Permission, Level]
    is_only: bool
    needs_proof_of_factors: bool
    changed_at: datetime


class DomainAnswer(_Answer):
    """A mail domain, and the TXT record by which its DNS says whose it is."""

    id: UUID
    domain: str
    record_name: str
    record_value: str
    proven_at: datetime | None


class SingleSignOnAnswer(_Answer):
    redirect_uri: str = Field(description="To be entered at the provider.")
    sign_in_url: str = Field(description="The account's own sign-in page.")
    provider: ProviderAnswer | None
    domains: list[DomainAnswer]


class TestRequest(_Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{"issuer": "https://login.example.com"}]})

    issuer: Issuer | None = Field(None, description="Null: the one that is set.")


class TestAnswer(_Answer):
    """`failure` and `detail` are null if the provider can be signed in with, as far as it says itself."""

    failure: Failure | None
    detail: str | None


class DomainRequest(_Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{"domain": "seller.example"}]})

    domain: Annotated[
        SingleLine, Field(min_length=1, max_length=253, json_schema_extra={"format": "hostname"})
    ]
