"""What tests turn and ask about scenarios, secrets and the clock, `/control/…`.

GET    /control/scenarios                          every scenario with a sentence, and what is on
POST   /control/scenarios/{name}                   on: for one seller, one operation, some calls, or without an end
DELETE /control/scenarios/{name} · /control/scenarios       off: one (of one seller), all of them
POST   /control/scenarios/revoke                   a seller withdraws the authorization
POST   /control/scenarios/token-failures · api-failures     the next calls fail in a way of your own
POST   /control/scenarios/throttling               the SP-API's rate limits on (default) or off
POST   /control/client-secret/rotate · expiry-notice        by hand in the portal; Amazon's reminder
GET    /control/notifications                      what Amazon would have put into the application's queue
POST   /control/clock/advance                      the sandbox's clock goes forward
"""

import json
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from services.sandbox.dependencies import SandboxState
from services.sandbox.sp_api.applications_api import announce_new_secret, announce_secret_expiry
from services.sandbox.state.memory import Failure, Sandbox
from services.sandbox.state.scenarios import SCENARIOS, TooManySwitches, UnknownScenario

router = APIRouter(prefix="/control")


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SwitchOn(_Request):
    seller_id: str | None = None
    operation: str | None = Field(None, max_length=100)
    count: int | None = Field(None, ge=1, le=100_000)


class Revocation(_Request):
    seller_id: str


class Failures(_Request):
    """`count` 0 takes the scenario away."""

    count: int = Field(1, ge=0, le=100_000)
    status: int = Field(503, ge=400, le=599)
    body: dict[str, Any] | str = ""
    content_type: str | None = None


class TokenFailures(Failures):
    grant_type: str | None = None


class ApiFailures(Failures):
    seller_id: str | None = None


class Throttling(_Request):
    enabled: bool


class Rotate(_Request):
    client_secret: str | None = Field(None, min_length=1, max_length=500)
    announce: bool = False


class ExpiryNotice(_Request):
    days: int = Field(30, ge=0, le=180)


class Advance(_Request):
    seconds: float = Field(ge=0, le=10 * 365 * 86_400)


@router.get("/scenarios")
async def read_scenarios(sandbox: SandboxState) -> dict[str, Any]:
    return {
        "now": sandbox.now().isoformat(),
        "throttling": sandbox.throttling,
        "token_failures": asdict(sandbox.token_failure) if sandbox.token_failure else None,
        "api_failures": asdict(sandbox.api_failure) if sandbox.api_failure else None,
        "on": [asdict(switch) for switch in sandbox.scenarios.now_on()],
        "scenarios": [asdict(scenario) for scenario in SCENARIOS.values()],
    }


@router.post("/scenarios/revoke")
async def revoke(revocation: Revocation, sandbox: SandboxState) -> dict[str, int]:
    _require_seller(sandbox, revocation.seller_id)
    return {"revoked": sandbox.revoke(revocation.seller_id)}


@router.post("/scenarios/token-failures")
async def fail_token_calls(failures: TokenFailures, sandbox: SandboxState) -> dict[str, Any]:
    sandbox.token_failure = _failure(failures, grant_type=failures.grant_type)
    return await read_scenarios(sandbox)


@router.post("/scenarios/api-failures")
async def fail_api_calls(failures: ApiFailures, sandbox: SandboxState) -> dict[str, Any]:
    sandbox.api_failure = _failure(failures, seller_id=failures.seller_id)
    return await read_scenarios(sandbox)


@router.post("/scenarios/throttling")
async def switch_throttling(throttling: Throttling, sandbox: SandboxState) -> dict[str, Any]:
    sandbox.throttling = throttling.enabled
    return await read_scenarios(sandbox)


@router.post("/scenarios/{name}")
async def switch_on(
    name: str, sandbox: SandboxState, switch: Annotated[SwitchOn | None, Body()] = None
) -> dict[str, Any]:
    wanted = switch or SwitchOn()
    if wanted.seller_id is not None:
        _require_seller(sandbox, wanted.seller_id)
    try:
        sandbox.scenarios.switch_on(
            name, seller_id=wanted.seller_id, operation=wanted.operation, count=wanted.count
        )
    except UnknownScenario as error:
        raise HTTPException(404, "no such scenario") from error
    except TooManySwitches as error:
        raise HTTPException(409, "too many scenarios are on") from error
    return await read_scenarios(sandbox)


@router.delete("/scenarios/{name}")
async def switch_off(name: str, sandbox: SandboxState, seller_id: str | None = None) -> dict[str, Any]:
    try:
        sandbox.scenarios.switch_off(name, seller_id=seller_id)
    except UnknownScenario as error:
        raise HTTPException(404, "no such scenario") from error
    return await read_scenarios(sandbox)


@router.delete("/scenarios")
async def switch_all_off(sandbox: SandboxState) -> dict[str, Any]:
    sandbox.scenarios.switch_all_off()
    sandbox.token_failure = sandbox.api_failure = None
    sandbox.throttling = True
    return await read_scenarios(sandbox)


@router.post("/client-secret/rotate")
async def rotate_client_secret(
    sandbox: SandboxState, rotate: Annotated[Rotate | None, Body()] = None
) -> dict[str, str]:
    """As by hand in the portal, where the new secret is shown; `announce` puts it among the notifications, too."""
    rotation = sandbox.client_secrets.rotate(sandbox.now(), rotate.client_secret if rotate else None)
    if rotate is not None and rotate.announce:
        announce_new_secret(sandbox, rotation)
    return {
        "client_secret": rotation.client_secret,
        "expires_at": rotation.expires_at.isoformat(),
        "old_valid_until": rotation.old_valid_until.isoformat(),
    }


@router.post("/client-secret/expiry-notice")
async def announce_expiry(
    sandbox: SandboxState, notice: Annotated[ExpiryNotice | None, Body()] = None
) -> list[dict[str, Any]]:
    announce_secret_expiry(sandbox, sandbox.now() + timedelta(days=(notice or ExpiryNotice()).days))
    return list(sandbox.notifications)


@router.get("/notifications")
async def read_notifications(sandbox: SandboxState) -> list[dict[str, Any]]:
    return list(sandbox.notifications)


@router.post("/clock/advance")
async def advance_clock(advance: Advance, sandbox: SandboxState) -> dict[str, str]:
    sandbox.advance_clock(advance.seconds)
    return {"now": sandbox.now().isoformat()}


def _require_seller(sandbox: Sandbox, seller_id: str) -> None:
    if seller_id not in sandbox.sellers:
        raise HTTPException(404, "no such seller")


def _failure(
    failures: Failures, *, grant_type: str | None = None, seller_id: str | None = None
) -> Failure | None:
    if failures.count == 0:
        return None
    is_json = not isinstance(failures.body, str)
    return Failure(
        count=failures.count,
        status=failures.status,
        body=json.dumps(failures.body) if is_json else str(failures.body),
        content_type=failures.content_type or ("application/json" if is_json else "text/html"),
        grant_type=grant_type,
        seller_id=seller_id,
    )
