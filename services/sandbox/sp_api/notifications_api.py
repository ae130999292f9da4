"""The Notifications API v1: destinations, which the application manages, and subscriptions, one for each seller and type."""

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Request, Response

from services.sandbox.amazon_hosts import API_HOSTS
from services.sandbox.dependencies import SandboxDep
from services.sandbox.sp_api.operation import (
    Operation,
    SpApiRefused,
    refused,
    require_application,
    require_seller,
    success,
)
from services.sandbox.state.memory import Sandbox

router = APIRouter()

_SCOPE: Final = "sellingpartnerapi::notifications"
CREATE_DESTINATION: Final = Operation("createDestination", rate=1, burst=5, scope=_SCOPE)
GET_DESTINATIONS: Final = Operation("getDestinations", rate=1, burst=5, scope=_SCOPE)
GET_DESTINATION: Final = Operation("getDestination", rate=1, burst=5, scope=_SCOPE)
DELETE_DESTINATION: Final = Operation("deleteDestination", rate=1, burst=5, scope=_SCOPE)
CREATE_SUBSCRIPTION: Final = Operation("createSubscription", rate=1, burst=5)
GET_SUBSCRIPTION: Final = Operation("getSubscription", rate=1, burst=5)
GET_SUBSCRIPTIONS: Final = Operation("getSubscriptions", rate=1, burst=5)
GET_SUBSCRIPTION_BY_ID: Final = Operation("getSubscriptionById", rate=1, burst=5, scope=_SCOPE)
DELETE_SUBSCRIPTION: Final = Operation("deleteSubscriptionById", rate=1, burst=5, scope=_SCOPE)

_ARN: Final = re.compile(r"arn:aws:sqs:\S+:\S+:\S+")
_Json = Annotated[Any, Body()]


async def _create_destination(request: Request, sandbox: SandboxDep, body: _Json = None) -> Response:
    await require_application(request, sandbox, CREATE_DESTINATION)
    name, arn = _destination_fields(body)
    if any(known["name"] == name for known in sandbox.notices.destinations.values()):
        raise refused(409, "Conflict", "A destination with this name exists already.", "conflict")
    return success(sandbox, CREATE_DESTINATION, {"payload": sandbox.notices.add_destination(name, arn)})


async def _get_destinations(request: Request, sandbox: SandboxDep) -> Response:
    await require_application(request, sandbox, GET_DESTINATIONS)
    return success(sandbox, GET_DESTINATIONS, {"payload": list(sandbox.notices.destinations.values())})


async def _get_destination(request: Request, destination_id: str, sandbox: SandboxDep) -> Response:
    await require_application(request, sandbox, GET_DESTINATION)
    return success(sandbox, GET_DESTINATION, {"payload": _destination(sandbox, destination_id)})


async def _delete_destination(request: Request, destination_id: str, sandbox: SandboxDep) -> Response:
    await require_application(request, sandbox, DELETE_DESTINATION)
    _destination(sandbox, destination_id)
    del sandbox.notices.destinations[destination_id]
    return success(sandbox, DELETE_DESTINATION, {})


async def _create_subscription(
    request: Request, notification_type: str, sandbox: SandboxDep, body: _Json = None
) -> Response:
    seller = await require_seller(request, sandbox, CREATE_SUBSCRIPTION)
    fields = body if isinstance(body, dict) else {}
    destination_id, version = fields.get("destinationId"), fields.get("payloadVersion")
    directive = fields.get("processingDirective")
    if not isinstance(version, str) or destination_id not in sandbox.notices.destinations:
        raise _invalid("destinationId and payloadVersion are required.")
    if sandbox.notices.subscription(seller.seller_id, notification_type) is not None:
        raise refused(409, "Conflict", "A subscription of this type exists already.", "conflict")
    wanted = {"payloadVersion": version, "destinationId": destination_id}
    if isinstance(directive, dict):
        wanted["processingDirective"] = directive
    subscription = sandbox.notices.subscribe(seller.seller_id, notification_type, wanted)
    return success(sandbox, CREATE_SUBSCRIPTION, {"payload": subscription})


