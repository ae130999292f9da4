"""Scenarios and the sandbox's clock, `/control/scenarios` and `/control/clock`.

GET    /control/scenarios                          every scenario with a sentence, and what is on
POST   /control/scenarios/{name}                   on: for one seller, one operation, some calls, or without an end
DELETE /control/scenarios/{name} · /control/scenarios       off: one (of one seller), all of them
POST   /control/scenarios/revoke                   a seller withdraws the authorization
POST   /control/scenarios/token-failures · api-failures     the next calls fail in a way of your own
POST   /control/scenarios/throttling               the SP-API's rate limits on (default) or off
POST   /control/clock/advance                      the sandbox's clock goes forward
"""

import json
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException
from pydantic import Field

from services.sandbox.control.requests import ControlRequest, seller_or_404
from services.sandbox.dependencies import SandboxDep
from services.sandbox.state.memory import PlannedFailure
from services.sandbox.state.scenarios import SCENARIOS, SMTP_WORDS, TooManySwitches, UnknownScenario

router = APIRouter(prefix="/control")


class SwitchOn(ControlRequest):
    seller_id: str | None = None
    operation: str | None = Field(None, max_length=100)
    count: int | None = Field(None, ge=1, le=100_000)
    words: str | None = Field(None, pattern=SMTP_WORDS)
    seconds: float | None = Field(None, gt=0, le=10 * 365 * 86_400)


class Revocation(ControlRequest):
    seller_id: str


class Failures(ControlRequest):
    """`count` 0 takes the scenario away."""

    count: int = Field(1, ge=0, le=100_000)
    status: int = Field(503, ge=400, le=599)
    body: dict[str, Any] | str = ""
    content_type: str | None = None


class TokenFailures(Failures):
    grant_type: str | None = None


class ApiFailures(Failures):
    seller_id: str | None = None


class Throttling(ControlRequest):
    enabled: bool


class Advance(ControlRequest):
    seconds: float = Field(ge=0, le=10 * 365 * 86_400)


@router.get("/scenarios")
async def read_scenarios(sandbox: SandboxDep) -> dict[str, Any]:
    return {
        "now": sandbox.now().isoformat(),
        "throttling": sandbox.calls.throttling,
        "token_failures": asdict(sandbox.token_failure) if sandbox.token_failure else None,
        "api_failures": asdict(sandbox.api_failure) if sandbox.api_failure else None,
        "on": [asdict(switch) for switch in sandbox.scenarios.now_on()],
        "scenarios": [asdict(scenario) for scenario in SCENARIOS.values()],
    }


@router.post("/scenarios/revoke")
async def revoke(revocation: Revocation, sandbox: SandboxDep) -> dict[str, int]:
    seller_or_404(sandbox, revocation.seller_id)
    return {"revoked": sandbox.revoke(revocation.seller_id)}


@router.post("/scenarios/token-failures")
async def fail_token_calls(failures: TokenFailures, sandbox: SandboxDep) -> dict[str, Any]:
    sandbox.token_failure = _failure(failures, grant_type=failures.grant_type)
    return await read_scenarios(sandbox)


@router.post("/scenarios/api-failures")
async def fail_api_calls(failures: ApiFailures, sandbox: SandboxDep) -> dict[str, Any]:
    sandbox.api_failure = _failure(failures, seller_id=failures.seller_id)
    return await read_scenarios(sandbox)


@router.post("/scenarios/throttling")
async def switch_throttling(throttling: Throttling, sandbox: SandboxDep) -> dict[str, Any]:
    sandbox.calls.throttling = throttling.enabled
    return await read_scenarios(sandbox)


@router.post("/scenarios/{name}")
async def switch_on(
    name: str, sandbox: SandboxDep, switch: Annotated[SwitchOn | None, Body()] = None
) -> dict[str, Any]:
    wanted = switch or SwitchOn()
    if wanted.seller_id is not None:
        seller_or_404(sandbox, wanted.seller_id)
    try:
        sandbox.scenarios.switch_on(
            name,
            seller_id=wanted.seller_id,
            operation=wanted.operation,
            count=wanted.count,
            words=wanted.words,
            seconds=wanted.seconds,
        )
    except UnknownScenario as error:
        raise HTTPException(404, "no such scenario") from error
    except TooManySwitches as error:
        raise HTTPException(409, "too many scenarios are on") from error
    return await read_scenarios(sandbox)


@router.delete("/scenarios/{name}")
async def switch_off(name: str, sandbox: SandboxDep, seller_id: str | None = None) -> dict[str, Any]:
    try:
        sandbox.scenarios.switch_off(name, seller_id=seller_id)
    except UnknownScenario as error:
        raise HTTPException(404, "no such scenario") from error
    return await read_scenarios(sandbox)


@router.delete("/scenarios")
async def switch_all_off(sandbox: SandboxDep) -> dict[str, Any]:
    sandbox.scenarios.switch_all_off()
    sandbox.token_failure = sandbox.api_failure = None
    sandbox.calls.throttling = True
    return await read_scenarios(sandbox)


@router.post("/clock/advance")
async def advance_clock(advance: Advance, sandbox: SandboxDep) -> dict[str, str]:
    sandbox.advance_clock(advance.seconds)
    return {"now": sandbox.now().isoformat()}


def _failure(
    failures: Failures, *, grant_type: str | None = None, seller_id: str | None = None
) -> PlannedFailure | None:
    if failures.count == 0:
        return None
    is_json = not isinstance(failures.body, str)
    return PlannedFailure(
        count=failures.count,
        status=failures.status,
        body=json.dumps(failures.body) if is_json else str(failures.body),
        content_type=failures.content_type or ("application/json" if is_json else "text/html"),
        grant_type=grant_type,
        seller_id=seller_id,
    )
