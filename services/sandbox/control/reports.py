"""Reports, roles and calls: how reports come, what the application may see, and what it asked.

POST   /control/report-delivery     how the reports of one seller, or of all, come from now on
POST   /control/roles               the application's restricted roles
GET    /control/calls               the last calls of the SP-API by the sandbox's clock (query: seller_id, operation, limit)
"""

from dataclasses import asdict
from itertools import islice
from typing import Any, Final, Literal

from fastapi import APIRouter
from pydantic import Field

from services.sandbox.control.requests import ControlRequest, seller_or_404
from services.sandbox.dependencies import SandboxDep
from services.sandbox.state.calls import MAX_CALLS
from services.sandbox.state.reports import Delivery
from services.sandbox.state.roles import RestrictedRole

router = APIRouter(prefix="/control")

_MAX_ROWS: Final = 20_000_000


class NewDelivery(ControlRequest):
    """Without a seller it is for all who have none of their own."""

    seller_id: str | None = None
    seconds_in_queue: float = Field(1, ge=0, le=90 * 86_400)
    seconds_in_progress: float = Field(1, ge=0, le=90 * 86_400)
    compressed: bool = False
    charset: Literal["UTF-8", "Cp1252", "Shift_JIS", ""] | None = None
    written_in: Literal["utf-8", "cp1252", "cp932"] | None = None
    byte_order_mark: bool = False
    rows: int | None = Field(None, ge=0, le=_MAX_ROWS)


class Roles(ControlRequest):
    restricted: frozenset[RestrictedRole]


@router.post("/report-delivery")
async def set_delivery(new: NewDelivery, sandbox: SandboxDep) -> dict[str, Any]:
    if new.seller_id is not None:
        seller_or_404(sandbox, new.seller_id)
    delivery = Delivery(**new.model_dump(exclude={"seller_id"}))
    sandbox.reports.deliveries[new.seller_id] = delivery
    return asdict(delivery)


@router.post("/roles")
async def set_roles(roles: Roles, sandbox: SandboxDep) -> dict[str, list[str]]:
    sandbox.restricted_roles = roles.restricted
    return {"restricted": sorted(roles.restricted)}


@router.get("/calls")
async def read_calls(
    sandbox: SandboxDep, seller_id: str | None = None, operation: str | None = None, limit: int = 1_000
) -> list[dict[str, Any]]:
    """Oldest first."""
    wanted = (
        call
        for call in reversed(sandbox.calls.log)
        if seller_id in {None, call.caller} and operation in {None, call.operation}
    )
    newest = list(islice(wanted, max(1, min(limit, MAX_CALLS))))
    return [asdict(call) for call in reversed(newest)]
