"""What goes over the wire about marketplaces and attempts to authorize."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.connector.authorization.attempts import AttemptProblem, AttemptStatus
from services.connector.countries import CountryAnswer
from shared.marketplaces import Region


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


class AuthorizationRequest(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"country": "DE"}]}
    )

    country: str = Field(
        max_length=10, description="The country of the store, as GET /marketplaces names it."
    )


class AttemptProblemAnswer(_Answer):
    """`region` and `countries` tell, for `region_mismatch`, where the store belongs."""

    code: AttemptProblem
    title: str
    detail: str
    region: Region | None = None
    countries: list[CountryAnswer] = []


class AuthorizationAnswer(_Answer):
    """One attempt to authorize. It ends as connected, reauthorized, failed or expired."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0199f3a2-6a01-7b3c-9e4d-5f60718293a4",
                    "country": "DE",
                    "region": "eu",
                    "covers": [{"country": "DE", "name": "Germany"}, {"country": "FR", "name": "France"}],
                    "status": "waiting",
                    "consent_url": "https://sellercentral-europe.amazon.com/apps/authorize/consent?application_id=…",
                    "expires_at": "2026-11-23T09:22:44Z",
                    "integration_id": None,
                    "problem": None,
                }
            ]
        }
    )

    id: UUID
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
