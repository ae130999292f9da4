"""What goes over the wire about integrations."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, WithJsonSchema, model_validator, with_config
from pydantic.config import JsonDict
from typing_extensions import TypedDict

from services.connector.http.request_types import without_default
from services.connector.integrations.health import Action, CheckState, Who
from services.connector.integrations.names import MAX_NAME
from services.connector.integrations.sync_state import OrdersStatus
from shared.marketplaces import MARKETPLACES, Region
from shared.tables import AfterGracePeriod, Lock, SetupStepName, Summary, SyncStatus

_EXAMPLE: JsonDict = {
    "id": "0199f3a2-6b10-7d2a-8c11-2f9a7b1c0d3e",
    "source": "amazon",
    "lock": {"state": "green", "since": "2026-11-23T09:12:44Z"},
    "summary": {"code": "working", "text": "Messages arrive.", "countries": []},
    "reason": None,
    "sync": {
        "status": "ok",
        "at": "2026-11-23T09:10:31Z",
        "orders": {
            "status": "ok",
            "completed_at": "2026-11-23T09:10:31Z",
            "late_since": None,
            "history": {"until": "2026-05-03T14:03:00Z", "count": 1240, "done": False},
        },
    },
    "account": {"store_name": "Lampenladen", "seller_id_masked": "A1…EN7"},
    "name": "Amazon Europa",
    "region": "eu",
    "home_country": "DE",
    "uses_api": True,
    "address": "mabtekrud@replyco.email",
    "last_message_at": "2026-11-23T08:59:01Z",
    "last_order_at": "2026-11-23T08:41:20Z",
    "created_at": "2026-11-20T14:03:00Z",
    "owner_id": "0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f",
    "paused_since": None,
    "rests_until": None,
    "data_after_rest": None,
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
            "action": "open_guide",
            "link": "https://app.example/integrations/0199f3a2-6b10-7d2a-8c11-2f9a7b1c0d3e",
        }
    ],
    "not_checked": [{"code": "report_columns_missing", "title": "Whether the order report has all columns"}],
    "consented_at": "2026-11-20T14:03:00Z",
    "consent_expires_at": "2027-11-20T14:03:00Z",
    "consent_withdrawn_at": None,
}


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ListState(StrEnum):
    CONNECTED = "connected"
    RESTING = "resting"


# What a list has a hundred of is a dictionary: a model of each costs as much time as the database.
class LockAnswer(TypedDict):
    state: Lock
    since: datetime


class SummaryAnswer(TypedDict):
    code: Summary
    text: Annotated[
        str, Field(description="The state of the whole in one sentence, in the language asked for.")
    ]
    countries: Annotated[
        list[str], Field(description="The countries that the sentence is about: those still open.")
    ]


class ReasonAnswer(TypedDict):
    code: str
    state: CheckState
    title: str
    cure: str
    action: Action | None
    link: str | None


class OrderHistoryAnswer(TypedDict):
    until: Annotated[
        datetime, Field(description="Orders placed since then are here; it goes back while done is false.")
    ]
    count: Annotated[int, Field(description="How many of the store's orders are here.")]
    done: bool


class OrdersAnswer(TypedDict):
    status: OrdersStatus
    completed_at: Annotated[
        datetime | None, Field(description="When all changes were last asked for to the end.")
    ]
    late_since: Annotated[
        datetime | None,
        Field(description="Set if that is over an hour ago: what changed since then may be missing."),
    ]
    history: OrderHistoryAnswer


class SyncAnswer(TypedDict):
    status: SyncStatus
    at: Annotated[datetime | None, Field(description="The last success; of orders that are late, theirs.")]
    orders: Annotated[OrdersAnswer | None, Field(description="Null while orders have never been asked for.")]


class StoreAnswer(TypedDict):
    store_name: str | None
    seller_id_masked: Annotated[str | None, Field(description="Null for a store without Amazon's API.")]


@with_config(json_schema_extra={"examples": [_EXAMPLE]})
class IntegrationItem(TypedDict):
    id: UUID
    source: str
    lock: LockAnswer
    summary: SummaryAnswer
    reason: Annotated[
        ReasonAnswer | None,
        Field(
            description="The check that wants action first, if one is red or amber; an integration's own answer has them all."
        ),
    ]
    sync: SyncAnswer
    account: StoreAnswer
    name: Annotated[
        str | None, Field(description="Null until the integration gets its name, and with it its address.")
    ]
    region: Region
    home_country: str
    uses_api: Annotated[
        bool,
        Field(description="False for a store whose mail comes, but not its orders: nobody authorizes us."),
    ]
    address: Annotated[
        str | None, Field(description="The relay address that the seller enters in Seller Central.")
    ]
    last_message_at: datetime | None
    last_order_at: Annotated[
        datetime | None, Field(description="When the newest order that is here was placed.")
    ]
    created_at: datetime
    owner_id: Annotated[
        UUID | None, Field(description="The user who is told by mail when the lock turns red.")
    ]
    paused_since: datetime | None
    rests_until: Annotated[datetime | None, Field(description="Null while the store is connected.")]
    data_after_rest: Annotated[
        AfterGracePeriod | None, Field(description="What becomes of its data when the rest is over.")
    ]


class IntegrationPage(TypedDict):
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
    action: Action | None = Field(description="What the seller does about it.")
    link: str | None = Field(description="Where it is done: a page of ours, or of Seller Central.")


class NotCheckedAnswer(_Answer):
    """A check of which nothing can be said at present."""

    code: str
    title: str


@with_config(json_schema_extra={"examples": [_DETAIL_EXAMPLE]})
class IntegrationAnswer(IntegrationItem):
    countries: list[IntegrationCountry]
    checks: list[CheckAnswer]
    not_checked: list[NotCheckedAnswer]
    consented_at: datetime | None
    consent_expires_at: datetime | None
    consent_withdrawn_at: Annotated[
        datetime | None, Field(description="When Amazon first refused it, if it has been withdrawn.")
    ]


# The rules are `names.py`'s, which says more plainly what is wrong; pydantic only bounds what it has to look at.
_DESCRIBED_NAME: JsonDict = {
    "type": "string",
    "format": "integration-name",
    "minLength": 1,
    "maxLength": MAX_NAME,
}
Name = Annotated[str, Field(max_length=1000), WithJsonSchema(_DESCRIBED_NAME)]


Countries = Annotated[list[Annotated[str, Field(max_length=10)]], Field(max_length=len(MARKETPLACES))]


class AdditionRequest(_Request):
    """A store without Amazon's API. One that is authorized is added by `POST /authorizations`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Amazon Europa", "country": "DE", "countries": ["DE", "FR"]}]
        }
    )

    name: Name = Field(description="1 to 60 characters after trimming, unique in the account.")
    country: Annotated[str, Field(max_length=10, description="Its home, as GET /marketplaces names it.")]
    countries: Countries = Field(
        [], description="The countries of its region in which it sells; its home alone if none is named."
    )


