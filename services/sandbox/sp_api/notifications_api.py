"""The Notifications API v1: destinations, which the application manages, and subscriptions, one for each seller and type."""

import re
import uuid
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

_ARN: Final = re.compile(r"arn:aws:sqs:\S+:\S+:\S+")
_Json = Annotated[Any, Body()]


async def _create_destination(request: Request, sandbox: SandboxDep, body: _Json = None) -> Response:
    await require_application(request, sandbox, CREATE_DESTINATION)
    name, arn = _destination_fields(body)
    if any(known["name"] == name for known in sandbox.destinations.values()):
        raise refused(409, "Conflict", "A destination with this name exists already.", "conflict")
    destination_id = str(uuid.uuid4())
    destination = {"name": name, "destinationId": destination_id, "resource": {"sqs": {"arn": arn}}}
    sandbox.destinations.put(destination_id, destination)
    return success(sandbox, CREATE_DESTINATION, {"payload": destination})


async def _get_destinations(request: Request, sandbox: SandboxDep) -> Response:
    await require_application(request, sandbox, GET_DESTINATIONS)
    return success(sandbox, GET_DESTINATIONS, {"payload": list(sandbox.destinations.values())})


async def _get_destination(request: Request, destination_id: str, sandbox: SandboxDep) -> Response:
    await require_application(request, sandbox, GET_DESTINATION)
    return success(sandbox, GET_DESTINATION, {"payload": _destination(sandbox, destination_id)})


async def _delete_destination(request: Request, destination_id: str, sandbox: SandboxDep) -> Response:
    await require_application(request, sandbox, DELETE_DESTINATION)
    _destination(sandbox, destination_id)
    del sandbox.destinations[destination_id]
    return success(sandbox, DELETE_DESTINATION, {})


async def _create_subscription(
    request: Request, notification_type: str, sandbox: SandboxDep, body: _Json = None
) -> Response:
    seller = await require_seller(request, sandbox, CREATE_SUBSCRIPTION)
    fields = body if isinstance(body, dict) else {}
    destination_id, version = fields.get("destinationId"), fields.get("payloadVersion")
    if not isinstance(version, str) or destination_id not in sandbox.destinations:
        raise _invalid("destinationId and payloadVersion are required.")
    key = f"{seller.seller_id} {notification_type}"
    if key in sandbox.subscriptions:
        raise refused(409, "Conflict", "A subscription of this type exists already.", "conflict")
    subscription = {
        "subscriptionId": str(uuid.uuid4()),
        "payloadVersion": version,
        "destinationId": destination_id,
    }
    sandbox.subscriptions.put(key, subscription)
    return success(sandbox, CREATE_SUBSCRIPTION, {"payload": subscription})


async def _get_subscription(request: Request, notification_type: str, sandbox: SandboxDep) -> Response:
    seller = await require_seller(request, sandbox, GET_SUBSCRIPTION)
    subscription = sandbox.subscriptions.get(f"{seller.seller_id} {notification_type}")
    if subscription is None:
        raise _not_found()
    return success(sandbox, GET_SUBSCRIPTION, {"payload": subscription})


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
    destination = sandbox.destinations.get(destination_id)
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
        ("GET", "subscriptions/{notification_type}", _get_subscription),
    ):
        router.add_api_route(f"/{_host}/notifications/v1/{_path}", _route, methods=[_method])
