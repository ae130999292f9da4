"""What goes over the wire about webhooks and their deliveries."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StrictBool, WithJsonSchema
from pydantic_core import PydanticCustomError

from services.connector.events.kinds import STREAM_ONLY
from services.connector.http.request_types import Moment, SingleLine, WholeNumber
from shared.events import EventKind
from shared.tables import DeliveryState

_MAX_URL = 2000


def _for_webhooks(kind: EventKind) -> EventKind:
    if kind in STREAM_ONLY:
        raise PydanticCustomError(
            "enum",
            "not a kind for webhooks",
            {"expected": ", ".join(k for k in EventKind if k not in STREAM_ONLY)},
        )
    return kind


_MAX_DESCRIPTION = 200
_WEEK_HOURS = 168

# What changes at every keystroke, or says no more than another kind, is for streams alone.
WebhookKind = Annotated[
    EventKind,
    AfterValidator(_for_webhooks),
    WithJsonSchema({"type": "string", "enum": [kind.value for kind in EventKind if kind not in STREAM_ONLY]}),
]
# The rules are `hosts.py`'s; pydantic only bounds what it has to look at.
Url = Annotated[
    str,
    Field(max_length=_MAX_URL),
    WithJsonSchema({"type": "string", "format": "uri", "maxLength": _MAX_URL}),
]

_EXAMPLE: dict[str, JsonValue] = {
    "id": "0199f3a2-5a52-7c1e-8d52-1f6a1c1d2e3f",
    "url": "https://helpdesk.example/replyco",
    "description": "Helpdesk",
    "kinds": ["integration.changed", "message.received"],
    "enabled": True,
    "disabled_at": None,
    "disabled_reason": None,
    "waits_until": None,
    "failing_since": None,
    "previous_secret_until": None,
    "created_at": "2026-11-24T09:00:00Z",
}


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WebhookRequest(_Request):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "https://helpdesk.example/replyco",
                    "kinds": ["message.received"],
                    "description": "Helpdesk",
                }
            ]
        }
    )

    url: Url = Field(description="An https address in the public internet.")
    kinds: list[WebhookKind] = Field(min_length=1, max_length=len(EventKind), description="What is told.")
    description: SingleLine = Field("", max_length=_MAX_DESCRIPTION)


class WebhookChange(_Request):
    """Fields that are left out stay as they are."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": True}]})

    url: Url | None = None
    kinds: list[WebhookKind] | None = Field(None, min_length=1, max_length=len(EventKind))
    description: SingleLine | None = Field(None, max_length=_MAX_DESCRIPTION)
    enabled: StrictBool | None = Field(
        None,
        description="False pauses it: what waits goes on when it is enabled again within seven days. What happens meanwhile is not told later.",
    )


class SecretRequest(_Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_hours": 24}]})

    overlap_hours: WholeNumber = Field(
        24, ge=0, le=_WEEK_HOURS, description="For so long the secret before signs, too. 0: it ends at once."
    )


class WebhookAnswer(_Answer):
    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    url: str
    description: str
    kinds: list[EventKind]
    enabled: bool
    disabled_at: datetime | None
    disabled_reason: str | None = Field(
        description="by_user; gone: it answered 410; failing: nothing could be delivered for five days; creator: whoever made it may "
        "not see any more what it tells, was removed, or their API key has ended."
    )
    waits_until: datetime | None = Field(
        description="Until then what waited when it was disabled goes on waiting, and is sent when it is enabled again; then it is dead."
        " Null while it is enabled."
    )
    failing_since: datetime | None = Field(
        description="When deliveries began to fail; null while they succeed."
    )
    previous_secret_until: datetime | None = Field(description="Until then two secrets sign.")
    created_at: datetime


class NewWebhookAnswer(WebhookAnswer):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [_EXAMPLE | {"secret": "whsec_bm90IGEgc2VjcmV0LCBqdXN0IGFuIGV4YW1wbGUgb2Y="}]
        }
    )

    secret: str = Field(description="The secret with which we sign, told only this once.", repr=False)


class WebhookPage(_Answer):
    items: list[WebhookAnswer]
    next_cursor: str | None


class DeliveryAnswer(_Answer):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0199f3a2-7d10-7a2b-9c33-6f1e0d2c3b4a",
                    "event_id": "0199f3a2-7c21-7b1d-8a44-5e2c9d0f1a3b",
                    "kind": "integration.changed",
                    "ids": {"integration_id": "0199f3a2-5a01-7c3b-9d22-1e8b6a0f9c2d"},
                    "event_at": "2026-11-24T09:30:00Z",
                    "state": "waiting",
                    "attempts": 2,
                    "next_attempt_at": "2026-11-24T09:35:08Z",
                    "last_attempt_at": "2026-11-24T09:30:06Z",
                    "last_status": 503,
                    "last_error": "status",
                    "delivered_at": None,
                }
            ]
        }
    )

    id: UUID
    event_id: UUID = Field(description="The webhook-id that the receiver sees: the same at each try.")
    kind: str
    ids: dict[str, str]
    event_at: datetime
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None = Field(
        description="Null unless it waits, and while the webhook is disabled."
    )
    last_attempt_at: datetime | None
    last_status: int | None = Field(description="The status that the receiver answered last.")
    last_error: str | None = Field(
        description="status, dns, connect, tls, timeout, url, port, or disabled: why it did not arrive."
    )
    delivered_at: datetime | None


class DeliveryPage(_Answer):
    items: list[DeliveryAnswer]
    next_cursor: str | None


class ResendRequest(_Request):
    """When the events happened whose deliveries are sent again, such as while the receiver was away."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"since": "2026-11-24T09:00:00Z", "until": "2026-11-24T14:00:00Z"}]}
    )

    since: Moment
    until: Moment | None = Field(None, description="Not that moment itself. Left out: now.")


class ResendAnswer(_Answer):
    model_config = ConfigDict(json_schema_extra={"examples": [{"resent": 1000, "dead": 412}]})

    resent: int = Field(description="Sent again by this request, the oldest first; 1,000 at most.")
    dead: int = Field(description="Still dead of this time. Ask again, until it is 0.")


class DeliveryCounts(_Answer):
    """Of the deliveries of events of this time, tests left out; 100,000 are counted at most."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"waiting": 130, "delivered": 1282, "dead": 0}]}
    )

    waiting: int
    delivered: int
    dead: int