class CountriesRequest(_Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{"countries": ["DE", "FR"]}]})

    countries: Annotated[Countries, Field(min_length=1)]


class ChangeRequest(_Request):
    """At least one of the fields; what is left out stays as it is."""

    model_config = ConfigDict(
        json_schema_extra={"minProperties": 1, "examples": [{"name": "Amazon Europa"}, {"paused": True}]}
    )

    name: Name = Field(
        "",
        description="1 to 60 characters after trimming, unique in the account.",
        json_schema_extra=without_default,
    )
    paused: StrictBool = Field(
        False,
        description="Paused, nothing is asked of Amazon for this store. Messages still arrive.",
        json_schema_extra=without_default,
    )
    owner_id: UUID = Field(
        UUID(int=0),
        description="A user of the account with “General → Admin: view & edit”.",
        json_schema_extra=without_default,
    )

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("name at least one of: name, paused, owner_id")
        return self


class RestorationRequest(_Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"name": "Amazon Europa 2"}]})

    name: Name | None = Field(None, description="A new name, should another store have taken the old one.")


class RestAnswer(_Answer):
    """A store that was disconnected, and what is left for the seller to do."""

    rests_until: datetime
    data_after_rest: AfterGracePeriod
    text: str
    link: str | None = Field(
        description="Where the authorization is disabled at Amazon; null for a store without the API, which has none."
    )


class StepRequest(_Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{"done": True}]})

    done: StrictBool


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
                    "by_itself": False,
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
    by_itself: bool = Field(
        description="A message from that country, or an order report, has proved it; nobody had to tick it."
    )
    url: str = Field(description="The page in Seller Central on which this step is done.")


class StepList(_Answer):
    items: list[StepAnswer]
