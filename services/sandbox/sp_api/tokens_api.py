"""The Tokens API v2021-03-01: createRestrictedDataToken. Documents of restricted reports are had with such a token alone."""

import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Request, Response

from services.sandbox.amazon_hosts import API_HOSTS
from services.sandbox.dependencies import SandboxDep
from services.sandbox.sp_api.operation import Operation, SpApiRefused, refused, require_seller, success
from services.sandbox.state.memory import RestrictedToken

router = APIRouter()

CREATE: Final = Operation("createRestrictedDataToken", rate=1, burst=10)
_MAX_RESOURCES: Final = 50
_LIFE_SECONDS: Final = 3600
_METHODS: Final = frozenset({"GET", "PUT", "POST", "DELETE"})
_ELEMENTS: Final = frozenset({"buyerInfo", "shippingAddress", "buyerTaxInformation"})
_DOCUMENTS: Final = "/reports/2021-06-30/documents/"
_NO_ROLE: Final = "Application does not have access to one or more requested data elements: [%s]"


async def _create(request: Request, sandbox: SandboxDep, body: Annotated[Any, Body()] = None) -> Response:
    seller = await require_seller(request, sandbox, CREATE)
    elements = _elements(body)
    resources = frozenset((resource["method"], resource["path"]) for resource in body["restrictedResources"])
    is_without_role = not sandbox.restricted_roles and any(
        path.startswith(_DOCUMENTS) for _, path in resources
    )
    if is_without_role or sandbox.scenarios.happens("personal-data-refused", seller.seller_id):
        # 400 and not 403, as developers report it of Amazon.
        raise refused(400, "InvalidInput", _NO_ROLE % ", ".join(sorted(elements)), "no_role")
    token = f"Atz.sprdt|{secrets.token_urlsafe(180)}"
    access = replace(
        sandbox.access_tokens[request.headers["x-amz-access-token"]],
        expires_at=sandbox.now() + timedelta(seconds=_LIFE_SECONDS),
    )
    sandbox.restricted_tokens.put(token, RestrictedToken(access, resources))
    return success(sandbox, CREATE, {"restrictedDataToken": token, "expiresIn": _LIFE_SECONDS})


def _elements(body: Any) -> set[str]:
    """The kinds of personal data that are asked for. Raises SpApiRefused if the request has not the published form."""
    resources = body.get("restrictedResources") if isinstance(body, dict) else None
    if not isinstance(resources, list) or not 0 < len(resources) <= _MAX_RESOURCES:
        raise _invalid()
    elements: set[str] = set()
    for resource in resources:
        if not isinstance(resource, dict) or resource.get("method") not in _METHODS:
            raise _invalid()
        path, named = resource.get("path"), resource.get("dataElements", [])
        if not isinstance(path, str) or not path.startswith("/") or not isinstance(named, list):
            raise _invalid()
        if not all(isinstance(element, str) and element in _ELEMENTS for element in named):
            raise _invalid()
        elements.update(named)
    return elements


def _invalid() -> SpApiRefused:
    message = "Request is missing or has invalid parameters"
    return refused(400, "InvalidRequest", message, "invalid", details="Resource not provided.")


for _host in API_HOSTS:
    router.add_api_route(f"/{_host}/tokens/2021-03-01/restrictedDataToken", _create, methods=["POST"])
