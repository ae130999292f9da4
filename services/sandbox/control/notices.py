"""Notices to the application, `/control/notices`: what lies in its queues, and notices of your own making.

GET    /control/notices            what lies in a queue (query: queue), given out or not
POST   /control/notices            put a notice of any form into a queue, also one that is due later
POST   /control/notices/orders     tell of orders again as they are now
POST   /control/account-status     a seller's account is in order, at risk or deactivated; whoever subscribed is told
"""

import json
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import Field

from services.sandbox.control.requests import ControlRequest, seller_or_404
from services.sandbox.dependencies import SandboxDep
from services.sandbox.sp_api.reports_api import settle_reports
from services.sandbox.state.notice_queues import APPLICATION_QUEUE, NoSuchQueue

router = APIRouter(prefix="/control")

_Text = Annotated[str, Field(max_length=1_000_000)]


class NewNotice(ControlRequest):
    notice: dict[str, Any] | _Text
    queue: str = Field(APPLICATION_QUEUE, max_length=80)
    in_seconds: float = Field(0, ge=0, le=10 * 365 * 86_400)


class OrdersAgain(ControlRequest):
    order_ids: tuple[str, ...] = Field(min_length=1, max_length=10_000)


class AccountStatus(ControlRequest):
    seller_id: str
    country: str
    status: Literal["NORMAL", "AT_RISK", "DEACTIVATED"]


@router.get("/notices")
async def read_notices(sandbox: SandboxDep, queue: str = APPLICATION_QUEUE) -> list[dict[str, Any]]:
    settle_reports(sandbox)
    try:
        content = sandbox.notices.queues.content(queue)
    except NoSuchQueue as error:
        raise HTTPException(404, "no such queue") from error
    return [
        {
            "message_id": notice.message_id,
            "due_at": notice.due_at.isoformat(),
            "times_given": notice.times_given,
            "body": notice.body,
        }
        for notice in content
    ]


@router.post("/notices", status_code=201)
async def put_notice(new: NewNotice, sandbox: SandboxDep) -> dict[str, int]:
    body = new.notice if isinstance(new.notice, str) else json.dumps(new.notice)
    queues = sandbox.notices.queues
    queues.open(new.queue)
    queues.put(new.queue, body, sandbox.now() + timedelta(seconds=new.in_seconds))
    return {"in_queue": len(queues.content(new.queue))}


@router.post("/notices/orders", status_code=204)
async def tell_again(again: OrdersAgain, sandbox: SandboxDep) -> None:
    for order_id in again.order_ids:
        placed = sandbox.placed_order(order_id)
        if placed is None:
            raise HTTPException(404, "no such order")
        sandbox.notices.tell_of_order(placed, "OrderStatusChange")


@router.post("/account-status")
async def set_account_status(wanted: AccountStatus, sandbox: SandboxDep) -> dict[str, str]:
    seller = seller_or_404(sandbox, wanted.seller_id)
    if wanted.country not in seller.countries:
        raise HTTPException(422, "the seller does not sell in this country")
    before = seller.account_status.get(wanted.country, "NORMAL")
    seller.account_status[wanted.country] = wanted.status
    if before != wanted.status:
        sandbox.notices.tell_of_account(seller.seller_id, wanted.country, before, wanted.status)
    return dict(seller.account_status)
