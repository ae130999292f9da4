"""Login with Amazon: the token endpoint, `/api.amazon.com/auth/o2/token`.

Form-encoded only, credentials in the body only, errors with Amazon's status, words and shape. A refresh token is never
rotated, unless a scenario has it: the answer carries the one that was sent.
"""

import secrets
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from services.sandbox.amazon_hosts import LWA_HOST
from services.sandbox.dependencies import SandboxDep
from services.sandbox.sp_api.operation import scenario_response
from services.sandbox.state.memory import ACCESS_TOKEN_LIFE, Sandbox
from services.sandbox.state.scenarios import TOKEN_ANSWERS
from shared.marketplaces import LWA_ENDPOINT

router = APIRouter()

GRANTLESS_SCOPES: Final = frozenset(
    {"sellingpartnerapi::notifications", "sellingpartnerapi::client_credential:rotation"}
)
_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_MAX_BODY_BYTES: Final = 16_384


class Refused(Exception):
    """Ends a token call with this error as its answer."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.description = description


@router.post(f"/{LWA_HOST}{urlsplit(LWA_ENDPOINT).path}")
async def token(request: Request, sandbox: SandboxDep) -> Response:
    """Answers every grant type that an SP-API application uses."""
    try:
        form = await _read_form(request)
        grant_type = form.get("grant_type", "")
        sandbox.counters.token[grant_type if grant_type in _GRANTS else "other"] += 1
        seller_id = _seller_id(form, sandbox)
        if seller_id is not None and grant_type == "refresh_token":
            sandbox.counters.refreshes[seller_id] += 1
        planned = sandbox.planned_token_failure(grant_type)
        if planned is not None:
            sandbox.counters.token_errors["planned"] += 1
            return Response(planned.body, planned.status, _NO_STORE, planned.content_type)
        answer = sandbox.scenarios.answer(TOKEN_ANSWERS, seller_id, grant_type)
        if answer is not None:
            sandbox.counters.token_errors["planned"] += 1
            return await scenario_response(request, sandbox, answer)
        _require(form, "grant_type")
        _authenticate(form, sandbox)
        tokens = _GRANTS.get(grant_type, _unsupported)(form, sandbox)
    except Refused as refused:
        sandbox.counters.token_errors[refused.error] += 1
        return JSONResponse(
            {
                "error": refused.error,
                "error_description": refused.description,
                "request_id": secrets.token_hex(16),
            },
            refused.status,
            _NO_STORE,
        )
    return JSONResponse(
        {
            **tokens,
            "token_type": "bearer",
            "expires_in": int(ACCESS_TOKEN_LIFE.total_seconds()),
        },
        headers=_NO_STORE,
    )


async def _read_form(request: Request) -> dict[str, str]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise Refused(400, "invalid_request", "The Content-Type is not application/x-www-form-urlencoded")
    body = await request.body()
    if len(body) > _MAX_BODY_BYTES:
        raise Refused(400, "invalid_request", "The request is too large")
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=20, errors="strict")
    except ValueError as error:
        raise Refused(400, "invalid_request", "The request is malformed") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        # RFC 6749 §3.2: a parameter must not be included more than once.
        raise Refused(400, "invalid_request", "The request includes a parameter more than once")
    return form


def _require(form: dict[str, str], name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise Refused(400, "invalid_request", f"The request is missing a required parameter : {name}")
    return value


def _authenticate(form: dict[str, str], sandbox: Sandbox) -> None:
    client_id = _require(form, "client_id")
    client_secret = _require(form, "client_secret")
    known = client_id == sandbox.settings.client_id
    if not known or not sandbox.client_secrets.accepts(client_secret, sandbox.now()):
        raise Refused(401, "invalid_client", "Client authentication failed")


def _exchange_code(form: dict[str, str], sandbox: Sandbox) -> dict[str, str]:
    authorization = sandbox.redeem_code(_require(form, "code"), _require(form, "redirect_uri"))
    if authorization is None:
        raise Refused(400, "invalid_grant", "The request has an invalid grant parameter : code")
    access_token = sandbox.issue_access_token(authorization, form["client_secret"])
    if sandbox.scenarios.happens("token-no-refresh-token", authorization.seller_id):
        return {"access_token": access_token}
    return {"access_token": access_token, "refresh_token": sandbox.issue_refresh_token(authorization)}


def _refresh(form: dict[str, str], sandbox: Sandbox) -> dict[str, str]:
    refresh_token = _require(form, "refresh_token")
    authorization = sandbox.authorization_of(refresh_token)
    if authorization is None or sandbox.scenarios.happens("token-invalid-grant", authorization.seller_id):
        raise Refused(
            400,
            "invalid_grant",
            "The request has an invalid grant parameter : refresh_token. "
            "User may have revoked or didn't grant the permission.",
        )
    if sandbox.scenarios.happens("token-new-refresh-token", authorization.seller_id):
        del sandbox.refresh_tokens[refresh_token]
        refresh_token = sandbox.issue_refresh_token(authorization)
    return {
        "access_token": sandbox.issue_access_token(authorization, form["client_secret"]),
        "refresh_token": refresh_token,
    }


def _seller_id(form: dict[str, str], sandbox: Sandbox) -> str | None:
    """The seller whom the form's code or refresh token belongs to, if it is known."""
    code = sandbox.codes.get(form.get("code", ""))
    authorization = code.authorization if code else sandbox.refresh_tokens.get(form.get("refresh_token", ""))
    return authorization.seller_id if authorization else None


def _grantless(form: dict[str, str], sandbox: Sandbox) -> dict[str, str]:
    scopes = frozenset(_require(form, "scope").split())
    if not scopes <= GRANTLESS_SCOPES:
        raise Refused(400, "invalid_scope", "The client is not authorized for the requested scope")
    return {"access_token": sandbox.issue_access_token(None, form["client_secret"], scopes)}


def _unsupported(_form: dict[str, str], _sandbox: Sandbox) -> dict[str, str]:
    raise Refused(
        400,
        "unsupported_grant_type",
        "The authorization grant type is not supported by the authorization server",
    )


_GRANTS: Final[dict[str, Callable[[dict[str, str], Sandbox], dict[str, str]]]] = {
    "authorization_code": _exchange_code,
    "refresh_token": _refresh,
    "client_credentials": _grantless,
}
