"""The Sellers API v1 of each region, and SP-API's answer to every other path: 403, not 404."""

import re
import uuid
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from services.sandbox.dependencies import SandboxState
from services.sandbox.sellers import Seller
from services.sandbox.state import API_HOSTS, PARTICIPATIONS_RATE, Sandbox
from shared.marketplaces import BY_COUNTRY, Region

router = APIRouter()

PARTICIPATIONS_PATH: Final = "/sellers/v1/marketplaceParticipations"
_MAX_USER_AGENT_CHARS: Final = 500
# AppName/Version (Language=Python/3.11; Platform=Linux); the attribute Language is required.
_USER_AGENT: Final = re.compile(r"[^/\s][^/]*/\S+ \((?:[^)]*[;\s])?Language=[^;)]+[^)]*\)")
# Amazon lists its own test shops beside the real marketplaces; a reader must pass over ids it does not know.
_NON_AMAZON: Final = {
    "marketplace": {
        "id": "A38D8NSA03LJTC",
        "name": "Non-Amazon",
        "countryCode": "DE",
        "defaultCurrencyCode": "EUR",
        "defaultLanguageCode": "de_DE",
        "domainName": "si-prod-marketplace-de.stores.amazon.de",
    },
    "participation": {"isParticipating": True, "hasSuspendedListings": False},
}


async def _get_participations(request: Request, sandbox: SandboxState) -> Response:
    """getMarketplaceParticipations of the region whose host was called."""
    region = API_HOSTS[request.url.path.split("/")[1]]
    user_agent = request.headers.get("user-agent", "")
    if len(user_agent) > _MAX_USER_AGENT_CHARS or _USER_AGENT.match(user_agent) is None:
        message = "The user-agent header is missing or malformed."
        return _refused(sandbox, "user_agent", 400, code="InvalidInput", message=message)
    seller, details = _seller_of_token(request.headers.get("x-amz-access-token"), region, sandbox)
    if seller is None:
        return _unauthorized(sandbox, details)
    planned = sandbox.planned_api_failure(seller.seller_id)
    if planned is not None:
        sandbox.counters.participations_refused["planned"] += 1
        headers = {"x-amzn-RequestId": str(uuid.uuid4())}
        return Response(planned.body, planned.status, headers, planned.content_type)
    if not sandbox.takes_participations_call(seller.seller_id):
        message = "You exceeded your quota for the requested resource."
        refused = _refused(sandbox, "throttled", 429, code="QuotaExceeded", message=message)
        refused.headers["x-amzn-ErrorType"] = "TooManyRequestsException"
        return refused
    sandbox.counters.participations[seller.seller_id] += 1
    headers = {"x-amzn-RequestId": str(uuid.uuid4()), "x-amzn-RateLimit-Limit": str(PARTICIPATIONS_RATE)}
    return JSONResponse({"payload": _participations(seller)}, headers=headers)


def _seller_of_token(token: str | None, region: Region, sandbox: Sandbox) -> tuple[Seller | None, str]:
    """The seller whose token this is, or the `details` of the 403."""
    if not token:
        return None, "Access token is missing in the request header."
    access = sandbox.access_tokens.get(token)
    if access is None or access.authorization is None or access.authorization.revoked:
        return None, "The access token you provided is revoked, malformed or invalid."
    if sandbox.now() >= access.expires_at:
        return None, "The access token you provided has expired."
    if access.authorization.region is not region:
        return None, "The access token you provided is revoked, malformed or invalid."
    return sandbox.sellers.get(access.authorization.seller_id), ""


def _participations(seller: Seller) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for country in seller.countries:
        marketplace = BY_COUNTRY[country]
        rows.append(
            {
                "marketplace": {
                    "id": marketplace.marketplace_id,
                    "name": f"Amazon.{marketplace.retail_domain.partition('.')[2]}",
                    "countryCode": country,
                    "defaultCurrencyCode": marketplace.currency,
                    "defaultLanguageCode": marketplace.locale,
                    "domainName": f"www.{marketplace.retail_domain}",
                },
                "participation": {
                    "isParticipating": country not in seller.not_participating,
                    "hasSuspendedListings": country in seller.suspended,
                },
                "storeName": seller.store_name,
            }
        )
    if seller.region is Region.EU:
        rows.append({**_NON_AMAZON, "storeName": seller.store_name})
    return rows


def _unauthorized(sandbox: Sandbox, details: str) -> JSONResponse:
    message = "Access to requested resource is denied."
    return _refused(sandbox, "unauthorized", 403, code="Unauthorized", message=message, details=details)


def _refused(
    sandbox: Sandbox, reason: str, status: int, *, code: str, message: str, details: str = ""
) -> JSONResponse:
    sandbox.counters.participations_refused[reason] += 1
    error = {"code": code, "message": message, "details": details}
    return JSONResponse({"errors": [error]}, status, {"x-amzn-RequestId": str(uuid.uuid4())})


async def _no_such_operation(sandbox: SandboxState) -> Response:
    """An unknown path is forbidden, and `details` is empty, as with a missing role."""
    return _unauthorized(sandbox, "")


# Literal hosts, not a path parameter: a region's endpoint is only ever reached under its own name.
for _host in API_HOSTS:
    router.add_api_route(f"/{_host}{PARTICIPATIONS_PATH}", _get_participations, methods=["GET"])
    router.add_api_route(
        f"/{_host}/{{path:path}}",
        _no_such_operation,
        methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
    )
