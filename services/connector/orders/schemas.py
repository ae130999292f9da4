"""What goes over the wire about orders."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from services.connector.http.paging import DEFAULT_PAGE, MAX_PAGE
from services.connector.http.request_types import CursorField, Time
from services.connector.orders.card import CardState, Hindrance
from services.connector.orders.examples import (
    CARD,
    ORDER,
    ORDER_SNAPSHOT,
    OTHER_CONVERSATION,
    REPORTED,
    SUMMARY,
)
from services.connector.orders.listing import OrderSort
from services.connector.orders.timeline import Step, StepState
from shared.orders import ORDER_ID_PATTERN

_ORDER_ID: Final = f"^{ORDER_ID_PATTERN}$"


class OrderListRequest(BaseModel):
    """Which orders, in which sequence."""

    model_config = ConfigDict(frozen=True)

    integration_id: UUID | None = None
    country: str | None = Field(
        None, pattern=r"^[A-Z]{2}$", description="ISO 3166 code of the marketplace's country."
    )
    status: str | None = Field(None, pattern=r"^[A-Z_]{1,40}$", description="Amazon's word, as in `status`.")
    program: str | None = Field(
        None, pattern=r"^[A-Z0-9_]{1,60}$", description="Amazon's word, such as PRIME or AMAZON_BUSINESS."
    )
    ship_by_before: Time | None = Field(
        None, description="Only those that are still to be shipped, and must be before then."
    )
    updated_since: Time | None = Field(None, description="Only those that Amazon has changed since then.")
    sort: OrderSort = Field(
        OrderSort.NEWEST,
        description="newest: by Amazon's last change, the latest first. ship_by: the earliest first, only those that are still to be shipped.",
    )
    limit: int = Field(DEFAULT_PAGE, ge=1, le=MAX_PAGE)
    cursor: CursorField = None


class OrderSearchRequest(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"order_id": "303-1234567-1234567"}]}
    )

    order_id: str = Field(pattern=_ORDER_ID, description="Amazon's number.")


class PersonalData(StrEnum):
    """What became of the personal data of an order."""

    PRESENT = "present"
    ENDED = "ended"
    NOT_AVAILABLE = "not_available"


class IntegrationOfOrder(TypedDict):
    id: UUID
    name: str | None


class Money(TypedDict):
    amount: Annotated[str, Field(description="A decimal, as text. It may be negative.")]
    currency: Annotated[str, Field(description="ISO 4217.")]


# What a list has a hundred of is a dictionary: a model of each costs as much time as the database.
@with_config(json_schema_extra={"examples": [SUMMARY]})
class OrderSummary(TypedDict):
    id: Annotated[UUID, Field(description="Ours; `order_row_id` of events.")]
    order_id: Annotated[str, Field(description="Amazon's number.")]
    integration: IntegrationOfOrder
    country: Annotated[str | None, Field(description="ISO 3166 code of the marketplace's country.")]
    status: Annotated[
        str,
        Field(
            description="Amazon's word: PENDING_AVAILABILITY, PENDING, UNSHIPPED, PARTIALLY_SHIPPED, SHIPPED, CANCELLED, UNFULFILLABLE, "
            "or one that is new; UNKNOWN if it has told none."
        ),
    ]
    fulfilled_by: Annotated[str | None, Field(description="Amazon's word: MERCHANT or AMAZON.")]
    programs: Annotated[list[str], Field(description="Amazon's words, such as PRIME.")]
    is_prime: bool
    is_business: bool
    is_gift: bool
    is_pickup: bool
    is_replacement: bool
    is_exchange: bool
    is_cancellation_requested: Annotated[
        bool, Field(description="Whether the buyer asks that an item be cancelled.")
    ]
    purchased_at: datetime | None
    last_updated_at: Annotated[datetime, Field(description="When Amazon last changed it.")]
    ship_by: datetime | None
    deliver_by: datetime | None
    shipped_at: datetime | None
    delivered_at: Annotated[
        datetime | None,
        Field(description="When it was seen to be delivered; Amazon does not tell the moment."),
    ]
    total: Money | None
    item_count: int
    quantity: int
    is_incomplete: Annotated[bool, Field(description="Whether something in it could not be read.")]
    gone_at: Annotated[
        datetime | None, Field(description="When Amazon was found to know the order no longer; else null.")
    ]
    fetched_at: Annotated[
        datetime | None, Field(description="How old our copy is; null if only a report has told it.")
    ]
    changed_at: Annotated[datetime, Field(description="When our copy last changed; the key of the feed.")]
    seller_central_url: Annotated[str, Field(description="The order in the seller's own Seller Central.")]


class OrderPage(TypedDict):
    items: list[OrderSummary]
    next_cursor: str | None


class OrdersFound(TypedDict):
    items: list[OrderSummary]


class OrderChanges(TypedDict):
    items: list[OrderSummary]
    next_cursor: Annotated[
        str,
        Field(
            description="Give it back for what comes next: at once if has_more, else after a while. It is never later than half a minute ago, so "
            "that nothing is missed which is stored late, and some orders come twice."
        ),
    ]
    has_more: Annotated[bool, Field(description="Whether more is there already.")]


class AmountsAnswer(TypedDict):
    """What was paid, by kind, as decimals in one currency; for the whole quantity."""

    currency: str | None
    total: str | None
    items: str | None
    shipping: str | None
    tax: str | None
    discount: str | None
    other: str | None


class TimelineAnswer(TypedDict):
    step: Step
    state: StepState
    at: datetime | None
    until: Annotated[datetime | None, Field(description="By when it is promised, while it is not done.")]


class OrderedItem(TypedDict):
    item_id: Annotated[str, Field(description="Amazon's orderItemId.")]
    asin: str | None
    sku: str | None
    title: str | None
    condition: str | None
    quantity: int | None
    quantity_shipped: int | None
    unit_price: str | None
    amounts: AmountsAnswer
    gift_wrap: str | None
    gift_message: Annotated[str | None, Field(description="Personal data.")]
    customized_url: Annotated[str | None, Field(description="Personal data.")]
    is_cancellation_requested: bool
    cancel_reason: str | None


class PackageContent(TypedDict):
    item_id: str
    quantity: int


class PackageAnswer(TypedDict):
    reference: str
    status: str | None
    detailed_status: str | None
    carrier: str | None
    shipping_service: str | None
    tracking_number: str | None
    shipped_at: datetime | None
    delivered_at: datetime | None
    contents: list[PackageContent]


class BuyerAnswer(TypedDict):
    name: str | None
    email: str | None
    company: str | None
    purchase_order: str | None


class RecipientAnswer(TypedDict):
    name: str | None
    company: str | None
    lines: list[str]
    city: str | None
    county: str | None
    state: str | None
    postal_code: str | None
    country: str | None
    phone: str | None
    kind: str | None
    instructions: str | None


@with_config(json_schema_extra={"examples": [ORDER]})
class OrderAnswer(OrderSummary):
    sales_channel: str | None
    service_level: str | None
    replaces_order_id: Annotated[
        str | None, Field(description="Amazon's number of the order that this one replaces or exchanges.")
    ]
    ship_after: datetime | None
    deliver_after: datetime | None
    paid_at: datetime | None
    paid_amount: str | None
    payment_methods: list[str]
    amounts: AmountsAnswer
    timeline: list[TimelineAnswer]
    items: list[OrderedItem]
    packages: Annotated[
        list[PackageAnswer],
        Field(description="Those that the merchant sends; of its own, Amazon tells none."),
    ]
    personal_data: Annotated[
        PersonalData,
        Field(
            description="not_available: Amazon gives this application none of it, which is no failure. ended: it is not kept any longer."
        ),
    ]
    personal_data_end_at: Annotated[
        datetime | None, Field(description="When what is present of it ends; null if nothing is.")
    ]
    buyer: BuyerAnswer | None
    recipient: RecipientAnswer | None
    reported_at: Annotated[
        datetime | None, Field(description="When an order report last told something of it.")
    ]
    unreadable: Annotated[
        list[str], Field(description="The fields of Amazon's answer that could not be read, by their names.")
    ]
    problem: Annotated[
        Literal["seal_broken"] | None,
        Field(description="seal_broken: some of what is stored does not open and is left out."),
    ]


class ReportColumnsOfItem(TypedDict):
    item_id: str
    columns: dict[str, str]


@with_config(json_schema_extra={"examples": [ORDER | REPORTED]})
class WholeOrderAnswer(OrderAnswer):
    report_columns: Annotated[
        list[ReportColumnsOfItem],
        Field(description="What order reports say beyond all the other fields, by item and column."),
    ]


class HindranceAnswer(TypedDict):
    reason: Hindrance
    title: str
    cure: str


@with_config(json_schema_extra={"examples": [CARD]})
class CardAnswer(TypedDict):
    order_id: Annotated[
        str, Field(description="Amazon's number, as a mail that is proven to be Amazon's names it.")
    ]
    state: Annotated[
        CardState,
        Field(
            description="known: `order` is our copy. fetching: there is none yet, and Amazon is being asked. unknown: Amazon knows no such order. "
            "unavailable: there is none, and none is coming; see `hindrance`."
        ),
    ]
    fetched_at: Annotated[datetime | None, Field(description="How old our copy is.")]
    is_refreshing: Annotated[
        bool,
        Field(
            description="Whether Amazon is being asked; the event order.changed tells when it has changed."
        ),
    ]
    hindrance: Annotated[
        HindranceAnswer | None,
        Field(description="Why no newer copy is coming; null if one is, or ours is fresh."),
    ]
    order: OrderAnswer | None


@with_config(json_schema_extra={"examples": [OTHER_CONVERSATION]})
class OtherConversation(TypedDict):
    id: UUID
    order_id: str | None
    asin: str | None
    country: str | None
    status: Literal["open", "closed"]
    kind: str
    message_count: int
    last_message_at: datetime


class OfTheSameBuyer(TypedDict):
    """What else this store knows of the buyer: the newest ten of each."""

    orders: list[OrderSummary]
    has_more_orders: bool
    conversations: list[OtherConversation]
    has_more_conversations: bool


class ConversationOrders(TypedDict):
    items: Annotated[
        list[CardAnswer],
        Field(description="The orders that proven mails of the conversation name, at most twenty."),
    ]
    same_buyer: OfTheSameBuyer


@with_config(json_schema_extra={"examples": [ORDER_SNAPSHOT]})
class OrderSnapshotAnswer(TypedDict):
    """An order as it was when the message came: what is not personal of it, and never changes again."""

    order_id: str
    taken_at: datetime
    status: str
    fulfilled_by: str | None
    total: Money | None
    item_count: int
    quantity: int
    purchased_at: datetime | None
    ship_by: datetime | None
    deliver_by: datetime | None
    shipped_at: datetime | None
    delivered_at: datetime | None
    carrier: Annotated[str | None, Field(description="Of its first package.")]
    tracking_number: Annotated[str | None, Field(description="Of its first package.")]
    is_prime: bool
    is_business: bool
    is_gift: bool
    is_pickup: bool
    is_replacement: bool
    is_cancellation_requested: bool
