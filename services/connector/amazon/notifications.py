"""The Notifications API v1: Amazon puts into our queue what happens in a store, once the application has named the queue and the seller's
grant has asked for it. What it tells is read elsewhere (amazon_notices).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.connector.amazon.access import Amazon
from services.connector.amazon.client import Call, SellerApi
from services.connector.amazon.errors import AmazonUnavailable, ClientMisconfigured
from shared.marketplaces import Region

_SCOPE: Final = "sellingpartnerapi::notifications"
_PATH: Final = "/notifications/v1"
_CONFLICT: Final = 409
_NOT_FOUND: Final = 404
# It gets into the database or back to Amazon.
_ID: Final = r"^[!-~]{1,200}$"


class NoticeKind(StrEnum):
    """What Amazon can tell of a store by itself, as far as it is asked to."""

    ORDER_CHANGE = "ORDER_CHANGE"
    ACCOUNT_STATUS_CHANGED = "ACCOUNT_STATUS_CHANGED"
    REPORT_PROCESSING_FINISHED = "REPORT_PROCESSING_FINISHED"


_PAYLOAD_VERSIONS: Final = {
    NoticeKind.ORDER_CHANGE: "1.0",
    NoticeKind.ACCOUNT_STATUS_CHANGED: "1.0",
    NoticeKind.REPORT_PROCESSING_FINISHED: "2020-09-04",
}


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Queue(_Answer):
    arn: str = ""


class _Resource(_Answer):
    sqs: _Queue = _Queue()


class _Destination(_Answer):
    destinationId: str = Field(pattern=_ID)  # noqa: N815  (Amazon's name)
    name: str = ""
    resource: _Resource = _Resource()


class _Destinations(_Answer):
    payload: list[_Destination] = []


class _NewDestination(_Answer):
    payload: _Destination


class _Subscription(_Answer):
    subscriptionId: str = Field(pattern=_ID)  # noqa: N815
    destinationId: str = ""  # noqa: N815


class _SubscriptionAnswer(_Answer):
    payload: _Subscription


@dataclass(frozen=True, slots=True)
class Subscription:
    """That Amazon tells of a store. `destination_id` is where it tells, which may be another queue than ours."""

    subscription_id: str
    destination_id: str


async def queue_destination(amazon: Amazon, region: Region, name: str, queue_arn: str) -> str:
    """The id under which this region's Amazon knows our queue; made if it does not yet. It concerns the application and no seller.

    Raises ClientMisconfigured, Throttled, AmazonUnavailable, TokenRefused, RoleMissing, AmazonPaused.
    """
    token = await amazon.lwa.grantless(_SCOPE)

    async def known() -> str | None:
        answer = await amazon.sp_api.get(Call("getDestinations", region, "", token), f"{_PATH}/destinations")
        found = [each for each in _read(_Destinations, answer).payload if each.resource.sqs.arn == queue_arn]
        return found[0].destinationId if found else None

    if (destination_id := await known()) is not None:
        return destination_id
    body = {"name": name, "resourceSpecification": {"sqs": {"arn": queue_arn}}}
    try:
        made = await amazon.sp_api.post(
            Call("createDestination", region, "", token), f"{_PATH}/destinations", body
        )
    except ClientMisconfigured as refused:
        # Another process was first.
        if refused.fields.get("status") == _CONFLICT and (destination_id := await known()) is not None:
            return destination_id
        raise
    return _read(_NewDestination, made).payload.destinationId


async def subscribe(api: SellerApi, kind: NoticeKind, destination_id: str) -> Subscription:
    """Have Amazon tell this of the store; nothing changes if it does already. Raises what `SpApiClient.get` raises."""
    if (known := await _subscription(api, kind)) is not None:
        return known
    body: dict[str, Any] = {"payloadVersion": _PAYLOAD_VERSIONS[kind], "destinationId": destination_id}
    try:
        made = await api.post("createSubscription", f"{_PATH}/subscriptions/{kind.value}", body)
    except ClientMisconfigured as refused:
        if (
            refused.fields.get("status") == _CONFLICT
            and (known := await _subscription(api, kind)) is not None
        ):
            return known
        raise
    told = _read(_SubscriptionAnswer, made).payload
    return Subscription(told.subscriptionId, told.destinationId)


async def _subscription(api: SellerApi, kind: NoticeKind) -> Subscription | None:
    question = {"payloadVersion": _PAYLOAD_VERSIONS[kind]}
    try:
        answer = await api.get("getSubscription", f"{_PATH}/subscriptions/{kind.value}", question)
    except ClientMisconfigured as refused:
        if refused.fields.get("status") == _NOT_FOUND:
            return None
        raise
    told = _read(_SubscriptionAnswer, answer).payload
    return Subscription(told.subscriptionId, told.destinationId)


_Model = TypeVar("_Model", bound=BaseModel)


def _read(model: type[_Model], answer: dict[str, Any]) -> _Model:
    try:
        return model.model_validate(answer)
    except ValidationError:
        raise AmazonUnavailable(reason="unexpected_form") from None