async def _get_subscription(request: Request, notification_type: str, sandbox: SandboxDep) -> Response:
    seller = await require_seller(request, sandbox, GET_SUBSCRIPTION)
    subscription = sandbox.notices.subscription(seller.seller_id, notification_type)
    if subscription is None:
        raise _not_found()
    return success(sandbox, GET_SUBSCRIPTION, {"payload": subscription})


async def _get_subscriptions(request: Request, sandbox: SandboxDep) -> Response:
    seller = await require_seller(request, sandbox, GET_SUBSCRIPTIONS)
    kind = request.query_params.get("notificationTypes", "")
    if not kind or "," in kind:
        raise _invalid("notificationTypes is required and has one value.")
    subscription = sandbox.notices.subscription(seller.seller_id, kind)
    found = [] if subscription is None else [subscription]
    return success(sandbox, GET_SUBSCRIPTIONS, {"payload": {"subscriptions": found}})


async def _get_subscription_by_id(
    request: Request, notification_type: str, subscription_id: str, sandbox: SandboxDep
) -> Response:
    await require_application(request, sandbox, GET_SUBSCRIPTION_BY_ID)
    _, subscription = _by_id(sandbox, notification_type, subscription_id)
    return success(sandbox, GET_SUBSCRIPTION_BY_ID, {"payload": subscription})


async def _delete_subscription(
    request: Request, notification_type: str, subscription_id: str, sandbox: SandboxDep
) -> Response:
    await require_application(request, sandbox, DELETE_SUBSCRIPTION)
    seller_id, _ = _by_id(sandbox, notification_type, subscription_id)
    sandbox.notices.unsubscribe(seller_id, notification_type)
    return success(sandbox, DELETE_SUBSCRIPTION, {})


def _by_id(sandbox: Sandbox, notification_type: str, subscription_id: str) -> tuple[str, dict[str, Any]]:
    """The subscription of this id, and whose it is. Raises SpApiRefused."""
    for seller_id in sandbox.sellers:
        subscription = sandbox.notices.subscription(seller_id, notification_type)
        if subscription is not None and subscription["subscriptionId"] == subscription_id:
            return seller_id, subscription
    raise _not_found()


def _destination_fields(body: Any) -> tuple[str, str]:
    fields = body if isinstance(body, dict) else {}
    resource = fields.get("resourceSpecification")
    sqs = resource.get("sqs") if isinstance(resource, dict) else None
    name, arn = fields.get("name"), sqs.get("arn") if isinstance(sqs, dict) else None
    if not isinstance(name, str) or not 0 < len(name) <= 256:
        raise _invalid("name is required and has at most 256 characters.")
    if not isinstance(arn, str) or len(arn) > 1_000 or _ARN.fullmatch(arn) is None:
        raise _invalid("resourceSpecification.sqs.arn is required and must be the ARN of a queue.")
    return name, arn


def _destination(sandbox: Sandbox, destination_id: str) -> dict[str, Any]:
    destination = sandbox.notices.destinations.get(destination_id)
    if destination is None:
        raise _not_found()
    return destination


def _invalid(message: str) -> SpApiRefused:
    return refused(400, "InvalidInput", message, "invalid")


def _not_found() -> SpApiRefused:
    return refused(404, "NotFound", "The resource does not exist.", "not_found")


for _host in API_HOSTS:
    for _method, _path, _route in (
        ("POST", "destinations", _create_destination),
        ("GET", "destinations", _get_destinations),
        ("GET", "destinations/{destination_id}", _get_destination),
        ("DELETE", "destinations/{destination_id}", _delete_destination),
        ("POST", "subscriptions/{notification_type}", _create_subscription),
        ("GET", "subscriptions", _get_subscriptions),
        ("GET", "subscriptions/{notification_type}", _get_subscription),
        ("GET", "subscriptions/{notification_type}/{subscription_id}", _get_subscription_by_id),
        ("DELETE", "subscriptions/{notification_type}/{subscription_id}", _delete_subscription),
    ):
        router.add_api_route(f"/{_host}/notifications/v1/{_path}", _route, methods=[_method])
