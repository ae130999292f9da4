"""What every operation of the SP-API has in common: user agent, token, scenarios, rate limit, headers and error bodies."""

import asyncio
import json
import re
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request, Response

from services.sandbox.amazon_hosts import API_HOSTS
from services.sandbox.state.calls import Outcome
from services.sandbox.state.memory import AccessToken, Sandbox
from services.sandbox.state.scenarios import API_ANSWERS, Answer
from services.sandbox.state.sellers import Seller

_MAX_USER_AGENT_CHARS: Final = 500
# AppName/Version (Language=Python/3.11; Platform=Linux); the attribute Language is required.
_USER_AGENT: Final = re.compile(r"[^/\s][^/]*/\S+ \((?:[^)]*[;\s])?Language=[^;)]+[^)]*\)")
_DENIED: Final = "Access to requested resource is denied."
_REVOKED_OR_MALFORMED: Final = "The access token you provided is revoked, malformed or invalid."


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation with its published rate and burst. One that is called without a seller has a `scope`."""

    name: str
    rate: float
    burst: int
    scope: str | None = None


class SpApiRefused(Exception):
    """Ends an operation with this error as its answer."""

    def __init__(self, response: Response, reason: str) -> None:
        super().__init__(reason)
        self.response = response
        self.reason = reason


async def require_seller(
    request: Request, sandbox: Sandbox, operation: Operation, *, may_be_restricted: bool = False
) -> Seller:
    """The seller whose token was sent, once user agent, token, scenarios and rate limit allow it. Raises SpApiRefused.

    With `may_be_restricted`, a restricted data token for exactly this path does as well.
    """
    access = _require_access_token(request, sandbox, may_be_restricted=may_be_restricted)
    authorization = access.authorization
    region = API_HOSTS[request.url.path.split("/")[1]]
    if authorization is None or authorization.revoked or authorization.region is not region:
        raise unauthorized(_REVOKED_OR_MALFORMED)
    seller = sandbox.sellers.get(authorization.seller_id)
    if seller is None:
        raise unauthorized("")
    await _refuse_as_scenario_says(request, sandbox, operation, seller.seller_id)
    _throttle(sandbox, operation, seller.seller_id)
    return seller


async def require_application(request: Request, sandbox: Sandbox, operation: Operation) -> None:
    """The same checks for an operation that the application calls without a seller. Raises SpApiRefused."""
    access = _require_access_token(request, sandbox)
    if operation.scope is None or operation.scope not in access.scopes:
        raise unauthorized("")
    await _refuse_as_scenario_says(request, sandbox, operation, None)
    _throttle(sandbox, operation, "application")


def success(sandbox: Sandbox, operation: Operation, body: Any = None, status: int = 200) -> Response:
    """The answer of an operation that succeeded, with `body` as JSON if there is one; the call is counted."""
    sandbox.counters.operations[operation.name] += 1
    content = "" if body is None else json.dumps(body)
    media_type = None if body is None else "application/json"
    return Response(content, status, _headers(operation), media_type)


def refused(status: int, code: str, message: str, reason: str, *, details: str = "") -> SpApiRefused:
    """An error in Amazon's form, to be raised."""
    error = {"code": code, "message": message, "details": details}
    body = json.dumps({"errors": [error]})
    return SpApiRefused(Response(body, status, _headers(None), "application/json"), reason)


def unauthorized(details: str) -> SpApiRefused:
    """Amazon's 403, to be raised."""
    return refused(403, "Unauthorized", _DENIED, "unauthorized", details=details)


async def scenario_response(
    request: Request, sandbox: Sandbox, answer: Answer, operation: Operation | None = None
) -> Response:
    """A scenario's answer as a response. One that hangs comes late, or when the caller has left."""
    if answer.hangs:
        with suppress(TimeoutError):
            async with asyncio.timeout(sandbox.settings.hang_seconds):
                while (await request.receive())["type"] != "http.disconnect":
                    pass
    headers = _headers(operation if answer.rate_header else None)
    if answer.error_type:
        headers["x-amzn-ErrorType"] = answer.error_type
    return Response(answer.body, answer.status, headers, answer.content_type)


def is_restricted_call(request: Request, sandbox: Sandbox) -> bool:
    """Whether the call came with a restricted data token."""
    return request.headers.get("x-amz-access-token", "") in sandbox.restricted_tokens


def _require_access_token(
    request: Request, sandbox: Sandbox, *, may_be_restricted: bool = False
) -> AccessToken:
    user_agent = request.headers.get("user-agent", "")
    if len(user_agent) > _MAX_USER_AGENT_CHARS or _USER_AGENT.match(user_agent) is None:
        raise refused(400, "InvalidInput", "The user-agent header is missing or malformed.", "user_agent")
    token = request.headers.get("x-amz-access-token")
    if not token:
        raise unauthorized("Access token is missing in the request header.")
    access = sandbox.access_tokens.get(token)
    restricted = sandbox.restricted_tokens.get(token) if may_be_restricted else None
    if restricted is not None:
        path = "/" + request.url.path.split("/", 2)[2]
        if (request.method, path) not in restricted.resources:
            raise unauthorized("")
        access = restricted.access
    if access is None:
        raise unauthorized(_REVOKED_OR_MALFORMED)
    if sandbox.now() >= access.expires_at and not (access.authorization and access.authorization.revoked):
        raise unauthorized("The access token you provided has expired.")
    if not sandbox.client_secrets.accepts(access.client_secret, sandbox.now()):
        raise unauthorized("The LWA secret token you provided has expired.")
    return access


async def _refuse_as_scenario_says(
    request: Request, sandbox: Sandbox, operation: Operation, seller_id: str | None
) -> None:
    planned = sandbox.planned_api_failure(seller_id)
    if planned is not None:
        sandbox.log_call(operation.name, seller_id or "application", Outcome.SCENARIO)
        response = Response(planned.body, planned.status, _headers(None), planned.content_type)
        raise SpApiRefused(response, "planned")
    answer = sandbox.scenarios.answer(API_ANSWERS, seller_id, operation.name)
    if answer is not None:
        sandbox.log_call(operation.name, seller_id or "application", Outcome.SCENARIO)
        raise SpApiRefused(await scenario_response(request, sandbox, answer, operation), "planned")


def _throttle(sandbox: Sandbox, operation: Operation, caller: str) -> None:
    if sandbox.take_call(operation.name, caller, operation.rate, operation.burst):
        return
    message = "You exceeded your quota for the requested resource."
    error = refused(429, "QuotaExceeded", message, "throttled")
    error.response.headers["x-amzn-ErrorType"] = "TooManyRequestsException"
    raise error


def _headers(operation: Operation | None) -> dict[str, str]:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    if operation is not None:
        headers["x-amzn-RateLimit-Limit"] = str(operation.rate)
    return headers
