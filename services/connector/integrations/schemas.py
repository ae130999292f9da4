"""What goes over the wire about integrations."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from services.connector.integrations.health import CheckState, Who
from shared.marketplaces import Region
from shared.tables import Lock, SetupStepName, SyncStatus

_EXAMPLE: JsonDict = {
    "id": "0199f3a2-6b10-7d2a-8c11-2f9a7b1c0d3e",
    "source": "amazon",
    "lock": {"state": "green", "since": "2026-11-23T09:12:44Z"},
    "sync": {"status": "ok", "at": "2026-11-23T03:17:05Z"},
    "account": {"store_name": "Lampenladen", "seller_id_masked": "A1…EN7"},
    "name": "Amazon Europa",
    "region": "eu",
    "home_country": "DE",
    "address": "mabtekrud@replyco.email",
    "last_message_at": "2026-11-23T08:59:01Z",
    "last_order_at": None,
    "created_at": "2026-11-20T14:03:00Z",
}
_DETAIL_EXAMPLE: JsonDict = _EXAMPLE | {
    "countries": [
        {"country": "DE", "name": "Germany", "is_participating": True, "has_suspended_listings": False}
    ],
    "checks": [
        {
            "code": "setup_incomplete",
            "state": "waiting",
            "since": "2026-11-20T14:03:00Z",
            "who": "seller",
            "title": "Setup not finished",
            "text": "Some steps are still open before messages from every country can arrive.",
            "cure": "Go on with the next open step of the guide.",
        }
    ],
    "consented_at": "2026-11-20T14:03:00Z",
    "consent_expires_at": "2027-11-20T14:03:00Z",
}


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LockAnswer(_Answer):
    state: Lock
    since: datetime


class SyncAnswer(_Answer):
    status: SyncStatus
    at: datetime | None = Field(description="The last success.")


class StoreAnswer(_Answer):
    store_name: str | None
    seller_id_masked: str


class IntegrationItem(_Answer):
    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    source: str
    lock: LockAnswer
    sync: SyncAnswer
    account: StoreAnswer
    name: str | None = Field(description="Null until the integration gets its name, and with it its address.")
    region: Region
    home_country: str
    address: str | None = Field(description="The relay address that the seller enters in Seller Central.")
    last_message_at: datetime | None
    last_order_at: datetime | None
    created_at: datetime


class IntegrationPage(_Answer):
    items: list[IntegrationItem]
    next_cursor: str | None


class IntegrationCountry(_Answer):
    country: str
    name: str
    is_participating: bool
    has_suspended_listings: bool


class CheckAnswer(_Answer):
    """One reason why the integration is not entirely in order. What is in order is not listed."""

    code: str
    state: CheckState
    since: datetime | None
    who: Who
    title: str
    text: str
    cure: str


class IntegrationAnswer(IntegrationItem):
    model_config = ConfigDict(json_schema_extra={"examples": [_DETAIL_EXAMPLE]})

    countries: list[IntegrationCountry]
    checks: list[CheckAnswer]
    consented_at: datetime | None
    consent_expires_at: datetime | None


class NameRequest(_Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Amazon Europa"}]})

    # The rules are the service's; this only bounds what it has to look at.
    name: str = Field(
        max_length=1000, description="1 to 60 characters after trimming, unique in the account."
    )


class StepRequest(_Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{"done": True}]})

    done: bool


class StepAnswer(_Answer):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "step": "seller_profile",
                    "country": "DE",
                    "country_name": "Germany",
                    "done": True,
                    "done_at": "2026-11-20T14:20:11Z",
                    "url": "https://sellercentral-europe.amazon.com/sw/AccountInfo/SellerProfileView/step/SellerProfileView?country=DE",
                }
            ]
        }
    )

    step: SetupStepName
    country: str
    country_name: str
    done: bool
    done_at: datetime | None
    url: str = Field(description="The page in Seller Central on which this step is done.")


class StepList(_Answer):
    items: list[StepAnswer]
