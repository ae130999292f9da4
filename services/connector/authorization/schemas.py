"""What goes over the wire about marketplaces and attempts to authorize."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from services.connector.authorization.attempts import AttemptHint, AttemptProblem, AttemptStatus
from services.connector.authorization.consent_errors import WhoActs
from services.connector.authorization.links import MAX_LINK
from services.connector.marketplaces.countries import CountryAnswer
from shared.marketplaces import MARKETPLACES, Region


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class MarketplaceAnswer(_Answer):
    """A country in which a store can be connected. One consent covers all countries of `covers`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "country": "AU",
                    "name": "Australia",
                    "marketplace_id": "A39IBJ37TRP1C6",
                    "region": "fe",
                    "seller_central_host": "sellercentral.amazon.com.au",
                    "currency": "AUD",
                    "covers": [
                        {"country": "AU", "name": "Australia"},
                        {"country": "JP", "name": "Japan"},
                        {"country": "SG", "name": "Singapore"},
                    ],
                }
            ]
        }
    )

    country: str
    name: str
    marketplace_id: str
    region: Region
    seller_central_host: str
    currency: str
    covers: list[CountryAnswer]


class MarketplaceList(_Answer):
    items: list[MarketplaceAnswer]


class ConsentErrorAnswer(_Answer):
    """A code that Amazon shows on its own error page during the consent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "code": "SPDC8143",
                    "who_acts": "seller",
                    "title": "Only the primary user may consent",
                    "detail": "Sign in at Amazon with the primary user of the seller account.",
                }
            ]
        }
    )

    code: str
    who_acts: WhoActs
    title: str
    detail: str


class ConsentErrorList(_Answer):
    items: list[ConsentErrorAnswer]


# An unknown one is the service's `unknown_country`; pydantic only bounds what it has to look at.
Country = Annotated[
    str, Field(max_length=10), WithJsonSchema({"type": "string", "enum": [m.country for m in MARKETPLACES]})
]


def _exactly_one(*ways: str) -> list[JsonValue]:
    return [
        {
            "required": [way],
            "properties": {
                each: {"not": {"type": "null"}} if each == way else {"type": "null"} for each in ways
            },
        }
        for way in ways
    ]


class LinkRequest(BaseModel):
    """Either a country, for whichever store the seller signs in with, or the integration that is to be reconnected."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [{"country": "DE"}],
            "oneOf": _exactly_one("country", "integration_id"),
        },
    )

    country: Country | None = Field(
        None, description="The country of the store, as GET /marketplaces names it."
    )
    integration_id: UUID | None = Field(
        None,
        description="Reconnect this integration. Its country is known, and no other store's consent is taken.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.country is None) == (self.integration_id is None):
            raise PydanticCustomError("country_or_integration", "either country or integration_id")
        return self


class AuthorizationRequest(BaseModel):
    """A country, for whichever store the seller signs in with, the integration that is to be reconnected, or a link that asks for either."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [{"country": "DE"}],
            "oneOf": _exactly_one("country", "integration_id", "link"),
        },
    )

    country: Country | None = Field(
        None, description="The country of the store, as GET /marketplaces names it."
    )
    integration_id: UUID | None = Field(
        None,
        description="Reconnect this integration. Its country is known, and no other store's consent is taken.",
    )
    link: Annotated[str, Field(max_length=MAX_LINK)] | None = Field(
        None,
        description="The last part of a link of POST /authorization-links. It is spent by one authorization.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(way is not None for way in (self.country, self.integration_id, self.link)) != 1:
            raise PydanticCustomError(
                "country_integration_or_link", "one of country, integration_id and link"
            )
        return self


class LinkAnswer(_Answer):
    """A link to hand to a colleague, or, by a program, to open in the browser of whoever sits before it: good for whoever signs in to this account and may authorize stores."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"url": "https://app.example/connect/link/gqF0…", "expires_at": "2026-11-30T09:12:44Z"}
            ]
        }
    )

    url: str
    expires_at: datetime


class AuthorizedAnswer(_Answer):
    """A store that was authorized after a colleague had asked for it, or for one of its region."""

    integration_id: UUID
    name: str | None
    consented_at: datetime


class BegunByAnswer(_Answer):
    """A colleague who has begun with the same link and may be at Amazon just now."""

    name: str | None
    begun_at: datetime


class LinkedAnswer(_Answer):
    """What a colleague or a program (`asked_by_program`) asks for by a link, what came of it (`authorized`: then it is spent), and what it may have meant that was `authorized_since`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "asked_by": "Jana Weber",
                    "asked_by_program": False,
                    "country": "DE",
                    "country_name": "Germany",
                    "integration_id": None,
                    "integration_name": None,
                    "expires_at": "2026-11-30T09:12:44Z",
                    "begun": [],
                    "authorized": None,
                    "authorized_since": [
                        {
                            "integration_id": "0199f3a2-6b10-7d2a-8c11-2f9a7b1c0d3e",
                            "name": "Amazon Europa",
                            "consented_at": "2026-11-28T08:02:11Z",
                        }
                    ],
                }
            ]
        }
    )

    asked_by: str | None
    asked_by_program: bool = Field(description="Then `asked_by` is the name of an API key.")
    country: str | None
    country_name: str | None
    integration_id: UUID | None
    integration_name: str | None
    expires_at: datetime
    begun: list[BegunByAnswer] = Field(
        description="Others who have begun with it within the last ten minutes."
    )
    authorized: AuthorizedAnswer | None
    authorized_since: list[AuthorizedAnswer]


class AttemptProblemAnswer(_Answer):
    """`region` and `countries` tell, for `region_mismatch`, where the store belongs."""

    code: AttemptProblem
    title: str
    detail: str
    region: Region | None = None
    countries: list[CountryAnswer] = []


class HintAnswer(_Answer):
    """A hint that the page shows before people go on to Amazon."""

    code: AttemptHint
    title: str
    detail: str


class AuthorizationAnswer(_Answer):
    """One attempt to authorize. It ends as connected, reauthorized, failed or expired."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0199f3a2-6a01-7b3c-9e4d-5f60718293a4",
                    "reconnects": None,
                    "country": "DE",
                    "region": "eu",
                    "covers": [{"country": "DE", "name": "Germany"}, {"country": "FR", "name": "France"}],
                    "status": "waiting",
                    "consent_url": "https://sellercentral-europe.amazon.com/apps/authorize/consent?application_id=…",
                    "expires_at": "2026-11-23T09:22:44Z",
                    "integration_id": None,
                    "problem": None,
                    "hint": None,
                }
            ]
        }
    )

    id: UUID
    reconnects: UUID | None = Field(description="The integration that it is to reconnect.")
    country: str
    region: Region
    covers: list[CountryAnswer]
    status: AttemptStatus
    consent_url: str | None = Field(
        description="Only while the attempt is waiting, and only in the browser in which it was begun."
    )
    expires_at: datetime
    integration_id: UUID | None
    problem: AttemptProblemAnswer | None
    hint: HintAnswer | None = Field(
        description="`sign_out_first`: the browser may be signed in at Amazon with another store."
    )


class AuthorizationList(_Answer):
    items: list[AuthorizationAnswer]
